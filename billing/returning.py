"""Money that went back after it was paid, by a refund or by the customer's bank.

Both happen at Stripe; an event says that something changed, and Stripe is asked what is so now.
What was bought goes with its money: what is unused is taken back, what was used is owed. A dispute
that is won gives it again.
"""

import logging
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from billing import fulfilment, telling
from billing.models import Purchase, StripeEvent
from billing.stripe_client import asking, payments

logger = logging.getLogger(__name__)

_EVENTS = {
    "charge.refunded",
    "refund.failed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
}


@dataclass(frozen=True, slots=True)
class Returned:
    """What went back of what a session took in, all of it together."""

    session_id: str
    cents: int
    asked_at: datetime
    by_bank_cents: int | None = None


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
        logger.warning("stripe event %s is about a payment of no session", event.event_id)
        return None
    taken_back = 0
    if payment.is_disputed:
        taken_back = payments.taken_back_cents(intent_id, within_seconds=asking.WORKER_SECONDS)
    return Returned(payment.session_id, payment.refunded_cents + taken_back, asked_at, taken_back)


def keep(returned: Returned) -> None:
    """Write it down at the purchase, unless Stripe was asked again meanwhile."""
    with transaction.atomic():
        purchase = (
            Purchase.objects.select_for_update(of=("self",))
            .select_related("account")
            .filter(stripe_session_id=returned.session_id)
            .first()
        )
        if purchase is None:
            logger.warning("stripe session %s is of no purchase", returned.session_id)
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
