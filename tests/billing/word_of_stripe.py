"""What Stripe has of one customer, and what follows from that alone: the word that counts."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from quotas.models.plans import Plan
from tests.stripe_sandbox.running_sandbox import Running

GRACE = timedelta(days=settings.SUBSCRIPTION_GRACE_DAYS)
ENDED = {"canceled", "incomplete_expired"}


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def period(subscription: Any) -> tuple[int, int]:
    item = subscription["items"].data[0]
    return item.current_period_start, item.current_period_end


class WordOfStripe:
    """Subscriptions, invoices and payments of whoever has an address."""

    def __init__(self, sandbox: Running, *, email: str) -> None:
        self.sandbox, self._email = sandbox, email
        self._customers: list[str] = []

    def forget(self) -> None:
        """Look for customers anew: there might be a second one by now."""
        self._customers = []

    def customer_ids(self) -> list[str]:
        if not self._customers:
            listed: Any = {"email": self._email}
            self._customers = [
                one.id for one in self.sandbox.api.v1.customers.list(params=listed).data
            ]
        return self._customers

    def living(self) -> list[Any]:
        found: list[Any] = []
        for customer_id in self.customer_ids():
            listed: Any = {"customer": customer_id, "status": "all", "limit": 100}
            found += self.sandbox.api.v1.subscriptions.list(params=listed).data
        return [one for one in found if one.status not in ENDED]

    def invoices(self, status: Any) -> list[Any]:
        """The newest first."""
        found: list[Any] = []
        for customer_id in self.customer_ids():
            listed: Any = {"customer": customer_id, "status": status, "limit": 100}
            found += self.sandbox.api.v1.invoices.list(params=listed).data
        return found

    def top_ups(self) -> list[Any]:
        """Payments that were made for what is bought by itself."""
        found: list[Any] = []
        for customer_id in self.customer_ids():
            listed: Any = {"customer": customer_id, "limit": 100}
            found += self.sandbox.api.v1.payment_intents.list(params=listed).data
        return [intent for intent in found if "purchase" in (intent.metadata or {})]

    def charged(self) -> list[Any]:
        """Those of them that were paid."""
        return [intent for intent in self.top_ups() if intent.status == "succeeded"]

    def paid_plan(self, invoice: Any) -> tuple[Plan, int]:
        """What an invoice was paid for, and until when."""
        (line, *_rest) = [line for line in invoice.lines.data if line.amount > 0]
        slug = str(line.pricing.price_details.product).removeprefix("sansxel_plan_")
        return Plan.objects.get(slug=slug), line.period.end

    def plan(self, at: datetime) -> str:
        """The plan that is paid at a moment, as invoices say; the grace after what is paid."""
        living = self.living()
        if not living:
            return "free"
        (known,) = living
        starts_at, ends_at = map(moment, period(known))
        follows = str(known["items"].data[0].price.product).removeprefix("sansxel_plan_")
        if known.status != "active":
            is_grace = at < starts_at + GRACE and not known.cancel_at_period_end
            return follows if is_grace else "free"
        if at < ends_at:
            paid = (self.paid_plan(invoice) for invoice in self.invoices("paid"))
            return next(plan.slug for plan, end in paid if moment(end) == ends_at)
        return follows if at < ends_at + GRACE and not known.cancel_at_period_end else "free"
