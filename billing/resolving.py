"""What a person does about a purchase that did not go as ordered. The alarm ends, with a reason."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from billing import fulfilment, refunding
from billing.models import Purchase, Refund
from billing.stripe_client import asking


class CannotResolve(Exception):
    """Nothing was done; the message says why."""


def grant_anyway(*, purchase: Purchase, by: User | None, reason: str, at: datetime) -> None:
    """Accept the payment as it is: give what was ordered, once."""
    with transaction.atomic():
        locked = _locked(purchase)
        if locked.status == Purchase.Status.PAID:
            raise CannotResolve(
                _("What was ordered was given already. If more is due, grant a boost or credits.")
            )
        fulfilment.grant(locked, at=at)
        locked.mark(Purchase.Status.PAID, at=at)
        locked.mark_resolved(by=by, resolution=reason, at=at)


def dismiss(*, purchase: Purchase, by: User | None, reason: str, at: datetime) -> None:
    """End the alarm and give nothing; a purchase that waited for a person is closed."""
    with transaction.atomic():
        locked = _locked(purchase)
        if locked.status == Purchase.Status.REVIEW:
            locked.mark(Purchase.Status.CLOSED, at=at)
        locked.mark_resolved(by=by, resolution=reason, at=at)


def ask_again(*, purchase: Purchase, by: User | None, reason: str, at: datetime) -> None:
    """Take a purchase that waits for a person back among the open ones: Stripe is asked anew."""
    with transaction.atomic():
        locked = _locked(purchase)
        if locked.status != Purchase.Status.REVIEW:
            raise CannotResolve(_("Only a purchase that needs a person can be asked about again."))
        locked.mark_resolved(by=by, resolution=reason, at=at)
        locked.mark(Purchase.Status.PENDING, at=at)
        locked.ask_at = at
        locked.save(update_fields=["ask_at"])


def refund(
    *, purchase: Purchase, by: User | None, reason: str, submission: UUID, at: datetime
) -> Refund:
    """Return all that arrived and is left of it; the problem ends when Stripe has taken that.

    Raises CannotResolve, or StripeUnavailable: then the sweep goes on.
    """
    money = refunding.money_of_problem(purchase)
    if money is None:
        raise CannotResolve(_("No payment of this purchase is known that could be returned."))
    try:
        begun = refunding.begin(
            purchase=purchase,
            amount_cents=money.left_cents,
            reason=reason,
            by=by,
            submission=submission,
            at=at,
            of_problem=True,
        )
    except refunding.CannotRefund as error:
        raise CannotResolve(str(error)) from error
    refunding.ask(begun, at=at, within_seconds=asking.PAGE_SECONDS)
    begun.refresh_from_db()
    if not begun.goes_back:
        raise CannotResolve(_("Nothing was returned: %(why)s.") % {"why": begun.error_in_words})
    return begun


def _locked(purchase: Purchase) -> Purchase:
    locked = (
        Purchase.objects.select_for_update(of=("self",))
        .select_related("account")
        .get(pk=purchase.pk)
    )
    if not locked.is_alarm:
        raise CannotResolve(_("This was dealt with already."))
    return locked
