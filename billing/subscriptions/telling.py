"""Telling who pays for a plan what became of it: begun, changed, not paid, over. Each once.

It is raised in the transaction that writes it down; the mail follows like that of any alert.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts import raising
from alerts.models import Kind
from billing.subscriptions.booked import Booked, is_more
from billing.subscriptions.models import UNPAID, Subscription
from gate.terms import week

_BEGINNING = {"incomplete", "incomplete_expired"}
# Before the grace is over it is said once more.
_LAST_CALL = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Before:
    """What was known of a subscription: its state, what the next period is of, and this one."""

    status: str
    has_ended: bool
    is_ending: bool
    booked: Booked | None
    renews_at: datetime
    paid: Booked | None

    @property
    def is_unpaid(self) -> bool:
        """Whether its period waited for its payment."""
        return self.status in UNPAID


def of_change(
    before: Before | None,
    row: Subscription,
    *,
    paid: Booked | None,
    plan_ends_at: datetime | None,
    at: datetime,
) -> None:
    """Tell of what is different now. paid: of this period; plan_ends_at: by the clock."""
    what = _what(before, row, paid)
    if what:
        _raise(row, what, occasion=f"{at:%Y%m%dT%H%M%S.%f}", paid=paid, ends_at=plan_ends_at, at=at)
    elif row.is_unpaid and row.ended_at is None:
        _of_grace(row, paid=paid, ends_at=plan_ends_at, at=at)


def _what(before: Before | None, row: Subscription, paid: Booked | None) -> str:
    """What happened, in a word; "" where nothing did that anybody has to hear of."""
    if row.status in _BEGINNING or row.plan is None:
        return ""
    has_ended = row.ended_at is not None
    if before is None or before.status in _BEGINNING:
        return "" if has_ended else "begun"
    is_unpaid, was_unpaid = row.is_unpaid, before.is_unpaid
    found = (
        (has_ended and before.has_ended, ""),
        (has_ended, "over"),
        (is_unpaid and not was_unpaid, "unpaid"),
        (was_unpaid and not is_unpaid, "paid"),
        (row.is_ending and not before.is_ending, "ending"),
        (before.is_ending and not row.is_ending, "goes on"),
        (is_more(paid, before.paid), "better"),
        (row.booked != before.booked and is_more(paid, row.booked), "lesser"),
        (row.booked != before.booked, "stays"),
    )
    return next((what for is_so, what in found if is_so), "")


def _of_grace(
    row: Subscription, *, paid: Booked | None, ends_at: datetime | None, at: datetime
) -> None:
    period = f"{row.starts_at:%Y%m%d}"
    if ends_at is None:
        _raise(row, "over", occasion=f"{period}:over", paid=paid, ends_at=None, at=at)
    elif ends_at <= at + _LAST_CALL:
        _raise(row, "unpaid", occasion=f"{period}:last", paid=paid, ends_at=ends_at, at=at)


def _raise(
    row: Subscription,
    what: str,
    *,
    occasion: str,
    paid: Booked | None,
    ends_at: datetime | None,
    at: datetime,
) -> None:
    follows = row.booked
    data = {
        "what": what,
        "plan": follows.plan.name if follows else "",
        "seats": follows.limit if follows else None,
        "paid_plan": paid.plan.name if paid else "",
        "paid_seats": paid.limit if paid else None,
        "amount_cents": row.amount_cents,
        "currency": row.currency,
        "is_taxed": row.is_taxed,
        "is_discounted": row.is_discounted,
        "interval": row.interval,
        "renews_at": week.utc_text(row.renews_at),
        "plan_ends_at": week.utc_text(ends_at) if ends_at else "",
        "pay_url": row.pay_url if what == "unpaid" else "",
        "subscription": row.stripe_subscription_id,
    }
    raising.raise_alert(
        account=row.account,
        kind=Kind.PLAN_UNPAID if what == "unpaid" else Kind.PLAN,
        occasion=f"{row.stripe_subscription_id}:{occasion}",
        data=data,
        at=at,
    )
