"""Payments with a saved card, while nobody is there; and saving one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.utils import timezone

from billing import rights
from billing.models import Purchase
from billing.stripe_client import answers, asking
from billing.stripe_client.errors import StripeUnavailable

_STATES = {
    *("requires_payment_method", "requires_confirmation", "requires_action", "processing"),
    *("requires_capture", "canceled", "succeeded"),
}
_PAGES_AT_MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A payment as Stripe knows it at `asked_at`. purchase, account: as we wrote them to it."""

    intent_id: str
    purchase: str | None
    account: str | None
    status: str
    amount_cents: int
    currency: str
    is_live: bool
    refunded_cents: int
    is_disputed: bool
    receipt_url: str
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class SavedCard:
    """A card that a customer let us keep; its number is at Stripe alone."""

    method_id: str
    shown: str


def pay(purchase: Purchase, *, customer_id: str, method_id: str) -> Intent:
    """Charge a saved card for a purchase, once however often it is asked.

    Raises CardRefused (with its code), StripeRefuses or StripeUnavailable.
    """
    intents = asking.client().v1.payment_intents
    params: Any = {
        "amount": purchase.amount_cents,
        "currency": purchase.currency,
        "customer": customer_id,
        "payment_method": method_id,
        "payment_method_types": ["card"],
        "confirm": True,
        "off_session": True,
        "description": purchase.product_name,
        "metadata": {"purchase": str(purchase.pk), "account": purchase.account.handle},
        "expand": ["latest_charge"],
    }
    options: Any = {"idempotency_key": f"top-up-{purchase.pk}"}
    return _asked(lambda: intents.create(params=params, options=options))


def retrieve(intent_id: str) -> Intent:
    """A payment as it is now. Raises StripeUnavailable or UnknownToStripe."""
    intents = asking.client().v1.payment_intents
    params: Any = {"expand": ["latest_charge"]}
    return _asked(lambda: intents.retrieve(intent_id, params=params))


def made_for(purchase: Purchase, *, customer_id: str) -> str | None:
    """The payment that was begun for a purchase although no answer reached us; None without one."""
    intents = asking.client().v1.payment_intents
    params: Any = {"customer": customer_id, "limit": 100}
    for _ in range(_PAGES_AT_MOST):
        asked: Any = {**params}
        call = partial(intents.list, params=asked)
        answer = answers.fields_of(_ask(call), "list")
        rows = answers.rows_of(answer)
        for row in rows:
            if answers.metadata(row).get("purchase") == str(purchase.pk):
                return answers.object_id(row, "pi")
        if not rows or not answers.flag(answer, "has_more"):
            return None
        params["starting_after"] = answers.object_id(rows[-1], "pi")
    raise StripeUnavailable("too many payments to look through")


def saving_page(
    *, customer_id: str, currency: str, success_url: str, cancel_url: str, key: str
) -> str:
    """Where a customer lets us keep a card. Raises StripeUnavailable or StripeRefuses."""
    sessions = asking.client().v1.checkout.sessions
    params: Any = {
        "mode": "setup",
        "currency": currency,
        "customer": customer_id,
        "payment_method_types": ["card"],
        "success_url": success_url,
        "cancel_url": cancel_url,
    }
    answer = asking.ask(
        lambda: sessions.create(params=params, options={"idempotency_key": key}),
        line=asking.opening,
        within_seconds=asking.PAGE_SECONDS,
        right=rights.OPENING,
    )
    url = answers.web_address(answers.fields_of(answer, "checkout.session"), "url")
    if url is None:
        raise answers.unusable("url")
    return url


def saved_by(session_id: str, *, customer_id: str) -> SavedCard | None:
    """The card that a session saved for a customer; None while it saved none, or somebody else's.

    Raises StripeUnavailable or UnknownToStripe.
    """
    sessions = asking.client().v1.checkout.sessions
    params: Any = {"expand": ["setup_intent.payment_method"]}
    answer = asking.ask(
        lambda: sessions.retrieve(session_id, params=params),
        line=asking.looking,
        within_seconds=asking.PAGE_SECONDS,
        right=rights.LOOKING,
    )
    fields = answers.fields_of(answer, "checkout.session")
    if fields.get("mode") != "setup" or fields.get("customer") != customer_id:
        return None
    intent = fields.get("setup_intent")
    method = intent.get("payment_method") if isinstance(intent, dict) else None
    if fields.get("status") != "complete" or not isinstance(method, dict):
        return None
    card = answers.inside(method, "card")
    brand, last_four = card.get("brand"), card.get("last4")
    shown = f"{str(brand).capitalize()[:20]} ···· {str(last_four)[:4]}"
    return SavedCard(answers.object_id(method, "pm"), shown)


def _asked(call: Any) -> Intent:
    # Before the call: what somebody else is told later than that knows more.
    asked_at = timezone.now()
    return _read(answers.fields_of(_ask(call), "payment_intent"), asked_at=asked_at)


def _ask(call: Any) -> Any:
    return asking.ask(
        call,
        line=asking.looking,
        within_seconds=asking.WORKER_SECONDS,
        right=rights.PAYMENTS_OFF_SESSION,
    )


def _read(fields: Mapping[str, Any], *, asked_at: datetime) -> Intent:
    charge = fields.get("latest_charge")
    charge = charge if isinstance(charge, dict) else {}
    said = answers.metadata(fields)
    return Intent(
        intent_id=answers.object_id(fields, "pi"),
        purchase=said.get("purchase"),
        account=said.get("account"),
        status=answers.one_of(fields, "status", _STATES),
        amount_cents=answers.amount(fields, "amount") or 0,
        currency=answers.currency(fields) or "",
        is_live=answers.flag(fields, "livemode"),
        refunded_cents=answers.amount(charge, "amount_refunded") or 0,
        is_disputed=charge.get("disputed") is True,
        receipt_url=answers.link_of_stripe(charge, "receipt_url"),
        asked_at=asked_at,
    )
