"""Every order ends: Stripe is asked about the open ones until each is paid, given up or an alarm.

An event may never be made, and a buyer may never come back. An order is asked about again after as
long as it is old, but at least every hour; the next time is written down before Stripe is asked, so
that nothing is asked about twice at once and a worker that dies costs one turn.
"""

import logging
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction

from billing import fulfilment
from billing.models import Purchase
from billing.stripe_client import asking, sessions
from billing.stripe_client.errors import StripeRefuses, StripeUnavailable
from billing.turns import ask_in_turn

logger = logging.getLogger(__name__)

_OPEN = (Purchase.Status.PENDING, Purchase.Status.PROCESSING)
_SOONEST = timedelta(minutes=5)
_LATEST = timedelta(hours=1)
_AT_ONCE = 20
# A page that has not been made by then will not be: its order was never payable.
_NEVER_OPENED_AFTER = timedelta(hours=1)
# The slowest bank debits take two weeks.
_UNDECIDED_AFTER = timedelta(days=30)
# How far Stripe's clock may be from ours.
_CLOCKS_APART = timedelta(minutes=5)


def ask_about_due(*, at: datetime) -> int:
    """Ask Stripe about open orders whose time has come; answers how many were asked about."""
    # Those that were bought by themselves have no page: `top_ups` asks about them.
    due = Purchase.objects.filter(status__in=_OPEN, is_top_up=False, ask_at__lte=at)
    due = due.order_by("ask_at")
    return ask_in_turn(
        list(due.select_related("account")[:_AT_ONCE]),
        partial(_take_turn, at=at),
        named=lambda purchase: f"open order {purchase.pk}",
    )


def _take_turn(purchase: Purchase, *, at: datetime) -> bool:
    if not _claim(purchase, at=at):
        return False
    try:
        _ask_about(purchase, at=at)
    except StripeUnavailable:
        _set_aside_if_undecided(purchase, at=at)
        raise
    return True


def _claim(purchase: Purchase, *, at: datetime) -> bool:
    wait = min(max(at - purchase.created_at, _SOONEST), _LATEST)
    rows = Purchase.objects.filter(pk=purchase.pk, status__in=_OPEN, ask_at=purchase.ask_at)
    return bool(rows.update(ask_at=at + wait))


def _ask_about(purchase: Purchase, *, at: datetime) -> None:
    if purchase.stripe_session_id:
        session_ids = [purchase.stripe_session_id]
    else:
        session_ids = _lost_sessions(purchase, at=at)
        if not session_ids:
            _give_up_unopened(purchase, at=at)
    try:
        for session_id in session_ids:
            fulfilment.settle(
                sessions.retrieve(session_id, within_seconds=asking.WORKER_SECONDS),
                at=at,
            )
    except StripeRefuses as error:
        _set_aside_if_open(purchase, str(error), at=at)
        return
    _set_aside_if_undecided(purchase, at=at)


def _lost_sessions(purchase: Purchase, *, at: datetime) -> list[str]:
    """Sessions that were made for an order although no answer reached us."""
    if purchase.opened_at is None and purchase.created_at > at - _NEVER_OPENED_AFTER:
        return []
    last_opened_at = purchase.opened_at or purchase.created_at
    return sessions.ids_for(
        purchase,
        since=purchase.created_at - _CLOCKS_APART,
        until=last_opened_at + _CLOCKS_APART * 2,
    )


def _give_up_unopened(purchase: Purchase, *, at: datetime) -> None:
    """End an order for which no payment page was ever made, unless one is being made now."""
    before = at - _NEVER_OPENED_AFTER
    with transaction.atomic():
        locked = Purchase.objects.select_for_update().get(pk=purchase.pk)
        is_new = (locked.opened_at or locked.created_at) > before
        if locked.is_open and locked.stripe_session_id is None and not is_new:
            locked.mark(Purchase.Status.ABANDONED, at=at)


def _set_aside_if_undecided(purchase: Purchase, *, at: datetime) -> None:
    if at - purchase.created_at > _UNDECIDED_AFTER:
        _set_aside_if_open(purchase, f"not decided after {_UNDECIDED_AFTER.days} days", at=at)


def _set_aside_if_open(purchase: Purchase, problem: str, *, at: datetime) -> None:
    with transaction.atomic():
        locked = Purchase.objects.select_for_update().get(pk=purchase.pk)
        if locked.is_open:
            fulfilment.set_aside(locked, problem, at=at)
