"""Stripe's events: stored first, acknowledged, handled after that, repeated until they are."""

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from billing import fulfilment, returning
from billing.models import StripeEvent
from billing.stripe_client.errors import (
    StripeBusy,
    StripeRefuses,
    StripeRefusesUs,
    StripeUnavailable,
)
from billing.subscriptions import keeping, ordering
from billing.top_ups import paying

logger = logging.getLogger(__name__)

_SWEEP_AT_ONCE = 50
# Longer than Stripe is waited for. Who dies meanwhile is followed by another after that.
_CLAIM = timedelta(minutes=2)


def store(event: dict[str, Any], *, at: datetime) -> StripeEvent | None:
    """Keep a verified event; None when it came before."""
    stored, is_new = StripeEvent.objects.get_or_create(
        event_id=event["id"],
        defaults={"type": event["type"], "payload": event, "received_at": at, "retry_at": at},
    )
    return stored if is_new else None


def handle(event_pk: int, *, at: datetime) -> bool:
    """Handle one stored event unless that has happened or is happening.

    False when it has to be repeated because Stripe gave no answer. Claimed in one transaction and
    settled in another: Stripe is asked in between, with nothing held.
    """
    event = StripeEvent.objects.filter(pk=event_pk, handled_at=None).first()
    if event is None or not event.claim(at=at, until=at + _CLAIM):
        return True
    try:
        session = fulfilment.session_of(event)
        subscription = keeping.subscription_of(event, session)
        intent = paying.intent_of(event)
        returned = returning.returned_by(event)
        with transaction.atomic():
            reason = ""
            if session is not None and session.mode == "payment":
                reason = fulfilment.settle(session, at=at)
            elif session is not None:
                reason = ordering.settle(session, at=at)
            if subscription is not None:
                reason = keeping.keep(subscription, at=at) or reason
            if intent is not None:
                reason = paying.settle(intent, at=at)
            if returned is not None:
                returning.keep(returned)
            event.mark_handled(at=at, reason=reason)
    except (StripeRefuses, fulfilment.NamesNoSession) as error:
        logger.error("stripe event %s ends without effect: %s", event.event_id, error)
        event.mark_handled(at=at, reason=str(error))
    except StripeBusy:
        # Nothing failed: it is as due as before, and found by the sweep.
        event.let_go()
        return False
    except StripeRefusesUs as error:
        event.mark_failed(error=str(error), at=at)
        return False
    except StripeUnavailable as error:
        event.mark_failed(error=f"Stripe gave no answer: {error}", at=at)
        return False
    except Exception as error:
        logger.exception("stripe event %s failed", event.event_id)
        event.mark_failed(error=type(error).__name__, at=at)
    return True


def handle_pending(*, at: datetime) -> int:
    """Handle what is due, oldest first; answers how many were tried.

    If Stripe gives no answer, the others wait for the next time: this one comes later by then.
    """
    due = StripeEvent.objects.filter(handled_at=None, retry_at__lte=at).order_by("received_at")
    tried = 0
    for event_pk in list(due.values_list("pk", flat=True)[:_SWEEP_AT_ONCE]):
        tried += 1
        if not handle(event_pk, at=at):
            break
    return tried
