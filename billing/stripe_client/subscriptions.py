"""Subscriptions: read as they are now, changed, cancelled and resumed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from billing import rights
from billing.stripe_client import answers, asking
from billing.stripe_client.prices import plan_of_product

_STATES = {
    *("incomplete", "incomplete_expired", "trialing", "active"),
    *("past_due", "canceled", "unpaid", "paused"),
}
_EXPANDED = ["latest_invoice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StripeSubscription:
    """A subscription as Stripe knows it at `asked_at`.

    plan: the slug of the plan that its price is of, None where it is of none of ours;
    amount_cents: of a period, all seats together; is_ending: it ends with its period;
    is_changing: a change waits for its payment; is_taxed, is_discounted: what is charged is more or
    less than the amount; pay_url: where its open invoice is paid, or "".
    """

    subscription_id: str
    customer_id: str
    item_id: str
    plan: str | None
    price_id: str
    interval: str
    amount_cents: int
    currency: str
    quantity: int
    status: str
    starts_at: datetime
    renews_at: datetime
    is_ending: bool
    is_changing: bool
    is_taxed: bool
    is_discounted: bool
    pay_url: str
    created_at: datetime
    ended_at: datetime | None
    is_live: bool
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change costs at once: cents, negative where something is credited, as of a moment."""

    cents: int
    currency: str
    as_of: int


def retrieve(subscription_id: str, *, within_seconds: float) -> StripeSubscription:
    """A subscription as it is now. Raises StripeUnavailable or UnknownToStripe."""
    subscriptions = asking.client().v1.subscriptions
    return _asked(
        lambda: subscriptions.retrieve(subscription_id, params={"expand": _EXPANDED}),
        subscription_id,
        line_is_opening=False,
        within_seconds=within_seconds,
    )


def of_customer(customer_id: str, *, within_seconds: float) -> list[str]:
    """The ids of all subscriptions that a customer has or had. Raises StripeUnavailable."""
    subscriptions = asking.client().v1.subscriptions
    params: Any = {"customer": customer_id, "status": "all", "limit": 100}
    answer = asking.ask(
        lambda: subscriptions.list(params=params),
        line=asking.looking,
        within_seconds=within_seconds,
        right=rights.SUBSCRIPTIONS,
    )
    rows = answers.rows_of(answers.fields_of(answer, "list"))
    return [answers.object_id(row, "sub") for row in rows]


def preview(known: StripeSubscription, *, price_id: str, quantity: int) -> Preview:
    """What it costs at once to go to another price or number now. Raises StripeUnavailable."""
    invoices = asking.client().v1.invoices
    params: Any = {
        "subscription": known.subscription_id,
        "subscription_details": {
            "items": [{"id": known.item_id, "price": price_id, "quantity": quantity}],
            "proration_behavior": "always_invoice",
        },
    }
    answer = asking.ask(
        lambda: invoices.create_preview(params=params),
        line=asking.opening,
        within_seconds=asking.PAGE_SECONDS,
        right=rights.SUBSCRIPTIONS,
    )
    fields = answers.fields_of(answer, "invoice")
    total = fields.get("total")
    if type(total) is not int:
        raise answers.unusable("total")
    details = answers.inside(answers.inside(fields, "parent"), "subscription_details")
    as_of = answers.moment_number(details, "subscription_proration_date")
    return Preview(total, answers.currency(fields) or "", as_of)


def change_price(
    known: StripeSubscription,
    *,
    price_id: str,
    quantity: int,
    invoice_now: bool,
    as_of: int | None = None,
    key: str,
) -> StripeSubscription:
    """Go to another price or number of it; invoiced at once for the rest of the period, or later.

    Later is with the next period. as_of: the moment of a preview, to be charged what it said. What
    is invoiced and not paid changes nothing yet (`is_changing`). Raises StripeUnavailable, or
    StripeRefuses also where the card was refused.
    """
    params: Any = {
        "items": [{"id": known.item_id, "price": price_id, "quantity": quantity}],
        "proration_behavior": "always_invoice" if invoice_now else "none",
        "expand": _EXPANDED,
    }
    if invoice_now:
        params["payment_behavior"] = "pending_if_incomplete"
        if as_of is not None:
            params["proration_date"] = as_of
    return _update(known.subscription_id, params, key=key)


def set_ending(subscription_id: str, *, is_ending: bool, key: str) -> StripeSubscription:
    """Have it end with its period, or go on after all. Raises as `change_price` does."""
    params: Any = {"cancel_at_period_end": is_ending, "expand": _EXPANDED}
    return _update(subscription_id, params, key=key)


def cancel(subscription_id: str) -> StripeSubscription:
    """Have it end at once. Raises StripeUnavailable, or UnknownToStripe where it has ended."""
    subscriptions = asking.client().v1.subscriptions
    params: Any = {"expand": _EXPANDED}
    return _asked(
        lambda: subscriptions.cancel(subscription_id, params=params),
        subscription_id,
        line_is_opening=True,
        within_seconds=asking.PAGE_SECONDS,
    )


def _update(subscription_id: str, params: Any, *, key: str) -> StripeSubscription:
    subscriptions = asking.client().v1.subscriptions
    return _asked(
        lambda: subscriptions.update(
            subscription_id, params=params, options={"idempotency_key": key}
        ),
        subscription_id,
        line_is_opening=True,
        within_seconds=asking.PAGE_SECONDS,
    )


def _asked(
    call: Callable[[], Any], subscription_id: str, *, line_is_opening: bool, within_seconds: float
) -> StripeSubscription:
    # Before the call: what somebody else is told later than that knows more.
    asked_at = timezone.now()
    answer = asking.ask(
        call,
        line=asking.opening if line_is_opening else asking.looking,
        within_seconds=within_seconds,
        right=rights.SUBSCRIPTIONS,
    )
    found = _read(answers.fields_of(answer, "subscription"), asked_at=asked_at)
    if found.subscription_id != subscription_id:
        raise answers.unusable("another subscription than was asked for")
    return found


def _read(fields: Mapping[str, Any], *, asked_at: datetime) -> StripeSubscription:
    items = answers.rows_of(answers.inside(fields, "items"))
    if not items:
        raise answers.unusable("items")
    item = items[0]
    price = answers.inside(item, "price")
    recurring = answers.inside(price, "recurring")
    unit_amount = answers.amount(price, "unit_amount") or 0
    quantity = answers.amount(item, "quantity") or 1
    product_id, customer_id = price.get("product"), fields.get("customer")
    if not isinstance(product_id, str) or not isinstance(customer_id, str):
        raise answers.unusable("product or customer")
    # Several prices, or every third month: nothing of ours, whatever the product is called.
    is_ours = len(items) == 1 and recurring.get("interval_count") == 1
    ended = fields.get("ended_at")
    return StripeSubscription(
        subscription_id=answers.object_id(fields, "sub"),
        customer_id=customer_id,
        item_id=answers.object_id(item, "si"),
        plan=plan_of_product(product_id) if is_ours else None,
        price_id=answers.object_id(price, "price"),
        interval=answers.one_of(recurring, "interval", {"day", "week", "month", "year"}),
        amount_cents=unit_amount * quantity,
        currency=answers.currency(price) or "",
        quantity=quantity,
        status=answers.one_of(fields, "status", _STATES),
        starts_at=answers.moment(item, "current_period_start"),
        renews_at=answers.moment(item, "current_period_end"),
        is_ending=answers.flag(fields, "cancel_at_period_end")
        or fields.get("cancel_at") is not None,
        is_changing=fields.get("pending_update") is not None,
        is_taxed=_is_taxed(fields),
        is_discounted=bool(fields.get("discounts")),
        pay_url=_pay_url(fields),
        created_at=answers.moment(fields, "created"),
        ended_at=None if ended is None else answers.moment(fields, "ended_at"),
        is_live=answers.flag(fields, "livemode"),
        asked_at=asked_at,
    )


def _is_taxed(fields: Mapping[str, Any]) -> bool:
    tax = fields.get("automatic_tax")
    return isinstance(tax, dict) and tax.get("enabled") is True


def _pay_url(fields: Mapping[str, Any]) -> str:
    invoice = fields.get("latest_invoice")
    if not isinstance(invoice, dict) or invoice.get("status") != "open":
        return ""
    return answers.web_address(invoice, "hosted_invoice_url") or ""
