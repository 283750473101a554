"""The shapes of invoices, their lines and what was paid on them."""

from stripe_sandbox.books import Json
from stripe_sandbox.objects.ids import new_id
from stripe_sandbox.objects.lists import listed
from stripe_sandbox.params import LEAST_AMOUNT


def invoice(
    *,
    at: int,
    customer: Json,
    lines: list[Json],
    reason: str,
    currency: str,
    subscription: Json | None,
    period_start: int,
    period_end: int,
    off: int = 0,
    tax: int = 0,
) -> Json:
    """A draft; a negative balance of the customer pays first, a negative total goes to it.

    off: what a promotion code takes off; tax: what is added.
    """
    invoice_id = new_id("in_1")
    taxed = is_taxed(subscription)
    subtotal = sum(line["amount"] for line in lines)
    total = subtotal - off + tax
    due = total + customer["balance"]
    due = due if due >= LEAST_AMOUNT[currency] else 0
    for line in lines:
        line["invoice"] = invoice_id
    return {
        "id": invoice_id,
        "object": "invoice",
        "account_country": "US",
        "account_name": None,
        "account_tax_ids": None,
        "amount_due": due,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": due,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": reason != "manual",
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": taxed,
            "liability": {"type": "self"} if taxed else None,
            "provider": "stripe" if taxed else None,
            "status": "complete" if taxed else None,
        },
        "automatically_finalizes_at": None,
        "billing_reason": reason,
        "collection_method": "charge_automatically",
        "created": at,
        "currency": currency,
        "custom_fields": None,
        "customer": customer["id"],
        "customer_account": None,
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": customer["shipping"],
        "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": [],
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "due_date": None,
        "effective_at": None,
        "ending_balance": None,
        "footer": None,
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": listed(lines, url=f"/v1/invoices/{invoice_id}/lines"),
        "livemode": False,
        "metadata": {},
        "next_payment_attempt": None,
        "number": None,
        "on_behalf_of": None,
        "parent": _parent(subscription),
        "payment_settings": {
            "default_mandate": None,
            "payment_method_options": None,
            "payment_method_types": None,
        },
        "period_end": period_end,
        "period_start": period_start,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": customer["balance"],
        "statement_descriptor": None,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal,
        "test_clock": None,
        "total": total,
        "total_discount_amounts": [{"amount": off, "discount": new_id("di_1")}] if off else [],
        "total_excluding_tax": total - tax,
        "total_pretax_credit_amounts": [],
        "total_taxes": [_tax(tax, taxable=subtotal - off)] if tax else [],
        "webhooks_delivered_at": at,
    }


def line(
    *,
    amount: int,
    price: Json,
    quantity: int,
    description: str,
    start: int,
    end: int,
    item: Json | None = None,
    proration: bool = False,
    metadata: dict[str, str] | None = None,
) -> Json:
    """One line of an invoice; `item` is the subscription's that it is about."""
    line_id = new_id("il_1")
    return {
        "id": line_id,
        "object": "line_item",
        "amount": amount,
        "currency": price["currency"],
        "description": description,
        "discount_amounts": [],
        "discountable": not proration,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": metadata or {},
        "parent": _line_parent(line_id, item, proration=proration),
        "period": {"end": end, "start": start},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "subscription": item["subscription"] if item else None,
        "subtotal": amount,
        "taxes": [],
    }


def invoice_payment(*, at: int, invoice: Json, intent: Json) -> Json:
    """What was, or is to be, paid on an invoice with a payment intent."""
    return {
        "id": new_id("inpay_1"),
        "object": "invoice_payment",
        "amount_paid": None,
        "amount_requested": invoice["amount_due"],
        "created": at,
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": True,
        "livemode": False,
        "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }


def is_taxed(subscription: Json | None) -> bool:
    """Whether taxes are added to what a subscription costs."""
    return bool(subscription and subscription["automatic_tax"]["enabled"])


def _tax(amount: int, *, taxable: int) -> Json:
    return {
        "amount": amount,
        "tax_behavior": "exclusive",
        "tax_rate_details": None,
        "taxability_reason": "standard_rated",
        "taxable_amount": taxable,
        "type": "tax_rate_details",
    }


def _parent(subscription: Json | None) -> Json | None:
    if subscription is None:
        return None
    details = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
    return {
        "quote_details": None,
        "subscription_details": details,
        "type": "subscription_details",
    }


def _line_parent(line_id: str, item: Json | None, *, proration: bool) -> Json | None:
    if item is None:
        details: Json = {
            "invoice_item": line_id.replace("il_", "ii_"),
            "proration": False,
            "proration_details": None,
            "subscription": None,
        }
        return {
            "invoice_item_details": details,
            "subscription_item_details": None,
            "type": "invoice_item_details",
        }
    details = {
        "invoice_item": None,
        "proration": proration,
        "proration_details": {"credited_items": None} if proration else None,
        "subscription": item["subscription"],
        "subscription_item": item["id"],
    }
    return {
        "invoice_item_details": None,
        "subscription_item_details": details,
        "type": "subscription_item_details",
    }
