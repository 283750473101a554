"""A plan by the month or year as it is offered to an account: what it would be, or why not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django_stubs_ext import StrOrPromise

from accounts.models import Account
from billing.checkout import CannotCheckout
from billing.subscriptions import changing, ordering
from billing.subscriptions.changing import Kind
from billing.subscriptions.models import Subscription
from billing.subscriptions.prices import Cost
from quotas.models.plans import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One way to have a plan.

    kind: "new" of who has no subscription, otherwise that of the change; refused: why it cannot be
    chosen now, "" where it can; cents: what is paid at once, None where that is not known; shown:
    what the form carries of it.
    """

    cost: Cost
    kind: str
    refused: StrOrPromise = ""
    cents: int | None = None
    paid: Plan | None = None
    shown: str = ""

    @classmethod
    def of(cls, account: Account, row: Subscription | None, cost: Cost, *, at: datetime) -> Choice:
        """How a plan is offered; a change's price is asked of Stripe."""
        try:
            if row is None:
                ordering.why_not_sold(account, cost, at=at)
                return cls(cost=cost, kind="new", cents=cost.amount_cents)
            would = changing.change_to(row, cost, at=at)
        except CannotCheckout as error:
            return cls(cost=cost, kind="refused", refused=str(error))
        if would.kind is Kind.KEEP and row.plan_id == cost.plan.pk and not row.is_ending:
            return cls(cost=cost, kind="current", paid=would.paid)
        return cls(
            cost=cost, kind=would.kind, cents=would.cents, paid=would.paid, shown=would.shown
        )
