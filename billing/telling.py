"""Telling who bought: a receipt of each payment, and of money that went back. Each once.

It is raised in the transaction that pays or takes back, so that neither is there without the other;
the mail follows like that of any alert.
"""

from datetime import datetime
from typing import Any

from alerts import raising
from alerts.models import Kind
from billing.models import Product, Purchase
from gate.terms import week
from quotas import catalogue, statement


def of_payment(purchase: Purchase, *, at: datetime) -> None:
    """Of a purchase that is granted this moment, with what it gives."""
    if purchase.is_wholly_returned:
        raising.pass_by(
            account=purchase.account, kinds=[Kind.RECEIPT], occasion=str(purchase.pk), at=at
        )
    else:
        raising.raise_alert(
            account=purchase.account,
            kind=Kind.RECEIPT,
            occasion=str(purchase.pk),
            data=_given(purchase, at=at),
            at=at,
        )
    if purchase.returned_cents:
        of_return(purchase, before_cents=0, by_bank_cents=None, at=at)


def of_return(
    purchase: Purchase, *, before_cents: int, by_bank_cents: int | None, at: datetime
) -> None:
    """Of a change in what went back of a paid purchase, with what that took.

    by_bank_cents: how much of it a bank holds; None is not known.
    """
    taken = statement.taken_back_of(purchase.account, purchase.source_ref)
    data = {
        **_of(purchase),
        "before_cents": before_cents,
        "returned_cents": purchase.returned_cents,
        "by_bank_cents": by_bank_cents,
        "taken_chats": taken.chats,
        "taken_credits": taken.credits,
        "owed_credits": max(0, -statement.balance_of(purchase.account)),
    }
    raising.raise_alert(
        account=purchase.account,
        kind=Kind.MONEY_BACK,
        occasion=f"{purchase.pk}:{at:%Y%m%dT%H%M%S.%f}",
        data=data,
        at=at,
    )


def _given(purchase: Purchase, *, at: datetime) -> dict[str, Any]:
    if purchase.kind == Product.Kind.BOOST:
        return {
            **_of(purchase),
            "paid_at": week.utc_text(at),
            "chats": purchase.chats,
            "ends_at": week.utc_text(purchase.expires_at(at=at)),
        }
    return {
        **_of(purchase),
        "paid_at": week.utc_text(at),
        "credits": purchase.credits,
        "paid_owed": min(
            purchase.credits, statement.owed_before(purchase.account, purchase.source_ref)
        ),
        "credits_per_chat": catalogue.policy().credits_per_chat,
    }


def _of(purchase: Purchase) -> dict[str, Any]:
    return {
        "purchase": str(purchase.pk),
        "product": purchase.product_name,
        "kind": purchase.kind,
        "paid_cents": purchase.came_cents,
        "currency": purchase.received_currency or purchase.currency,
        "receipt_url": purchase.receipt_url,
    }
