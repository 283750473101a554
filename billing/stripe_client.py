"""Everything that is said to Stripe, and how its events are told from forgeries.

With the sandbox the same client speaks to our own stand-in over HTTP: no code path is special.
Stripe is somebody else's server: it is asked through `_ask` alone, see accounts.outside. What it
answers is either exactly what we know how to read, or StripeUnavailable.
"""

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import Any
from urllib.parse import urlsplit

import stripe
from django.conf import settings

from accounts.outside import CannotCall, Line, TooManyCalls
from billing import rights
from billing.models import Purchase

logger = logging.getLogger(__name__)

# As Stripe's own libraries: a signature older than this is a replay.
_TOLERANCE_SECONDS = 300
# How long a person waits for a page, and how long a worker waits for Stripe, repetitions included.
PAGE_SECONDS = 5.0
WORKER_SECONDS = 15.0
# Of one try: a connection that says nothing for so long is given up.
_SILENCE_SECONDS = 4
_REPETITIONS = 1
# Two lines: however many people look at a purchase, another can be begun. The second takes fewer
# than the worker has threads: however long Stripe hangs, some are left for mail.
_opening = Line("opening a payment page at Stripe", at_once=8)
_looking = Line("asking Stripe about a session", at_once=6)
_PAGES_AT_MOST = 20
_PAYMENT_STATES = {"paid", "unpaid", "no_payment_required"}
_SESSION_STATES = {"open", "complete", "expired"}
# Of a dispute while its money is with the customer's bank. Inquiries take none, yet or at all.
_TAKEN_BACK = {"needs_response", "under_review", "lost"}


class StripeUnavailable(Exception):
    """Stripe gave no usable answer; trying again later may help."""


class StripeBusy(StripeUnavailable):
    """So many calls of this process are under way that Stripe was not asked."""


class StripeRefusesUs(StripeUnavailable):
    """Our key is wrong or lacks a right. It helps to ask again once somebody has mended that."""


class StripeRefuses(Exception):
    """Stripe does not do what was asked, however often. param: what was wrong, as it names it."""

    def __init__(self, message: str, *, param: str = "") -> None:
        super().__init__(message)
        self.param = param


class UnknownToStripe(StripeRefuses):
    """Stripe says that there is no such session."""


class AskedOtherwiseBefore(StripeRefuses):
    """The same was asked in other words before, and Stripe keeps to those."""


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


@dataclass(frozen=True, slots=True)
class Payment:
    """What became of the money that a Checkout session took in."""

    session_id: str
    refunded_cents: int
    is_disputed: bool


@cache
def _client() -> stripe.StripeClient:
    base = settings.STRIPE_API_BASE
    return stripe.StripeClient(
        settings.STRIPE_SECRET_KEY,
        base_addresses={"api": base} if base else {},
        max_network_retries=_REPETITIONS,
        http_client=stripe.RequestsClient(timeout=_SILENCE_SECONDS),
    )


def create_checkout_session(
    purchase: Purchase, *, email: str, success_url: str, cancel_url: str
) -> CheckoutSession:
    """Open a Checkout session for a purchase; repeating it answers the same session."""
    params: Any = {
        "mode": "payment",
        # What is asked for is what arrives: no other currency by where the buyer is.
        "adaptive_pricing": {"enabled": False},
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
    }
    sessions = _client().v1.checkout.sessions
    key = f"checkout-{purchase.pk}"
    answer = _ask(
        lambda: sessions.create(params=params, options={"idempotency_key": key}),
        line=_opening,
        within_seconds=PAGE_SECONDS,
        right=rights.OPENING,
    )
    session = _read_session(answer)
    if session.client_reference_id != str(purchase.pk):
        raise _unusable("a session of something else")
    return session


def expire_checkout_session(session_id: str) -> CheckoutSession:
    """End a session, so that nobody can pay it; one that has ended before is answered as it is.

    Raises StripeUnavailable or UnknownToStripe.
    """
    sessions = _client().v1.checkout.sessions
    try:
        answer = _ask(
            lambda: sessions.expire(session_id),
            line=_opening,
            within_seconds=PAGE_SECONDS,
            right=rights.ENDING,
        )
    except UnknownToStripe:
        raise
    except StripeRefuses:
        # It was paid or has expired meanwhile.
        return retrieve_checkout_session(session_id, within_seconds=PAGE_SECONDS)
    session = _read_session(answer)
    if session.session_id != session_id:
        raise _unusable("another session than was to end")
    return session


def retrieve_checkout_session(session_id: str, *, within_seconds: float) -> CheckoutSession:
    """The session as Stripe knows it now, which counts more than any event about it.

    Raises StripeUnavailable or UnknownToStripe.
    """
    sessions = _client().v1.checkout.sessions
    answer = _ask(
        lambda: sessions.retrieve(session_id, params={"expand": ["payment_intent"]}),
        line=_looking,
        within_seconds=within_seconds,
    )
    session = _read_session(answer)
    if session.session_id != session_id:
        raise _unusable("another session than was asked for")
    return session


def payment_of(intent_id: str, *, within_seconds: float) -> Payment | None:
    """What became of a payment, as Stripe knows it now; None when it is of no Checkout session.

    Raises StripeUnavailable.
    """
    sessions = _client().v1.checkout.sessions
    params: Any = {
        "payment_intent": intent_id,
        "limit": 1,
        "expand": ["data.payment_intent.latest_charge"],
    }
    answer = _ask(
        lambda: sessions.list(params=params),
        line=_looking,
        within_seconds=within_seconds,
        right=rights.PAYMENTS,
    )
    return next(map(_read_payment, _rows(_fields(answer, "list"))), None)


def taken_back_cents(intent_id: str, *, within_seconds: float) -> int:
    """How much of a payment the customer's bank holds or keeps. Raises StripeUnavailable."""
    disputes = _client().v1.disputes
    params: Any = {"payment_intent": intent_id, "limit": 100}
    answer = _ask(
        lambda: disputes.list(params=params),
        line=_looking,
        within_seconds=within_seconds,
        right=rights.DISPUTES,
    )
    return sum(map(_read_taken_back, _rows(_fields(answer, "list"))))


def sessions_of(purchase: Purchase, *, since: datetime, until: datetime) -> list[str]:
    """The ids of the sessions that were made for a purchase between two moments.

    For an order whose session may exist although its id never reached us. Raises StripeUnavailable.
    """
    sessions = _client().v1.checkout.sessions
    params: Any = {
        "limit": 100,
        "created": {"gte": int(since.timestamp()), "lte": int(until.timestamp()) + 1},
    }
    found: list[str] = []
    for _ in range(_PAGES_AT_MOST):
        asked: Any = {**params}
        call = partial(sessions.list, params=asked)
        page = _read_page(_ask(call, line=_looking, within_seconds=WORKER_SECONDS))
        found += [
            session_id for session_id, reference in page.sessions if reference == str(purchase.pk)
        ]
        if not page.has_more:
            return found
        params["starting_after"] = page.sessions[-1][0]
    raise StripeUnavailable("too many sessions to look through")


def _ask(
    call: Callable[[], Any], *, line: Line, within_seconds: float, right: str = rights.LOOKING
) -> Any:
    """The only way to Stripe. What is wrong with an answer, stripe-python says in many ways.

    right: what our key must be allowed for this.
    """
    try:
        answer = line.call(call, within_seconds=within_seconds)
    except TooManyCalls as error:
        raise StripeBusy(str(error)) from None
    except CannotCall as error:
        raise StripeUnavailable(str(error)) from None
    except stripe.StripeError as error:
        raise _meant_by(error, right=right) from error
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise _unusable(type(error).__name__) from error
    rights.granted(right)
    return answer


def _meant_by(error: stripe.StripeError, *, right: str) -> Exception:
    """What an error means for whoever asked, by its kind; in the log with Stripe's number of it.

    What Stripe says in words is not kept: it may repeat what was sent.
    """
    name, request = type(error).__name__, _request_id(error)
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        rights.refused(right, error=name, request_id=request)
        return StripeRefusesUs(f"Stripe refuses our key for {right}: {name}")
    said = error.json_body.get("error") if isinstance(error.json_body, dict) else None
    kind = said.get("type") if isinstance(said, dict) else None
    # By the status alone, anything between us and Stripe might have said it.
    if isinstance(error, stripe.IdempotencyError) and kind == "idempotency_error":
        logger.error("Stripe was asked for the same in other words, request %s", request)
        return AskedOtherwiseBefore("asked in other words before")
    if isinstance(error, stripe.InvalidRequestError) and kind == "invalid_request_error":
        if error.code == "resource_missing" and error.http_status == 404:
            logger.warning("Stripe does not know what was asked for, request %s", request)
            return UnknownToStripe("Stripe does not know this session")
        param = _plain(error.param)
        # A session that is to end may have ended: no mistake of ours.
        logger.log(
            logging.INFO if right == rights.ENDING else logging.ERROR,
            "Stripe refuses a request: %s %s, request %s",
            param,
            _plain(error.code),
            request,
        )
        return StripeRefuses(f"Stripe refuses what was asked: {param or name}", param=param)
    if isinstance(error, stripe.CardError) and kind == "card_error":
        logger.warning("Stripe refuses a card: %s, request %s", _plain(error.code), request)
        return StripeRefuses("the card was refused")
    logger.warning("no usable answer of Stripe: %s, request %s", name, request)
    return StripeUnavailable(name)


def _request_id(error: stripe.StripeError) -> str:
    return _plain(error.request_id) or "without a number"


def _plain(text: object) -> str:
    """A name that Stripe gives to something; "" for whatever else stands in its place."""
    is_plain = isinstance(text, str) and re.fullmatch(r"[A-Za-z0-9_\[\]]{1,100}", text)
    return str(text) if is_plain else ""


# --- reading answers: exactly as documented, or not at all --------------------------------------


@dataclass(frozen=True, slots=True)
class _Page:
    sessions: list[tuple[str, object]]  # id, client_reference_id
    has_more: bool


def _unusable(why: str) -> StripeUnavailable:
    logger.error("an answer of Stripe cannot be used: %s", why)
    return StripeUnavailable(f"unusable answer: {why}")


def _fields(answer: object, kind: str) -> Mapping[str, Any]:
    fields = answer.to_dict() if isinstance(answer, stripe.StripeObject) else None
    if not isinstance(fields, dict) or fields.get("object") != kind:
        raise _unusable(f"not a {kind}")
    return fields


def _read_session(answer: object) -> CheckoutSession:
    fields = _fields(answer, "checkout.session")
    status = _one_of(fields, "status", _SESSION_STATES)
    intent = fields.get("payment_intent")
    if not isinstance(intent, str | dict | None):
        raise _unusable("payment_intent")
    # After a completed session the intent falls back to this state only if the payment failed.
    failed = (
        status == "complete"
        and isinstance(intent, dict)
        and intent.get("status") in {"requires_payment_method", "canceled"}
    )
    return CheckoutSession(
        session_id=_session_id(fields),
        url=_web_address(fields, "url"),
        client_reference_id=_optional_text(fields, "client_reference_id"),
        account=_metadata(fields).get("account"),
        status=status,
        payment_status=_one_of(fields, "payment_status", _PAYMENT_STATES),
        payment_failed=failed,
        amount_cents=_amount(fields, "amount_total"),
        currency=_currency(fields),
        is_live=_flag(fields, "livemode"),
    )


def _read_payment(fields: Mapping[str, Any]) -> Payment:
    intent = _inside(fields, "payment_intent")
    charge = _inside(intent, "latest_charge")
    return Payment(
        session_id=_session_id(fields),
        refunded_cents=_amount(charge, "amount_refunded") or 0,
        is_disputed=_flag(charge, "disputed"),
    )


def _read_taken_back(fields: Mapping[str, Any]) -> int:
    status = fields.get("status")
    if not isinstance(status, str):
        raise _unusable("status")
    return (_amount(fields, "amount") or 0) if status in _TAKEN_BACK else 0


def _inside(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = fields.get(name)
    if not isinstance(value, dict):
        raise _unusable(name)
    return value


def _rows(fields: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = fields.get("data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _unusable("data")
    return rows


def _read_page(answer: object) -> _Page:
    fields = _fields(answer, "list")
    sessions = _rows(fields)
    has_more = _flag(fields, "has_more")
    if has_more and not sessions:
        raise _unusable("has_more")
    return _Page(
        sessions=[(_session_id(one), one.get("client_reference_id")) for one in sessions],
        has_more=has_more,
    )


def _session_id(fields: Mapping[str, Any]) -> str:
    value = fields.get("id")
    if not isinstance(value, str) or not re.fullmatch(r"cs_[A-Za-z0-9_]{1,252}", value):
        raise _unusable("id")
    return value


def _optional_text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if not isinstance(value, str | None):
        raise _unusable(name)
    return value


def _one_of(fields: Mapping[str, Any], name: str, choices: set[str]) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or value not in choices:
        raise _unusable(name)
    return value


def _flag(fields: Mapping[str, Any], name: str) -> bool:
    value = fields.get(name)
    if not isinstance(value, bool):
        raise _unusable(name)
    return value


def _amount(fields: Mapping[str, Any], name: str) -> int | None:
    value = fields.get(name)
    if value is not None and (type(value) is not int or not 0 <= value < 2**31):
        raise _unusable(name)
    return value


def _currency(fields: Mapping[str, Any]) -> str | None:
    value = _optional_text(fields, "currency")
    if value is not None and not re.fullmatch(r"[a-z]{3}", value):
        raise _unusable("currency")
    return value


def _metadata(fields: Mapping[str, Any]) -> Mapping[str, str]:
    value = fields.get("metadata") or {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _unusable("metadata")
    return value


def _web_address(fields: Mapping[str, Any], name: str) -> str | None:
    value = _optional_text(fields, name)
    if value is not None and not _is_web_address(value):
        raise _unusable(name)
    return value


def _is_web_address(value: str) -> bool:
    if not (value.isascii() and value.isprintable()) or " " in value:
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


# --- events -------------------------------------------------------------------------------------


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


def is_live() -> bool:
    """Whether real money moves."""
    return settings.STRIPE_SECRET_KEY.startswith(("sk_live_", "rk_live_"))


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
