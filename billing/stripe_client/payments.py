"""What became of the money that came through a Checkout Session."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from billing import rights
from billing.stripe_client import answers, asking
from billing.stripe_client.sessions import read_session_id

# Of a dispute while its money is with the customer's bank. Inquiries take none, yet or at all.
_TAKEN_BACK = {"needs_response", "under_review", "lost"}


@dataclass(frozen=True, slots=True)
class Payment:
    """What became of money that was paid.

    session_id: of the Checkout session that took it in; of the payment itself, where a saved card
    paid and there was no session. purchase: as we wrote it to that; None where nothing was written.
    """

    session_id: str
    refunded_cents: int
    is_disputed: bool
    intent_id: str = ""
    paid_at: datetime | None = None
    purchase: str | None = None


def payment_of(intent_id: str, *, within_seconds: float) -> Payment | None:
    """What became of a payment, as Stripe knows it now; None when it is of no Checkout session.

    Raises StripeUnavailable.
    """
    sessions = asking.client().v1.checkout.sessions
    params: Any = {
        "payment_intent": intent_id,
        "limit": 1,
        "expand": ["data.payment_intent.latest_charge"],
    }
    answer = asking.ask(
        lambda: sessions.list(params=params),
        line=asking.looking,
        within_seconds=within_seconds,
        right=rights.PAYMENTS,
    )
    return next(map(_read_payment, answers.rows_of(answers.fields_of(answer, "list"))), None)


def payment_by(session_id: str, *, within_seconds: float) -> Payment | None:
    """The payment of a session, or one by its own id; None while nothing was paid by it.

    Raises StripeUnavailable or UnknownToStripe.
    """
    if is_of_saved_card(session_id):
        return _payment_by_card(session_id, within_seconds=within_seconds)
    sessions = asking.client().v1.checkout.sessions
    answer = asking.ask(
        lambda: sessions.retrieve(session_id, params={"expand": ["payment_intent.latest_charge"]}),
        line=asking.looking,
        within_seconds=within_seconds,
        right=rights.PAYMENTS,
    )
    return read_if_charged(answers.fields_of(answer, "checkout.session"))


def is_of_saved_card(session_id: str) -> bool:
    """Whether this names a payment without a session."""
    return session_id.startswith("pi_")


def _payment_by_card(intent_id: str, *, within_seconds: float) -> Payment | None:
    intents = asking.client().v1.payment_intents
    answer = asking.ask(
        lambda: intents.retrieve(intent_id, params={"expand": ["latest_charge"]}),
        line=asking.looking,
        within_seconds=within_seconds,
        right=rights.PAYMENTS,
    )
    intent = answers.fields_of(answer, "payment_intent")
    charge = intent.get("latest_charge")
    return _read_charge(intent_id, intent, charge) if isinstance(charge, dict) else None


def taken_back_cents(intent_id: str, *, within_seconds: float) -> int:
    """How much of a payment the customer's bank holds or keeps. Raises StripeUnavailable."""
    disputes = asking.client().v1.disputes
    params: Any = {"payment_intent": intent_id, "limit": 100}
    answer = asking.ask(
        lambda: disputes.list(params=params),
        line=asking.looking,
        within_seconds=within_seconds,
        right=rights.DISPUTES,
    )
    return sum(map(_read_taken_back, answers.rows_of(answers.fields_of(answer, "list"))))


def read_if_charged(session: Mapping[str, Any]) -> Payment | None:
    """The payment of a session that was asked for with its charge; None without a charge."""
    intent = session.get("payment_intent")
    if intent is None or (isinstance(intent, dict) and intent.get("latest_charge") is None):
        return None
    return _read_payment(session)


def _read_payment(fields: Mapping[str, Any]) -> Payment:
    intent = answers.inside(fields, "payment_intent")
    charge = answers.inside(intent, "latest_charge")
    return _read_charge(read_session_id(fields), intent, charge)


def _read_charge(session_id: str, intent: Mapping[str, Any], charge: Mapping[str, Any]) -> Payment:
    return Payment(
        session_id=session_id,
        refunded_cents=answers.amount(charge, "amount_refunded") or 0,
        is_disputed=answers.flag(charge, "disputed"),
        intent_id=_intent_id(intent),
        paid_at=None if charge.get("created") is None else answers.moment(charge, "created"),
        purchase=answers.metadata(intent).get("purchase"),
    )


def _intent_id(intent: Mapping[str, Any]) -> str:
    value = intent.get("id", "")
    if not isinstance(value, str) or not re.fullmatch(r"(pi_[A-Za-z0-9_]{1,252})?", value):
        raise answers.unusable("payment_intent")
    return value


def _read_taken_back(fields: Mapping[str, Any]) -> int:
    status = fields.get("status")
    if not isinstance(status, str):
        raise answers.unusable("status")
    return (answers.amount(fields, "amount") or 0) if status in _TAKEN_BACK else 0
