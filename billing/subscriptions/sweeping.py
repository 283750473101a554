"""Orders of plans and subscriptions of which no event tells: Stripe is asked until all is said.

As with other orders, when it is asked next is written down before it is asked.
"""

import logging
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction

from billing.stripe_client import asking, sessions, subscriptions
from billing.stripe_client.errors import StripeRefuses, UnknownToStripe
from billing.subscriptions import keeping, ordering
from billing.subscriptions.models import PlanOrder, Subscription
from billing.turns import ask_in_turn

logger = logging.getLogger(__name__)

_SOONEST = timedelta(minutes=5)
_LATEST = timedelta(hours=1)
_AT_ONCE = 20
# A page that has not been made by then will not be.
_NEVER_OPENED_AFTER = timedelta(hours=1)
# A session lasts for a day.
_GIVEN_UP_AFTER = timedelta(days=3)
_CLOCKS_APART = timedelta(minutes=5)


def ask_about_due(*, at: datetime) -> int:
    """Ask Stripe about what is due; answers how many orders and subscriptions that were."""
    return _ask_about_orders(at=at) + _ask_about_subscriptions(at=at)


def _ask_about_orders(*, at: datetime) -> int:
    due = PlanOrder.objects.filter(status=PlanOrder.Status.OPEN, ask_at__lte=at).order_by("ask_at")
    return ask_in_turn(
        list(due.select_related("account", "plan")[:_AT_ONCE]),
        partial(_take_turn_of_order, at=at),
        named=lambda order: f"order {order.pk} of a plan",
    )


def _take_turn_of_order(order: PlanOrder, *, at: datetime) -> bool:
    wait = min(max(at - order.created_at, _SOONEST), _LATEST)
    mine = PlanOrder.objects.filter(pk=order.pk, ask_at=order.ask_at)
    if not mine.update(ask_at=at + wait):
        return False
    try:
        _ask_about_order(order, at=at)
    except StripeRefuses as error:
        logger.error("order %s of a plan: %s", order.pk, error)
        _end(order, PlanOrder.Status.EXPIRED, at=at)
    return True


def _ask_about_order(order: PlanOrder, *, at: datetime) -> None:
    session_ids = [order.stripe_session_id] if order.stripe_session_id else _lost(order, at=at)
    for session_id in session_ids:
        session = sessions.retrieve(session_id, within_seconds=asking.WORKER_SECONDS)
        ordering.take(session, within_seconds=asking.WORKER_SECONDS, at=at)
    if not session_ids and (order.opened_at or order.created_at) < at - _NEVER_OPENED_AFTER:
        _end(order, PlanOrder.Status.ABANDONED, at=at)
    elif order.created_at < at - _GIVEN_UP_AFTER:
        _end(order, PlanOrder.Status.EXPIRED, at=at)


def _lost(order: PlanOrder, *, at: datetime) -> list[str]:
    """Sessions that were made for an order although no answer reached us."""
    if order.opened_at is None:
        return []
    return sessions.ids_for(
        order,
        since=order.created_at - _CLOCKS_APART,
        until=order.opened_at + _CLOCKS_APART * 2,
    )


def _end(order: PlanOrder, status: PlanOrder.Status, *, at: datetime) -> None:
    with transaction.atomic():
        locked = PlanOrder.objects.select_for_update().get(pk=order.pk)
        if locked.is_open:
            locked.end(status, at=at)


def _ask_about_subscriptions(*, at: datetime) -> int:
    due = Subscription.objects.filter(ended_at=None, ask_at__lte=at).order_by("ask_at")
    return ask_in_turn(
        list(due[:_AT_ONCE]),
        partial(_take_turn_of_subscription, at=at),
        named=lambda row: f"subscription {row.stripe_subscription_id}",
    )


def _take_turn_of_subscription(row: Subscription, *, at: datetime) -> bool:
    mine = Subscription.objects.filter(pk=row.pk, ask_at=row.ask_at)
    if not mine.update(ask_at=at + _LATEST):
        return False
    try:
        known = subscriptions.retrieve(
            row.stripe_subscription_id, within_seconds=asking.WORKER_SECONDS
        )
    except UnknownToStripe as error:
        logger.error("subscription %s: %s", row.stripe_subscription_id, error)
        Subscription.objects.filter(pk=row.pk).update(problem="Stripe does not know it")
    else:
        keeping.keep(known, at=at)
    return True
