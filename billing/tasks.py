"""Work that waits for Stripe: it has a queue and a worker of its own (CELERY_TASK_ROUTES)."""

import logging

from celery import shared_task
from django.utils import timezone

from billing import comparing, events, open_orders, reconciling, refunding, watching
from billing.subscriptions import sweeping
from billing.top_ups import paying

logger = logging.getLogger(__name__)


@shared_task(name="billing.handle_event", ignore_result=True)
def handle_event(event_pk: int) -> None:
    """Handle one event that was just stored."""
    events.handle(event_pk, at=timezone.now())


@shared_task(name="billing.handle_pending_events", ignore_result=True)
def handle_pending_events() -> None:
    """Handle events whose first try failed or never came."""
    events.handle_pending(at=timezone.now())


@shared_task(name="billing.ask_about_open_orders", ignore_result=True)
def ask_about_open_orders() -> None:
    """Bring orders to an end of which no event told us."""
    open_orders.ask_about_due(at=timezone.now())


@shared_task(name="billing.look_after_plans", ignore_result=True)
def look_after_plans() -> None:
    """Bring orders of plans to an end, and subscriptions up to date, of which no event told us."""
    sweeping.ask_about_due(at=timezone.now())


@shared_task(name="billing.top_up", ignore_result=True)
def top_up() -> None:
    """Buy credits where they run low and somebody wants that; bring such purchases to an end."""
    paying.ask_about_open(at=timezone.now())
    paying.buy_what_is_due(at=timezone.now())


@shared_task(name="billing.ask_about_refunds", ignore_result=True)
def ask_about_refunds() -> None:
    """Bring refunds to an end whose answer was lost, or that take their time."""
    refunding.ask_about_due(at=timezone.now())


@shared_task(name="billing.reconcile", ignore_result=True)
def reconcile() -> None:
    """Look at Stripe for what no event told of, every hour; and say what is wrong with that."""
    reconciling.reconcile_if_due(at=timezone.now())
    watching.look(at=timezone.now())


@shared_task(name="billing.compare_books", ignore_result=True)
def compare_books() -> None:
    """Compare the ledger with the gate, and purchases with Stripe."""
    try:
        comparing.compare(at=timezone.now())
    except reconciling.UnderWay:
        logger.warning("the books are being compared already")
