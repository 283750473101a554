"""Money that went back after it was paid, by a refund or by the customer's bank.

Both happen at Stripe; an event says that something changed, and Stripe is asked what is so now.
What was bought goes with its money: what is unused is taken back, what was used is owed. A dispute
that is won gives it again.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from billing import fulfilment, telling
from billing.models import Purchase, Refund, StripeEvent
from billing.stripe_client import asking, payments, refunds
from billing.stripe_client.errors import UnknownToStripe
from billing.stripe_client.payments import Payment
from billing.stripe_client.refunds import MadeRefund

logger = logging.getLogger(__name__)

EVENTS = {
    "charge.refunded",
    "refund.failed",
    "refund.updated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
}


class WithoutEffect(Exception):
    """An event about a payment that is none of ours, which is no mistake; the message says why."""


@dataclass(frozen=True, slots=True)
class Returned:
    """What went back of what a session or a saved card paid, all of it together.

    session_id, purchase: as those of a Payment; refunds: as Stripe knows them, where some were made
    here; by_bank_cents: what a bank holds of it.
    """

    session_id: str
    cents: int
    asked_at: datetime
    refunds: tuple[MadeRefund, ...] = ()
    by_bank_cents: int | None = None
    purchase: str | None = None


def returned_by(event: StripeEvent) -> Returned | None:
    """What is returned of the payment that an event is about; None where it is about none.

    Raises StripeUnavailable when it must be repeated, UnknownToStripe or WithoutEffect when that
    does not help.
    """
    if event.type not in EVENTS:
        return None
    intent_id = event.says("payment_intent")
    if not isinstance(intent_id, str):
        # What was paid without Checkout is none of ours.
        raise WithoutEffect("the event names no payment")
    returned = returned_of(intent_id, within_seconds=asking.WORKER_SECONDS)
    if returned is None:
        raise WithoutEffect("the payment came by no session of Checkout")
    return returned


def returned_of(intent_id: str, *, within_seconds: float) -> Returned | None:
    """What is returned of a payment; None where it is of no session. Raises StripeUnavailable."""
    # The clock, not the moment of the task: what was asked for later knows more.
    asked_at = timezone.now()
    payment = payments.payment_of(intent_id, within_seconds=within_seconds)
    if payment is None:
        payment = _payment_by_saved_card(intent_id, within_seconds=within_seconds)
    if payment is None:
        return None
    return _returned(payment, intent_id, asked_at=asked_at, within_seconds=within_seconds)


def _payment_by_saved_card(intent_id: str, *, within_seconds: float) -> Payment | None:
    """A payment without a session, where it is of a purchase of ours."""
    try:
        payment = payments.payment_by(intent_id, within_seconds=within_seconds)
    except UnknownToStripe:
        return None
    if payment is None:
        return None
    ours = paid_by(intent_id) | _names(payment.purchase)
    return payment if Purchase.objects.filter(ours).exists() else None


def returned_by_session(session_id: str, *, within_seconds: float) -> Returned | None:
    """What is returned of what a session took in; None where that was nothing.

    Raises StripeUnavailable or UnknownToStripe.
    """
    asked_at = timezone.now()
    payment = payments.payment_by(session_id, within_seconds=within_seconds)
    if payment is None:
        return None
    return _returned(payment, payment.intent_id, asked_at=asked_at, within_seconds=within_seconds)


def look(session_id: str, *, within_seconds: float) -> None:
    """Ask Stripe what went back of what a session took in, and write it down.

    Raises StripeUnavailable or UnknownToStripe.
    """
    returned = returned_by_session(session_id, within_seconds=within_seconds)
    if returned is not None:
        keep(returned)


def _returned(
    payment: Payment, intent_id: str, *, asked_at: datetime, within_seconds: float
) -> Returned:
    taken_back = 0
    if payment.is_disputed:
        taken_back = payments.taken_back_cents(intent_id, within_seconds=within_seconds)
    made: list[MadeRefund] = []
    if Refund.objects.filter(stripe_session_id=payment.session_id).exists():
        made = refunds.of_payment(intent_id, within_seconds=within_seconds)
    cents = payment.refunded_cents + taken_back
    return Returned(
        payment.session_id, cents, asked_at, tuple(made), taken_back, purchase=payment.purchase
    )


def keep(returned: Returned) -> str:
    """Write it down at the purchase, unless Stripe was asked again meanwhile.

    Answers why that had no effect where the session is of no purchase; "" otherwise.
    """
    with transaction.atomic():
        _learn(returned)
        purchase = (
            Purchase.objects.select_for_update(of=("self",))
            .select_related("account")
            .filter(_returned_to(returned))
            .first()
        )
        if purchase is None:
            logger.warning("what went back of %s is of no purchase", returned.session_id)
            return "the session is of no purchase of ours"
        if purchase.paid_through != returned.session_id:
            # It comes before the answer to what paid for it, and says as well what that was.
            purchase.stripe_payment_intent_id = returned.session_id
            purchase.save(update_fields=["stripe_payment_intent_id"])
        before_cents = purchase.returned_cents
        if not purchase.note_returned(returned.cents, asked_at=returned.asked_at):
            return ""
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
    return ""


def paid_by(session_id: str) -> Q:
    """A condition for the purchase that a session, or a payment by a saved card, has paid."""
    if payments.is_of_saved_card(session_id):
        return Q(stripe_payment_intent_id=session_id)
    return Q(stripe_session_id=session_id)


def _returned_to(returned: Returned) -> Q:
    if payments.is_of_saved_card(returned.session_id):
        return paid_by(returned.session_id) | _names(returned.purchase)
    return paid_by(returned.session_id)


def _names(purchase: str | None) -> Q:
    """A condition for what a payment by a saved card names, of which we do not know that it paid.

    No answer and no event may have told of it yet.
    """
    try:
        named = UUID(purchase or "")
    except ValueError:
        return Q(pk__in=())
    return Q(pk=named, is_top_up=True, stripe_payment_intent_id=None)


def _learn(returned: Returned) -> None:
    """What became of the refunds that were made here, those among them whose answer was lost."""
    if not returned.refunds:
        return
    ours = Refund.objects.filter(stripe_session_id=returned.session_id)
    # As whoever makes one locks them: purchases first.
    purchases = Purchase.objects.select_for_update(of=("self",)).in_bulk(
        list(ours.values_list("purchase", flat=True))
    )
    by_mark = {str(refund.pk): refund for refund in ours.select_for_update(of=("self",))}
    for made in returned.refunds:
        if refund := by_mark.get(made.mark):
            # Stripe was asked for the sum before: it need not be in that.
            refund.learn(made, at=timezone.now())
            purchases[refund.purchase_id].end_problem_by(refund, at=returned.asked_at)
