"""Everything that is said to Stripe, and how its events are told from forgeries.

With the sandbox the same client speaks to our own stand-in over HTTP: no code path is special.
"""

import json
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import stripe
from django.conf import settings

from billing.models import Purchase

# As Stripe's own libraries: a signature older than this is a replay.
_TOLERANCE_SECONDS = 300
_TIMEOUT_SECONDS = 10


class StripeUnavailable(Exception):
    """Stripe gave no usable answer; trying again later may help."""


class ForgedEvent(Exception):
    """The webhook's body is not an event that Stripe signed for us."""


@dataclass(frozen=True, slots=True)
class CheckoutSession:
    """What fulfilment needs of a Checkout session."""

    session_id: str
    url: str | None
    client_reference_id: str | None
    account: str | None  # handle, as our checkout wrote it into the metadata
    status: str  # open | complete | expired
    payment_status: str  # paid | unpaid | no_payment_required
    payment_failed: bool
    amount_cents: int | None
    currency: str | None
    is_live: bool


@cache
def _client() -> stripe.StripeClient:
    base = settings.STRIPE_API_BASE
    return stripe.StripeClient(
        settings.STRIPE_SECRET_KEY,
        base_addresses={"api": base} if base else {},
        max_network_retries=2,
        http_client=stripe.RequestsClient(timeout=_TIMEOUT_SECONDS),
    )


def create_checkout_session(
    purchase: Purchase, *, email: str, success_url: str, cancel_url: str
) -> CheckoutSession:
    """Open a Checkout session for a purchase; repeating it answers the same session."""
    try:
        session = _client().v1.checkout.sessions.create(
            params={
                "mode": "payment",
                "client_reference_id": str(purchase.pk),
                "customer_email": email,
                "metadata": {"purchase": str(purchase.pk), "account": purchase.account.handle},
                "payment_intent_data": {"metadata": {"purchase": str(purchase.pk)}},
                "line_items": [
                    {
                        "quantity": 1,
                        "price_data": {
                            "currency": purchase.currency,
                            "unit_amount": purchase.amount_cents,
                            "product_data": {"name": purchase.product_name},
                        },
                    }
                ],
                "success_url": success_url,
                "cancel_url": cancel_url,
            },
            options={"idempotency_key": f"checkout-{purchase.pk}"},
        )
    except stripe.StripeError as error:
        raise StripeUnavailable(type(error).__name__) from error
    return _read_session(session)


def retrieve_checkout_session(session_id: str) -> CheckoutSession:
    """The session as Stripe knows it now, which counts more than any event about it."""
    try:
        session = _client().v1.checkout.sessions.retrieve(
            session_id, params={"expand": ["payment_intent"]}
        )
    except stripe.StripeError as error:
        raise StripeUnavailable(type(error).__name__) from error
    return _read_session(session)


def _read_session(session: Any) -> CheckoutSession:
    intent = session.payment_intent
    # After a completed session the intent falls back to this state only if the payment failed.
    failed = (
        session.status == "complete"
        and not isinstance(intent, str | None)
        and intent.status in {"requires_payment_method", "canceled"}
    )
    return CheckoutSession(
        session_id=session.id,
        url=session.url,
        client_reference_id=session.client_reference_id,
        account=None if session.metadata is None else session.metadata.to_dict().get("account"),
        status=session.status,
        payment_status=session.payment_status,
        payment_failed=failed,
        amount_cents=session.amount_total,
        currency=session.currency,
        is_live=session.livemode,
    )


def verify_event(payload: bytes, signature: str) -> dict[str, Any]:
    """The event in a webhook's body. Raises ForgedEvent for anything Stripe did not sign for us."""
    try:
        # Checked here, for the library lets timestamps of the future pass and fails on other text.
        _verify_time(signature)
        stripe.WebhookSignature.verify_header(
            payload.decode(), signature, settings.STRIPE_WEBHOOK_SECRET, _TOLERANCE_SECONDS
        )
        event = json.loads(payload)
    except (stripe.SignatureVerificationError, ValueError, TypeError, RecursionError) as error:
        raise ForgedEvent(type(error).__name__) from None
    if not isinstance(event, dict) or event.get("object") != "event":
        raise ForgedEvent("not an event")
    if not _is_name(event.get("id"), longest=255):
        raise ForgedEvent("no id")
    if not _is_name(event.get("type"), longest=120):
        raise ForgedEvent("no type")
    if event.get("livemode") is not is_live():
        raise ForgedEvent("the other mode")
    return event


def _is_name(value: object, *, longest: int) -> bool:
    return (
        isinstance(value, str)
        and 1 <= len(value) <= longest
        and value.isascii()
        and value.isprintable()
    )


def is_live() -> bool:
    """Whether real money moves."""
    return settings.STRIPE_SECRET_KEY.startswith(("sk_live_", "rk_live_"))


def _verify_time(signature: str) -> None:
    if not signature.isascii():
        raise ValueError
    times = [part[2:] for part in signature.split(",") if part.startswith("t=")]
    if len(times) != 1 or not times[0].isdigit() or len(times[0]) > 12:
        raise ValueError
    if abs(time.time() - int(times[0])) > _TOLERANCE_SECONDS:
        raise ValueError
