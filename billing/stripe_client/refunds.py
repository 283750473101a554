"""Refunds: money that goes back through Stripe."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from billing import rights
from billing.stripe_client import answers, asking

_STATES = {"pending", "requires_action", "succeeded", "failed", "canceled"}


@dataclass(frozen=True, slots=True)
class MadeRefund:
    """One refund as Stripe knows it. mark: the number that our own has here, as we sent it."""

    refund_id: str
    status: str
    amount_cents: int
    mark: str


def create(
    intent_id: str,
    *,
    amount_cents: int,
    mark: str,
    metadata: Mapping[str, str],
    key: str,
    within_seconds: float,
) -> MadeRefund:
    """Give back some of a payment; repeated with the same key it is done once.

    Raises StripeUnavailable: it may have been done. StripeRefuses: it was not.
    """
    params: Any = {
        "payment_intent": intent_id,
        "amount": amount_cents,
        "reason": "requested_by_customer",
        "metadata": {**metadata, "refund": mark},
    }
    service = asking.client().v1.refunds
    answer = asking.ask(
        lambda: service.create(params=params, options={"idempotency_key": key}),
        line=asking.returning,
        within_seconds=within_seconds,
        right=rights.REFUNDING,
    )
    return read_refund(answers.fields_of(answer, "refund"))


def of_payment(intent_id: str, *, within_seconds: float) -> list[MadeRefund]:
    """Every refund of a payment, by whomever. Raises StripeUnavailable."""
    service = asking.client().v1.refunds
    params: Any = {"payment_intent": intent_id, "limit": 100}
    answer = asking.ask(
        lambda: service.list(params=params),
        line=asking.looking,
        within_seconds=within_seconds,
        right=rights.REFUNDS,
    )
    return [read_refund(row) for row in answers.rows_of(answers.fields_of(answer, "list"))]


def read_refund(fields: Mapping[str, Any]) -> MadeRefund:
    """A refund of an answer."""
    refund_id = fields.get("id")
    if not isinstance(refund_id, str) or not re.fullmatch(r"[a-z]+_[A-Za-z0-9_]{1,240}", refund_id):
        raise answers.unusable("id")
    return MadeRefund(
        refund_id=refund_id,
        status=answers.one_of(fields, "status", _STATES),
        amount_cents=answers.amount(fields, "amount") or 0,
        mark=answers.metadata(fields).get("refund", ""),
    )
