"""manage.py map_prices: every plan's price as a price of Stripe's."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.stripe_client.errors import StripeRefuses, StripeUnavailable
from billing.subscriptions import prices
from quotas import catalogue


class Command(BaseCommand):
    """Safe to repeat: what is there is found again, and nothing is changed."""

    help = (
        "Find or make Stripe's price of every plan that is on sale, by the month and by the year. "
        "A sale does the same by itself; this tells beforehand whether Stripe lets it."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print each plan's prices."""
        costs = [cost for plan in catalogue.public_plans() for cost in prices.costs_of(plan)]
        if not costs:
            self.stdout.write("No plan on the pricing page has a price.")
        for cost in costs:
            try:
                price_id = prices.price_id_of(cost)
            except (StripeUnavailable, StripeRefuses) as error:
                raise CommandError(f"{cost.plan.name} a {cost.interval}: {error}") from error
            self.stdout.write(
                f"{cost.plan.name} a {cost.interval}: {cost.amount_cents} cents, {price_id}"
            )
