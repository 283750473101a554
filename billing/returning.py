"""Money that went back after it was paid, by a refund or by the customer's bank.

Both happen at Stripe; an event says that something changed, and Stripe is asked what is so now.
What was bought goes with its money: what is unused is taken back, what was used is owed. A dispute
that is won gives it again.
"""

import logging
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from billing import fulfilment, telling
from billing.models import Purchase, StripeEvent
from billing.stripe_client import asking, intents, payments

logger = logging.getLogger(__name__)

_EVENTS = {
    "charge.refunded",
    "refund.failed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
}


@dataclass(frozen=True, slots=True)
class Returned:
    """What went back of what a session or a saved card paid, all of it together."""

    session_id: str | None
    cents: int
    asked_at: datetime
    by_bank_cents: int | None = None
    # Of what was bought by itself, without a session.
    intent_id: str | None = None


def returned_by(event: StripeEvent) -> Returned | None:
    """What is returned of the payment that an event is about; None where it is about none.

    Raises StripeUnavailable when it must be repeated, UnknownToStripe when that does not help.
    """
    if event.type not in _EVENTS:
        return None
    data = event.payload.get("data")
    thing = data.get("object") if isinstance(data, dict) else None
    intent_id = thing.get("payment_intent") if isinstance(thing, dict) else None
    if not isinstance(intent_id, str):
        # What was paid without Checkout is none of ours.
        return None
    # The clock, not the moment of the task: what was asked for later knows more.
    asked_at = timezone.now()
    payment = payments.payment_of(intent_id, within_seconds=asking.WORKER_SECONDS)
    if payment is None:
        return _of_saved_card(intent_id)
    taken_back = 0
    if payment.is_disputed:
        taken_back = payments.taken_back_cents(intent_id, within_seconds=asking.WORKER_SECONDS)
    return Returned(payment.session_id, payment.refunded_cents + taken_back, asked_at, taken_back)


def _of_saved_card(intent_id: str) -> Returned | None:
    """What is returned of a payment of no session; None where we did not ask for it."""
    if not Purchase.objects.filter(stripe_payment_intent_id=intent_id).exists():
        logger.warning("payment %s is of no purchase", intent_id)
        return None
    intent = intents.retrieve(intent_id)
    taken_back = 0
    if intent.is_disputed:
        taken_back = payments.taken_back_cents(intent_id, within_seconds=asking.WORKER_SECONDS)
    cents = intent.refunded_cents + taken_back
    return Returned(None, cents, intent.asked_at, taken_back, intent_id)


def keep(returned: Returned) -> None:
    """Write it down at the purchase, unless Stripe was asked again meanwhile."""
    with transaction.atomic():
        purchase = (
            Purchase.objects.select_for_update(of=("self",))
            .select_related("account")
            .filter(_paid_by(returned))
            .first()
        )
        if purchase is None:
            paid_by = returned.session_id or returned.intent_id
            logger.warning("what went back of %s is of no purchase", paid_by)
            return
        before_cents = purchase.returned_cents
        if not purchase.note_returned(returned.cents, asked_at=returned.asked_at):
            return
        fulfilment.take_back_returned(purchase, at=returned.asked_at)
        # What is not known to be paid yet is told of once it is.
        if purchase.returned_cents != before_cents and purchase.has_come:
            telling.of_return(
                purchase,
                before_cents=before_cents,
                by_bank_cents=returned.by_bank_cents,
                # The clock: what is told last is what is so.
                at=timezone.now(),
            )


def _paid_by(returned: Returned) -> Q:
    if returned.intent_id is not None:
        return Q(stripe_payment_intent_id=returned.intent_id)
    return Q(stripe_session_id=returned.session_id)
