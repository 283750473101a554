"""Turning a paid session into a grant, once.

An event, the landing page or a sweep may ask for it, in any order and any number of times. What
counts is what Stripe says of the session now, never what an old event said. Stripe is asked first,
with nothing held; what it said is written down in a transaction of its own after that.
"""

import logging
from datetime import datetime
from uuid import UUID

from django.db import transaction

from billing import looking, telling
from billing.models import Product, Purchase, StripeEvent
from billing.stripe_client import asking, sessions
from billing.stripe_client.sessions import CheckoutSession
from quotas import grants

logger = logging.getLogger(__name__)

EVENTS = {
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
}


class NamesNoSession(Exception):
    """An event about a session does not say which, and never will."""


def session_of(event: StripeEvent) -> CheckoutSession | None:
    """The session that an event is about, as Stripe knows it now; None when it is about none.

    Raises StripeUnavailable when it must be repeated, StripeRefuses or NamesNoSession when that
    does not help.
    """
    if event.type not in EVENTS:
        return None
    session_id = event.says("id")
    if not isinstance(session_id, str):
        raise NamesNoSession("the event names no session")
    return sessions.retrieve(session_id, within_seconds=asking.WORKER_SECONDS)


def look(purchase: Purchase, *, at: datetime) -> bool:
    """Bring an open purchase up to date for a page, if nobody has just asked Stripe about it.

    Answers whether Stripe was asked and has answered. Raises StripeUnavailable or StripeRefuses.
    """
    if purchase.is_open and purchase.stripe_session_id and looking.claim(purchase, at=at):
        session = sessions.retrieve(purchase.stripe_session_id, within_seconds=asking.PAGE_SECONDS)
        settle(session, at=at)
        purchase.refresh_from_db()
        return True
    return False


def settle(session: CheckoutSession, *, at: datetime) -> str:
    """Bring the purchase of a session up to date; grant what was bought if it is paid.

    Answers why that had no effect where the session is of no purchase; "" otherwise.
    """
    if session.mode != "payment":
        return "the session is of no purchase"
    with transaction.atomic():
        try:
            purchase = _purchase_of(session)
        except _OfNoPurchase as error:
            return str(error)
        is_paid = session.payment_status == "paid" or _is_free_by_code(session)
        # What Stripe calls paid is paid, also where we had given the order up.
        if not (purchase.is_open or (purchase.ended_unpaid and is_paid)):
            return ""
        problem = _mismatch(purchase, session)
        if problem:
            _needs_a_person(purchase, problem, session=session, at=at)
        elif is_paid:
            purchase.note_payment(
                paid_cents=session.amount_cents or 0,
                discount_cents=session.discount_cents,
                tax_cents=session.tax_cents,
                receipt_url=session.receipt_url,
                invoice_url=session.invoice_url,
                invoice_pdf_url=session.invoice_pdf_url,
            )
            grant(purchase, at=at)
            purchase.mark(Purchase.Status.PAID, at=at)
            note_if_closed(purchase)
        elif session.status == "expired":
            purchase.mark(Purchase.Status.EXPIRED, at=at)
        elif session.payment_failed:
            purchase.mark(Purchase.Status.FAILED, at=at)
        elif session.status == "complete":
            purchase.mark(Purchase.Status.PROCESSING, at=at)
    return ""


def _is_free_by_code(session: CheckoutSession) -> bool:
    """Whether there was nothing to pay because a promotion code took all of the price off."""
    return (
        session.payment_status == "no_payment_required"
        and session.status == "complete"
        and session.takes_codes
        and session.amount_cents == 0
        and session.discount_cents > 0
        and session.discount_cents == session.subtotal_cents
    )


def _price_of(session: CheckoutSession) -> int | None:
    """What was paid for, before what Stripe itself took off by a code and added as tax.

    None where its numbers do not add up, or have in them what was never asked for.
    """
    discount, tax = session.discount_cents, session.tax_cents
    if session.amount_cents is None or not (discount or tax):
        return session.amount_cents
    subtotal = session.subtotal_cents
    if (discount and not session.takes_codes) or (tax and not session.is_taxed):
        return None
    if subtotal is None or subtotal - discount + tax != session.amount_cents:
        return None
    return subtotal


class _OfNoPurchase(Exception):
    """The session pays for none of our purchases; the message says why."""


def _purchase_of(session: CheckoutSession) -> Purchase:
    """The purchase that this session is to pay, locked. Raises _OfNoPurchase."""
    try:
        purchase_id = UUID(session.client_reference_id or "")
    except ValueError:
        # The Stripe account may sell other things than ours.
        logger.warning("stripe session without a purchase of ours")
        raise _OfNoPurchase("the session is of no purchase of ours") from None
    purchase = (
        Purchase.objects.select_for_update(of=("self",))
        .select_related("account")
        .filter(pk=purchase_id)
        .first()
    )
    if purchase is None:
        logger.error("stripe session for an unknown purchase %s", purchase_id)
        raise _OfNoPurchase("the session is of a purchase that is not known")
    if purchase.stripe_session_id is None:
        # Its id was lost on the way here; see payment_page.
        if session.account == purchase.account.handle:
            purchase.stripe_session_id = session.session_id
            purchase.save(update_fields=["stripe_session_id"])
    elif purchase.stripe_session_id != session.session_id:
        _note_claim(purchase, session)
        raise _OfNoPurchase("the purchase has another session")
    return purchase


def _note_claim(purchase: Purchase, session: CheckoutSession) -> None:
    """Another session says that it pays for the purchase, whose own may pay it still."""
    logger.error("purchase %s: another session claims it", purchase.pk)
    # A session that took no money and cannot take any is nobody's concern, and one alarm is enough.
    if session.status == "complete" and session.session_id not in purchase.problem:
        purchase.note_problem(
            f"another session claims it: {session.session_id}",
            received_cents=session.amount_cents if session.payment_status == "paid" else None,
            received_currency=session.currency or "",
        )


def _mismatch(purchase: Purchase, session: CheckoutSession) -> str:
    """Why a completed session does not pay for the purchase; empty when it does, or may yet."""
    is_free = _is_free_by_code(session)
    is_paid = session.payment_status == "paid" or is_free
    if session.status != "complete" and not is_paid:
        return ""
    if not is_free and session.payment_status == "no_payment_required":
        return "completed without a payment"
    if is_paid and _price_of(session) != purchase.amount_cents:
        return f"paid {session.amount_cents} cents instead of {purchase.amount_cents}"
    currency = session.currency if is_paid else purchase.currency
    return unlike(purchase, currency=currency, account=session.account, is_live=session.is_live)


def unlike(purchase: Purchase, *, currency: str | None, account: str | None, is_live: bool) -> str:
    """Why what pays is not meant for this purchase, but for its amount; empty when it is."""
    found = (
        (currency != purchase.currency, f"paid in {currency} instead of {purchase.currency}"),
        (account != purchase.account.handle, "the session belongs to another account"),
        (is_live is not asking.is_live(), "test and live mode do not match"),
    )
    return next((problem for is_so, problem in found if is_so), "")


def _needs_a_person(
    purchase: Purchase, problem: str, *, session: CheckoutSession, at: datetime
) -> None:
    is_paid = session.payment_status == "paid"
    set_aside(
        purchase,
        problem,
        received_cents=session.amount_cents if is_paid else None,
        received_currency=(session.currency or "") if is_paid else "",
        at=at,
    )


def set_aside(
    purchase: Purchase,
    problem: str,
    *,
    at: datetime,
    received_cents: int | None = None,
    received_currency: str = "",
) -> None:
    """Leave a locked purchase to a person: nothing is granted, and the alarm is open."""
    logger.error("purchase %s is not granted: %s", purchase.pk, problem)
    purchase.note_problem(
        problem, received_cents=received_cents, received_currency=received_currency
    )
    purchase.mark(Purchase.Status.REVIEW, at=at)


def grant(purchase: Purchase, *, at: datetime) -> None:
    """Give what was bought, once for each purchase, whoever finds that it is paid."""
    if purchase.kind == Product.Kind.BOOST:
        grants.grant_boost(
            account=purchase.account,
            chats=purchase.chats,
            at=at,
            expires_at=purchase.expires_at(at=at),
            source_ref=purchase.source_ref,
            note=purchase.product_name,
        )
    else:
        grants.grant_credits(
            account=purchase.account,
            credits=purchase.credits,
            kind=grants.CreditKind.PURCHASE,
            at=at,
            source_ref=purchase.source_ref,
            note=purchase.product_name,
        )
    # Its money may have gone back before we heard that it had come.
    take_back_returned(purchase, at=at)
    telling.of_payment(purchase, at=at)


def note_if_closed(purchase: Purchase) -> None:
    """Have a person look at what was paid for an account that nobody uses any more.

    What was bought is written down like any other: the money is not lost, and goes back from there.
    """
    if purchase.account.closed_at is not None:
        logger.error("purchase %s was paid after its account was closed", purchase.pk)
        purchase.note_problem(
            "paid after its account was closed",
            received_cents=purchase.received_cents,
            received_currency=purchase.received_currency,
        )


def take_back_returned(purchase: Purchase, *, at: datetime) -> None:
    """Leave of what was given what its money is there for; nothing was given to an unpaid one."""
    grants.take_back(
        source_ref=purchase.source_ref,
        returned_cents=purchase.returned_cents,
        paid_cents=purchase.came_cents,
        at=at,
        note=purchase.product_name,
    )
