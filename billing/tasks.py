from celery import shared_task
from django.utils import timezone

from billing import events


@shared_task(name="billing.handle_event", ignore_result=True)
def handle_event(event_pk: int) -> None:
    """Handle one event that was just stored."""
    events.handle(event_pk, at=timezone.now())


@shared_task(name="billing.handle_pending_events", ignore_result=True)
def handle_pending_events() -> None:
    """Handle events whose first try failed or never came."""
    events.handle_pending(at=timezone.now())
