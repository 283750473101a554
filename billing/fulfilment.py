"""Turning a paid session into a grant, once.

An event, the landing page or a sweep may ask for it, in any order and any number of times. What
counts is what Stripe says of the session now, never what an old event said.
"""

import logging
from datetime import datetime
from uuid import UUID

from django.db import transaction

from billing import stripe_client
from billing.models import Product, Purchase, StripeEvent
from billing.stripe_client import CheckoutSession
from quotas import grants
from quotas.models import CreditEntry

logger = logging.getLogger(__name__)

_SESSION_EVENTS = {
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
}


def handle(event: StripeEvent, *, at: datetime) -> None:
    """Do what an event asks for. Raises StripeUnavailable when it must be repeated."""
    if event.type in _SESSION_EVENTS:
        session_id = event.payload.get("data", {}).get("object", {}).get("id")
        if not isinstance(session_id, str):
            logger.error("stripe event %s names no session", event.event_id)
            return
        settle(stripe_client.retrieve_checkout_session(session_id), at=at)


def settle_purchase(purchase: Purchase, *, at: datetime) -> Purchase:
    """Bring one open purchase up to date with Stripe."""
    if purchase.is_open and purchase.stripe_session_id:
        settle(stripe_client.retrieve_checkout_session(purchase.stripe_session_id), at=at)
        purchase.refresh_from_db()
    return purchase


def settle(session: CheckoutSession, *, at: datetime) -> None:
    """Bring the purchase of a session up to date; grant what was bought if it is paid."""
    with transaction.atomic():
        purchase = _purchase_of(session)
        if purchase is None or not purchase.is_open:
            return
        problem = _mismatch(purchase, session)
        if problem:
            logger.error("purchase %s is not granted: %s", purchase.pk, problem)
            purchase.problem = problem
            purchase.save(update_fields=["problem"])
            return
        if session.payment_status == "paid":
            _grant(purchase, at=at)
            purchase.mark(Purchase.Status.PAID, at=at)
        elif session.status == "expired":
            purchase.mark(Purchase.Status.EXPIRED, at=at)
        elif session.payment_failed:
            purchase.mark(Purchase.Status.FAILED, at=at)
        elif session.status == "complete":
            purchase.mark(Purchase.Status.PROCESSING, at=at)


def _purchase_of(session: CheckoutSession) -> Purchase | None:
    try:
        purchase_id = UUID(session.client_reference_id or "")
    except ValueError:
        # The Stripe account may sell other things than ours.
        logger.warning("stripe session without a purchase of ours")
        return None
    purchase = (
        Purchase.objects.select_for_update(of=("self",))
        .select_related("account")
        .filter(pk=purchase_id)
        .first()
    )
    if purchase is None:
        logger.error("stripe session for an unknown purchase %s", purchase_id)
    elif purchase.stripe_session_id not in {None, session.session_id}:
        logger.error("purchase %s: another session claims it", purchase_id)
        return None
    return purchase


def _mismatch(purchase: Purchase, session: CheckoutSession) -> str:
    """Why the session does not pay for the purchase; empty when it does."""
    if session.payment_status == "paid":
        if session.amount_cents != purchase.amount_cents:
            return f"paid {session.amount_cents} cents instead of {purchase.amount_cents}"
        if session.currency != purchase.currency:
            return f"paid in {session.currency} instead of {purchase.currency}"
    if session.account != purchase.account.handle:
        return "the session belongs to another account"
    if session.is_live is not stripe_client.is_live():
        return "test and live mode do not match"
    return ""


def _grant(purchase: Purchase, *, at: datetime) -> None:
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
            kind=CreditEntry.Kind.PURCHASE,
            at=at,
            source_ref=purchase.source_ref,
            note=purchase.product_name,
        )
