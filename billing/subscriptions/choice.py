"""A plan by the month or year as it is offered to an account: what it would be, or why not."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django_stubs_ext import StrOrPromise

from accounts.models import Account
from billing import checkout
from billing.checkout import CannotCheckout
from billing.subscriptions import changing, ordering
from billing.subscriptions.booked import Booked
from billing.subscriptions.changing import Kind
from billing.subscriptions.models import Subscription
from billing.subscriptions.prices import Cost
from quotas.entitlements import Span


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
    paid: Booked | None = None
    shown: str = ""


def choices_of(
    account: Account, row: Subscription | None, costs: Sequence[Cost], *, has: Span, at: datetime
) -> list[Choice]:
    """How a plan is offered to who has `has` now; what a change costs is asked of Stripe.

    costs: of one plan for one number of people.
    """
    try:
        checkout.require_selling(account)
        for cost in costs[:1]:
            ordering.require_seats(account, cost)
    except CannotCheckout as error:
        return [Choice(cost=cost, kind="refused", refused=str(error)) for cost in costs]
    if row is None:
        return [_new(cost, has) for cost in costs]
    choices: list[Choice] = []
    for cost in costs:
        # Who waited for Stripe once in vain does not wait again for the next price.
        is_away = any(choice.kind == Kind.NOW and choice.cents is None for choice in choices)
        choices.append(_changed(row, cost, asks=not is_away, at=at))
    return choices


def _new(cost: Cost, has: Span) -> Choice:
    if why := ordering.why_not_sold(cost, has):
        return Choice(cost=cost, kind="refused", refused=why)
    return Choice(cost=cost, kind="new", cents=cost.total_cents)


def _changed(row: Subscription, cost: Cost, *, asks: bool, at: datetime) -> Choice:
    try:
        would = changing.change_to(row, cost, asks=asks, at=at)
    except CannotCheckout as error:
        return Choice(cost=cost, kind="refused", refused=str(error))
    if would.kind is Kind.KEEP and row.booked == cost.booked and not row.is_ending:
        return Choice(cost=cost, kind="current", paid=would.paid)
    return Choice(cost=cost, kind=would.kind, cents=would.cents, paid=would.paid, shown=would.shown)
