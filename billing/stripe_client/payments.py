"""What became of the money that came through a Checkout Session."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from billing import rights
from billing.stripe_client import answers, asking
from billing.stripe_client.sessions import read_session_id

# Of a dispute while its money is with the customer's bank. Inquiries take none, yet or at all.
_TAKEN_BACK = {"needs_response", "under_review", "lost"}


@dataclass(frozen=True, slots=True)
class Payment:
    """What became of the money that a Checkout session took in."""

    session_id: str
    refunded_cents: int
    is_disputed: bool


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


def _read_payment(fields: Mapping[str, Any]) -> Payment:
    intent = answers.inside(fields, "payment_intent")
    charge = answers.inside(intent, "latest_charge")
    return Payment(
        session_id=read_session_id(fields),
        refunded_cents=answers.amount(charge, "amount_refunded") or 0,
        is_disputed=answers.flag(charge, "disputed"),
    )


def _read_taken_back(fields: Mapping[str, Any]) -> int:
    status = fields.get("status")
    if not isinstance(status, str):
        raise answers.unusable("status")
    return (answers.amount(fields, "amount") or 0) if status in _TAKEN_BACK else 0
