"""Stripe's events: stored first, acknowledged, handled after that, repeated until they are."""

import logging
from datetime import datetime
from typing import Any

from django.db import transaction

from billing import fulfilment
from billing.models import StripeEvent
from billing.stripe_client import StripeUnavailable

logger = logging.getLogger(__name__)

_SWEEP_AT_ONCE = 50


def store(event: dict[str, Any], *, at: datetime) -> StripeEvent | None:
    """Keep a verified event; None when it came before."""
    stored, is_new = StripeEvent.objects.get_or_create(
        event_id=event["id"],
        defaults={"type": event["type"], "payload": event, "received_at": at, "retry_at": at},
    )
    return stored if is_new else None


def handle(event_pk: int, *, at: datetime) -> None:
    """Handle one stored event unless that has happened or is happening."""
    with transaction.atomic():
        event = (
            StripeEvent.objects.select_for_update(skip_locked=True)
            .filter(pk=event_pk, handled_at=None)
            .first()
        )
        if event is None:
            return
        try:
            with transaction.atomic():
                fulfilment.handle(event, at=at)
        except StripeUnavailable as error:
            event.mark_failed(error=f"Stripe gave no answer: {error}", at=at)
        except Exception as error:
            logger.exception("stripe event %s failed", event.event_id)
            event.mark_failed(error=type(error).__name__, at=at)
        else:
            event.mark_handled(at=at)


def handle_pending(*, at: datetime) -> int:
    """Handle what is due, oldest first; answers how many were tried."""
    due = StripeEvent.objects.filter(handled_at=None, retry_at__lte=at).order_by("received_at")
    pending = list(due.values_list("pk", flat=True)[:_SWEEP_AT_ONCE])
    for event_pk in pending:
        handle(event_pk, at=at)
    return len(pending)
