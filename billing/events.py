"""Stripe's events: stored first, acknowledged, handled after that, repeated until they are."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from billing import fulfilment, returning
from billing.models import StripeEvent
from billing.returning import Returned
from billing.stripe_client.errors import (
    StripeBusy,
    StripeRefuses,
    StripeRefusesUs,
    StripeUnavailable,
)
from billing.stripe_client.intents import Intent
from billing.stripe_client.sessions import CheckoutSession
from billing.stripe_client.subscriptions import StripeSubscription
from billing.subscriptions import keeping, ordering
from billing.top_ups import paying

logger = logging.getLogger(__name__)

_SWEEP_AT_ONCE = 50
_KNOWN = fulfilment.EVENTS | returning.EVENTS | keeping.INVOICE_EVENTS | paying.EVENTS
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
        asked = _ask_about(event)
        with transaction.atomic():
            event.mark_handled(at=at, reason=_keep(asked, event, at=at))
    except (StripeRefuses, fulfilment.NamesNoSession) as error:
        logger.error("stripe event %s ends without effect: %s", event.event_id, error)
        event.mark_handled(at=at, reason=str(error))
    except returning.WithoutEffect as none_of_ours:
        event.mark_handled(at=at, reason=str(none_of_ours))
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


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an event is about, as Stripe knows it now."""

    session: CheckoutSession | None
    subscription: StripeSubscription | None
    intent: Intent | None
    returned: Returned | None


_NOTHING = _Asked(session=None, subscription=None, intent=None, returned=None)


def _ask_about(event: StripeEvent) -> _Asked:
    session = fulfilment.session_of(event)
    return _Asked(
        session=session,
        subscription=keeping.subscription_of(event, session),
        intent=paying.intent_of(event),
        returned=returning.returned_by(event),
    )


def _keep(asked: _Asked, event: StripeEvent, *, at: datetime) -> str:
    """Write down what Stripe said; answers why that had no effect, "" where it had one."""
    reason = ""
    if asked.session is not None:
        settle = fulfilment.settle if asked.session.mode == "payment" else ordering.settle
        reason = settle(asked.session, at=at)
    if asked.subscription is not None:
        reason = keeping.keep(asked.subscription, at=at) or reason
    if asked.intent is not None:
        reason = paying.settle(asked.intent, at=at)
    if asked.returned is not None:
        reason = returning.keep(asked.returned)
    if not (event.type in _KNOWN or event.type.startswith(keeping.SUBSCRIPTION_EVENTS)):
        reason = "nothing here depends on events of this type"
    elif asked == _NOTHING:
        reason = "the event names nothing of ours"
    return reason


def handle_again(event_pk: int, *, at: datetime) -> bool:
    """Have an event handled once more, by whoever comes next: also one that was, or that failed.

    What follows from it is what Stripe says now, and nothing is given twice. False while a worker
    is at it.
    """
    free = Q(claimed_until=None) | Q(claimed_until__lte=at)
    rows = StripeEvent.objects.filter(free, pk=event_pk)
    return bool(rows.update(handled_at=None, error="", attempts=0, retry_at=at, claimed_until=None))


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
