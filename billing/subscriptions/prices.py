"""What plans cost now, and which price of Stripe's that is."""

from dataclasses import dataclass

from billing.stripe_client import prices
from billing.subscriptions.models import Interval, PlanPrice
from quotas.models.plans import Plan

CURRENCY = "usd"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a plan costs by the month or year."""

    plan: Plan
    interval: Interval
    amount_cents: int

    @property
    def terms(self) -> str:
        """What it costs and gives, as forms carry it: whoever buys means what they were shown."""
        return f"{self.amount_cents}-{self.plan.weekly_cap or 0}"


def costs_of(plan: Plan) -> list[Cost]:
    """What a plan can be bought for: nothing of one that is free, by agreement or not offered."""
    if not plan.is_public or plan.is_default:
        return []
    amounts = (
        (Interval.MONTH, plan.monthly_price_cents),
        (Interval.YEAR, plan.yearly_price_cents),
    )
    return [Cost(plan, interval, cents) for interval, cents in amounts if cents]


def cost_of(plan: Plan, interval: str) -> Cost | None:
    """What a plan costs by the month or year; None where it is not sold so."""
    return next((cost for cost in costs_of(plan) if cost.interval == interval), None)


def price_id_of(cost: Cost) -> str:
    """Stripe's price of it, found or made there if it is new; the same however often.

    Raises StripeUnavailable or StripeRefuses.
    """
    known = PlanPrice.objects.filter(
        plan=cost.plan,
        interval=cost.interval,
        amount_cents=cost.amount_cents,
        currency=CURRENCY,
    ).first()
    if known is not None:
        return known.stripe_price_id
    found = prices.price_of(
        plan=cost.plan.slug,
        name=cost.plan.name,
        interval=cost.interval,
        amount_cents=cost.amount_cents,
        currency=CURRENCY,
    )
    PlanPrice.objects.get_or_create(
        plan=cost.plan,
        interval=cost.interval,
        amount_cents=cost.amount_cents,
        currency=CURRENCY,
        defaults={"stripe_price_id": found},
    )
    return found
