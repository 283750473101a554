"""Giving a payment back through Stripe, wholly or in part, as staff decide.

The refund is a row before Stripe is asked, with nothing held while it is. Its number is part of
the key that Stripe knows it by and stands in what Stripe keeps of it, so that a call whose answer
was lost is repeated, by the sweep, and done once. What goes back with the money follows from what
Stripe says of the payment then, as with any other refund (billing.returning).
"""

import logging
import re
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import Q, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import User
from accounts.money import amount
from billing import returning
from billing.models import Purchase, Refund
from billing.stripe_client import asking, payments, refunds
from billing.stripe_client.errors import (
    StripeBusy,
    StripeRefuses,
    StripeRefusesUs,
    StripeUnavailable,
)
from billing.stripe_client.refunds import MadeRefund
from billing.turns import ask_in_turn

logger = logging.getLogger(__name__)

_AT_ONCE = 20
_ANOTHER_SESSION = re.compile(r"another session claims it: (cs_[A-Za-z0-9_]+)")
_REFUSALS = {
    "charge_already_refunded": "all of it was returned already",
    "charge_disputed": "a bank has taken the payment back, or may: it cannot be returned as well",
    "balance_insufficient": (
        "the balance at Stripe is too low; add to it there, then return the payment"
    ),
    "insufficient_funds": (
        "the balance at Stripe is too low; add to it there, then return the payment"
    ),
}


class CannotRefund(Exception):
    """Nothing was begun; the message says why."""


@dataclass(frozen=True, slots=True)
class Money:
    """A payment that arrived, and what of it can still go back."""

    session_id: str
    currency: str
    came_cents: int
    left_cents: int

    @property
    def left(self) -> str:
        """As people read it."""
        return amount(self.left_cents, self.currency)


def money_of(purchase: Purchase) -> Money | None:
    """What was paid for a purchase by its own session; None where nothing arrived by that."""
    has_other = bool(_ANOTHER_SESSION.search(purchase.problem))
    came_unasked = purchase.received_cents is not None and not has_other
    is_paid = purchase.status == Purchase.Status.PAID
    if not purchase.paid_through or not (is_paid or came_unasked):
        return None
    came = purchase.amount_cents if has_other else purchase.came_cents
    currency = purchase.currency if has_other else purchase.currency_of_payment
    left = came - purchase.returned_cents - _not_counted(purchase)
    return Money(purchase.paid_through, currency, came, max(0, left))


def money_of_problem(purchase: Purchase) -> Money | None:
    """What arrived and is the problem of a purchase; None where nothing did, as far as we know."""
    found = _ANOTHER_SESSION.search(purchase.problem)
    if not purchase.is_alarm or purchase.received_cents is None:
        return None
    if found is None:
        return money_of(purchase)
    ours = Refund.objects.filter(stripe_session_id=found[1], status__in=_GOES_BACK)
    gone = ours.aggregate(cents=Sum("amount_cents", default=0))["cents"]
    came = purchase.received_cents
    currency = purchase.currency_of_payment
    return Money(found[1], currency, came, max(0, came - gone))


_GOES_BACK = (Refund.Status.PENDING, Refund.Status.SUCCEEDED)


def _not_counted(purchase: Purchase) -> int:
    """Cents of refunds that may be under way and are not in what Stripe was last heard to say."""
    ours = Refund.objects.filter(stripe_session_id=purchase.paid_through, status__in=_GOES_BACK)
    if purchase.returned_asked_at is not None:
        ours = ours.filter(Q(answered_at=None) | Q(answered_at__gt=purchase.returned_asked_at))
    found: int = ours.aggregate(cents=Sum("amount_cents", default=0))["cents"]
    return found


def begin(
    *,
    purchase: Purchase,
    amount_cents: int,
    reason: str,
    by: User | None,
    submission: UUID,
    at: datetime,
    of_problem: bool = False,
) -> Refund:
    """Write a refund down, once per form; Stripe is not asked yet. Raises CannotRefund.

    of_problem: of the payment that is the purchase's problem, which then ends.
    """
    with transaction.atomic():
        # Of two at once the second reads what the first has left.
        locked = Purchase.objects.select_for_update(of=("self",)).get(pk=purchase.pk)
        if before := Refund.objects.filter(submission=submission).first():
            return before
        money = money_of_problem(locked) if of_problem else money_of(locked)
        if money is None:
            raise CannotRefund(_("No payment of this purchase is known that could be returned."))
        if amount_cents > money.left_cents or not money.left_cents:
            raise CannotRefund(
                _("Not more than %(left)s is left to return.") % {"left": money.left}
                if money.left_cents
                else _("Nothing is left to return: all of it went back, or is on its way.")
            )
        audit.record(
            locked.account,
            audit.Kind.MONEY,
            "refunded",
            thing=locked.product_name,
            changes={"amount": (None, amount(amount_cents, money.currency))},
            note=reason,
            by=by,
        )
        return Refund.objects.create(
            purchase=locked,
            stripe_session_id=money.session_id,
            amount_cents=amount_cents,
            currency=money.currency,
            reason=reason,
            by=by,
            submission=submission,
            ends_problem=of_problem,
            created_at=at,
            ask_at=at,
        )


def ask(refund: Refund, *, at: datetime, within_seconds: float) -> None:
    """Have Stripe do a refund that was written down, and write down what it says.

    As often as one likes: it is done once. Raises StripeUnavailable while it is not known whether
    it was; the sweep asks again.
    """
    if not refund.claim(at=at):
        return
    try:
        payment = payments.payment_by(refund.stripe_session_id, within_seconds=within_seconds)
        if payment is None or not payment.intent_id:
            _refuse(refund, "Stripe has no payment under this session")
            return
        made = _made(refund, payment.intent_id, at=at, within_seconds=within_seconds)
    except StripeRefusesUs:
        # If it was asked for before, that may have been heard: then it stays open.
        if not Refund.objects.filter(pk=refund.pk, asked_at=None).exists():
            raise
        _refuse(refund, "Stripe does not let our key return payments: give it the right to refunds")
        return
    except StripeRefuses as error:
        _refuse(refund, _in_words(error))
        _look_again(refund, within_seconds=within_seconds)
        return
    _keep(refund, made, at=at)
    _look_again(refund, within_seconds=within_seconds)


def _made(refund: Refund, intent_id: str, *, at: datetime, within_seconds: float) -> MadeRefund:
    """The refund at Stripe, which is made unless it was."""
    mark = str(refund.pk)
    unasked = Refund.objects.filter(pk=refund.pk, asked_at=None)
    is_first = bool(unasked.update(asked_at=at))
    if not is_first:
        # A key is known for a day only: whoever asks again looks first.
        known = refunds.of_payment(intent_id, within_seconds=within_seconds)
        if found := next((made for made in known if made.mark == mark), None):
            return found
    try:
        return refunds.create(
            intent_id,
            amount_cents=refund.amount_cents,
            mark=mark,
            metadata={"purchase": str(refund.purchase_id)},
            key=f"refund-{refund.pk}-{refund.submission}",
            within_seconds=within_seconds,
        )
    except (StripeBusy, StripeRefusesUs):
        # It was not heard.
        if is_first:
            Refund.objects.filter(pk=refund.pk).update(asked_at=None)
        raise


def _keep(refund: Refund, made: MadeRefund, *, at: datetime) -> None:
    with transaction.atomic():
        purchase = Purchase.objects.select_for_update(of=("self",)).get(pk=refund.purchase_id)
        locked = Refund.objects.select_for_update(of=("self",)).get(pk=refund.pk)
        # The clock: what Stripe said before this moment may not have known of it.
        locked.learn(made, at=timezone.now())
        purchase.end_problem_by(locked, at=at)
    refund.refresh_from_db()


def _refuse(refund: Refund, why: str) -> None:
    logger.warning("refund %s of purchase %s: %s", refund.pk, refund.purchase_id, why)
    with transaction.atomic():
        locked = Refund.objects.select_for_update(of=("self",)).get(pk=refund.pk)
        if locked.status == Refund.Status.PENDING and locked.stripe_refund_id is None:
            locked.mark_refused(why)
    refund.refresh_from_db()


def _in_words(error: StripeRefuses) -> str:
    if error.code in _REFUSALS:
        return _REFUSALS[error.code]
    if error.param == "amount":
        return "less than that is left to return"
    return f"Stripe does not do it: {error.code or error.param or error}"


def _look_again(refund: Refund, *, within_seconds: float) -> None:
    """Bring what went back up to date; where Stripe gives no answer, its event does it later."""
    try:
        returning.look(refund.stripe_session_id, within_seconds=within_seconds)
    except (StripeUnavailable, StripeRefuses) as error:
        logger.warning("refund %s: what went back is not known yet: %s", refund.pk, error)
    refund.refresh_from_db()


def ask_about_due(*, at: datetime) -> int:
    """Ask Stripe about refunds that have no end yet; answers how many were asked about."""
    due = Refund.objects.filter(status=Refund.Status.PENDING, ask_at__lte=at).order_by("ask_at")
    return ask_in_turn(
        list(due[:_AT_ONCE]), partial(_take_turn, at=at), named=lambda row: f"refund {row.pk}"
    )


def _take_turn(refund: Refund, *, at: datetime) -> bool:
    _go_on(refund, at=at)
    return True


def _go_on(refund: Refund, *, at: datetime) -> None:
    if refund.stripe_refund_id is None:
        ask(refund, at=at, within_seconds=asking.WORKER_SECONDS)
    elif refund.claim(at=at):
        returning.look(refund.stripe_session_id, within_seconds=asking.WORKER_SECONDS)
