"""Checkout Sessions: where orders are paid."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings

from billing import rights
from billing.models import Purchase
from billing.stripe_client import answers, asking
from billing.stripe_client.errors import StripeRefuses, StripeUnavailable, UnknownToStripe
from billing.subscriptions.models import PlanOrder

_PAGES_AT_MOST = 20
_PAYMENT_STATES = {"paid", "unpaid", "no_payment_required"}
_MODES = {"payment", "subscription", "setup"}
_SESSION_STATES = {"open", "complete", "expired"}


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
    mode: str = "payment"  # payment | subscription | setup
    subscription_id: str | None = None
    # What its total is made of, as Stripe says; None where it does not.
    subtotal_cents: int | None = None
    discount_cents: int = 0
    tax_cents: int = 0
    # What we asked for when it was made.
    takes_codes: bool = False
    is_taxed: bool = False
    # Pages of Stripe's own about the payment; "" where there is none yet.
    receipt_url: str = ""
    invoice_url: str = ""
    invoice_pdf_url: str = ""


def create(purchase: Purchase, *, email: str, success_url: str, cancel_url: str) -> CheckoutSession:
    """Open a Checkout session for a purchase; repeating it answers the same session."""
    params: Any = {
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
    }
    if settings.STRIPE_AUTOMATIC_TAX:
        # On top of the price, whatever the Stripe account has for others.
        params["line_items"][0]["price_data"]["tax_behavior"] = "exclusive"
    if settings.STRIPE_INVOICES:
        params["invoice_creation"] = {
            "enabled": True,
            "invoice_data": {"metadata": {"purchase": str(purchase.pk)}},
        }
    return _created(params, key=f"checkout-{purchase.pk}")


def create_for_plan(
    order: PlanOrder, *, customer_id: str, price_id: str, success_url: str, cancel_url: str
) -> CheckoutSession:
    """Open a Checkout session that subscribes to a plan; repeating it answers the same session."""
    params: Any = {
        "mode": "subscription",
        "client_reference_id": str(order.pk),
        "customer": customer_id,
        "metadata": {"plan_order": str(order.pk), "account": order.account.handle},
        "subscription_data": {
            "metadata": {"plan_order": str(order.pk), "account": order.account.handle}
        },
        "line_items": [{"quantity": order.seats, "price": price_id}],
        "success_url": success_url,
        "cancel_url": cancel_url,
    }
    if settings.STRIPE_AUTOMATIC_TAX:
        params["tax_id_collection"] = {"enabled": True}
        # What taxes depend on is typed there, and counts for all that comes after.
        params["customer_update"] = {"address": "auto", "name": "auto"}
    return _created(params, key=f"plan-{order.pk}")


def _created(params: dict[str, Any], *, key: str) -> CheckoutSession:
    sessions = asking.client().v1.checkout.sessions
    # What is asked for is what arrives: no other currency by where the buyer is.
    wanted: Any = {"adaptive_pricing": {"enabled": False}, **params}
    if settings.STRIPE_PROMOTION_CODES:
        wanted["allow_promotion_codes"] = True
    if settings.STRIPE_AUTOMATIC_TAX:
        wanted["automatic_tax"] = {"enabled": True}
    answer = asking.ask(
        lambda: sessions.create(params=wanted, options={"idempotency_key": key}),
        line=asking.opening,
        within_seconds=asking.PAGE_SECONDS,
        right=rights.OPENING,
    )
    session = read_session(answer)
    if session.client_reference_id != params["client_reference_id"]:
        raise answers.unusable("a session of something else")
    return session


def expire(session_id: str) -> CheckoutSession:
    """End a session, so that nobody can pay it; one that has ended before is answered as it is.

    Raises StripeUnavailable or UnknownToStripe.
    """
    sessions = asking.client().v1.checkout.sessions
    try:
        answer = asking.ask(
            lambda: sessions.expire(session_id),
            line=asking.opening,
            within_seconds=asking.PAGE_SECONDS,
            right=rights.ENDING,
        )
    except UnknownToStripe:
        raise
    except StripeRefuses:
        # It was paid or has expired meanwhile.
        return retrieve(session_id, within_seconds=asking.PAGE_SECONDS)
    session = read_session(answer)
    if session.session_id != session_id:
        raise answers.unusable("another session than was to end")
    return session


def retrieve(session_id: str, *, within_seconds: float) -> CheckoutSession:
    """The session as Stripe knows it now, which counts more than any event about it.

    Raises StripeUnavailable or UnknownToStripe.
    """
    sessions = asking.client().v1.checkout.sessions
    params: Any = {"expand": ["payment_intent.latest_charge"]}
    if settings.STRIPE_INVOICES:
        params["expand"].append("invoice")
    answer = asking.ask(
        lambda: sessions.retrieve(session_id, params=params),
        line=asking.looking,
        within_seconds=within_seconds,
    )
    session = read_session(answer)
    if session.session_id != session_id:
        raise answers.unusable("another session than was asked for")
    return session


def ids_for(order: Purchase | PlanOrder, *, since: datetime, until: datetime) -> list[str]:
    """The ids of the sessions that were made for an order between two moments.

    For an order whose session may exist although its id never reached us. Raises StripeUnavailable.
    """
    sessions = asking.client().v1.checkout.sessions
    params: Any = {
        "limit": 100,
        "created": {"gte": int(since.timestamp()), "lte": int(until.timestamp()) + 1},
    }
    found: list[str] = []
    for _ in range(_PAGES_AT_MOST):
        asked: Any = {**params}
        call = partial(sessions.list, params=asked)
        page = _read_page(
            asking.ask(call, line=asking.looking, within_seconds=asking.WORKER_SECONDS)
        )
        found += [
            session_id for session_id, reference in page.sessions if reference == str(order.pk)
        ]
        if not page.has_more:
            return found
        params["starting_after"] = page.sessions[-1][0]
    raise StripeUnavailable("too many sessions to look through")


@dataclass(frozen=True, slots=True)
class _Page:
    sessions: list[tuple[str, object]]  # id, client_reference_id
    has_more: bool


def read_session(answer: object) -> CheckoutSession:
    """A session of an answer that is one."""
    return read_fields(answers.fields_of(answer, "checkout.session"))


def read_fields(fields: Mapping[str, Any]) -> CheckoutSession:
    """A session of its fields."""
    status = answers.one_of(fields, "status", _SESSION_STATES)
    intent = fields.get("payment_intent")
    if not isinstance(intent, str | dict | None):
        raise answers.unusable("payment_intent")
    # After a completed session the intent falls back to this state only if the payment failed.
    failed = (
        status == "complete"
        and isinstance(intent, dict)
        and intent.get("status") in {"requires_payment_method", "canceled"}
    )
    details = _inside_or_nothing(fields, "total_details")
    invoice = _inside_or_nothing(fields, "invoice")
    charge = _inside_or_nothing(intent, "latest_charge") if isinstance(intent, dict) else {}
    return CheckoutSession(
        session_id=read_session_id(fields),
        url=answers.web_address(fields, "url"),
        client_reference_id=answers.optional_text(fields, "client_reference_id"),
        account=answers.metadata(fields).get("account"),
        status=status,
        payment_status=answers.one_of(fields, "payment_status", _PAYMENT_STATES),
        payment_failed=failed,
        amount_cents=answers.amount(fields, "amount_total"),
        currency=answers.currency(fields),
        is_live=answers.flag(fields, "livemode"),
        mode=answers.one_of(fields, "mode", _MODES),
        subscription_id=_subscription_id(fields),
        subtotal_cents=answers.amount(fields, "amount_subtotal"),
        discount_cents=answers.amount(details, "amount_discount") or 0,
        tax_cents=answers.amount(details, "amount_tax") or 0,
        takes_codes=fields.get("allow_promotion_codes") is True,
        is_taxed=_inside_or_nothing(fields, "automatic_tax").get("enabled") is True,
        receipt_url=answers.link_of_stripe(charge, "receipt_url"),
        invoice_url=answers.link_of_stripe(invoice, "hosted_invoice_url"),
        invoice_pdf_url=answers.link_of_stripe(invoice, "invoice_pdf"),
    )


def _inside_or_nothing(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object within another; empty where it is only named, or not there."""
    value = fields.get(name)
    if not isinstance(value, str | dict | None):
        raise answers.unusable(name)
    return value if isinstance(value, dict) else {}


def _subscription_id(fields: Mapping[str, Any]) -> str | None:
    value = fields.get("subscription")
    if isinstance(value, dict):
        return answers.object_id(value, "sub")
    return None if value is None else answers.object_id({"id": value}, "sub")


def _read_page(answer: object) -> _Page:
    fields = answers.fields_of(answer, "list")
    sessions = answers.rows_of(fields)
    has_more = answers.flag(fields, "has_more")
    if has_more and not sessions:
        raise answers.unusable("has_more")
    return _Page(
        sessions=[(read_session_id(one), one.get("client_reference_id")) for one in sessions],
        has_more=has_more,
    )


def read_session_id(fields: Mapping[str, Any]) -> str:
    """The id of a session."""
    value = fields.get("id")
    if not isinstance(value, str) or not re.fullmatch(r"cs_[A-Za-z0-9_]{1,252}", value):
        raise answers.unusable("id")
    return value
