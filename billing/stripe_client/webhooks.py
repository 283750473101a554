"""How events that Stripe sent are told from forgeries."""

import json
import time
from typing import Any

import stripe
from django.conf import settings

from billing.stripe_client.asking import is_live

# As Stripe's own libraries: a signature older than this is a replay.
_TOLERANCE_SECONDS = 300


class ForgedEvent(Exception):
    """The webhook's body is not an event that Stripe signed for us."""


def verify_event(payload: bytes, signature: str) -> dict[str, Any]:
    """The event in a webhook's body. Raises ForgedEvent for anything Stripe did not sign for us."""
    try:
        # Checked here, for the library lets timestamps of the future pass and fails on other text.
        _verify_time(signature)
        _verify_signature(payload.decode(), signature)
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


def _verify_signature(payload: str, signature: str) -> None:
    """Any of the secrets will do: while one is rotated, Stripe signs with the old or the new."""
    *others, last = settings.STRIPE_WEBHOOK_SECRETS
    for secret in others:
        try:
            stripe.WebhookSignature.verify_header(payload, signature, secret, _TOLERANCE_SECONDS)
        except stripe.SignatureVerificationError:
            continue
        return
    stripe.WebhookSignature.verify_header(payload, signature, last, _TOLERANCE_SECONDS)


def _verify_time(signature: str) -> None:
    if not signature.isascii():
        raise ValueError
    times = [part[2:] for part in signature.split(",") if part.startswith("t=")]
    if len(times) != 1 or not times[0].isdigit() or len(times[0]) > 12:
        raise ValueError
    if abs(time.time() - int(times[0])) > _TOLERANCE_SECONDS:
        raise ValueError
