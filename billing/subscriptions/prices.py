"""What plans cost now, and which price of Stripe's that is."""

from dataclasses import dataclass, field

from django.conf import settings

from billing import terms
from billing.stripe_client import prices
from billing.subscriptions.booked import Booked
from billing.subscriptions.models import Interval, PlanOrder, PlanPrice
from quotas.models.plans import Plan


@dataclass(frozen=True, slots=True)
class Cost:
    """What a plan costs by the month or year. amount_cents: of one seat."""

    plan: Plan
    interval: Interval
    amount_cents: int
    seats: int = 1
    currency: str = field(default_factory=lambda: settings.STRIPE_CURRENCY)

    @property
    def booked(self) -> Booked:
        """What one has for it."""
        return Booked(self.plan, self.seats)

    @property
    def total_cents(self) -> int:
        """What a period costs, of all seats together."""
        return self.amount_cents * self.seats

    @property
    def terms(self) -> str:
        """What it costs and gives, as forms carry it: whoever buys means what they were shown."""
        told = (self.amount_cents, self.plan.weekly_cap or 0)
        return terms.written(told, currency=self.currency)


def costs_of(plan: Plan, *, seats: int = 1) -> list[Cost]:
    """What a plan can be bought for: nothing of one that is free, by agreement or not offered.

    seats: for how many people, of a plan that is sold by the seat.
    """
    if not plan.is_public or plan.is_default:
        return []
    amounts = (
        (Interval.MONTH, plan.monthly_price_cents),
        (Interval.YEAR, plan.yearly_price_cents),
    )
    bought = Booked.of(plan, seats)
    return [Cost(plan, interval, cents, bought.seats) for interval, cents in amounts if cents]


def cost_of(plan: Plan, interval: str, *, seats: int = 1) -> Cost | None:
    """What a plan costs by the month or year; None where it is not sold so."""
    found = costs_of(plan, seats=seats)
    return next((cost for cost in found if cost.interval == interval), None)


def cost_as_ordered(order: PlanOrder) -> Cost:
    """What an order is for, whatever the plan costs now."""
    return Cost(
        order.plan,
        Interval(order.interval),
        order.amount_cents,
        seats=order.seats,
        currency=order.currency,
    )


def price_id_of(cost: Cost) -> str:
    """Stripe's price of a seat of it, found or made there if it is new; the same however often.

    Raises StripeUnavailable or StripeRefuses.
    """
    known = PlanPrice.objects.filter(
        plan=cost.plan,
        interval=cost.interval,
        amount_cents=cost.amount_cents,
        currency=cost.currency,
    ).first()
    if known is not None:
        return known.stripe_price_id
    found = prices.price_of(
        plan=cost.plan.slug,
        name=cost.plan.name,
        interval=cost.interval,
        amount_cents=cost.amount_cents,
        currency=cost.currency,
    )
    PlanPrice.objects.get_or_create(
        plan=cost.plan,
        interval=cost.interval,
        amount_cents=cost.amount_cents,
        currency=cost.currency,
        defaults={"stripe_price_id": found},
    )
    return found
