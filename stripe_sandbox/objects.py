"""The shapes of Stripe's objects, with the fields our client reads."""

import secrets
import string
from typing import Any

from stripe_sandbox.cards import Card, Method, SandboxNumber
from stripe_sandbox.store import Json

# The version the pinned client speaks; a test says when they part.
API_VERSION = "2026-10-28.endive"
ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str, *, length: int = 24) -> str:
    """A fresh unguessable id such as `pi_…`."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(length))


def checkout_session(
    *, session_id: str, url: str, at: int, items: list[Json], wanted: dict[str, Any]
) -> Json:
    """An open Checkout Session; `wanted` holds what the caller chose."""
    total = sum(item["amount_total"] for item in items)
    email = wanted["customer_email"]
    return {
        "id": session_id,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": False},
        "after_expiration": None,
        "allow_promotion_codes": None,
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": None,
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "created": at,
        "currency": items[0]["currency"],
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {"after_submit": None, "submit": None},
        "customer": None,
        "customer_account": None,
        "customer_creation": "if_required",
        "customer_details": customer_details(email=email, name=None) if email else None,
        "discounts": [],
        "invoice": None,
        "invoice_creation": None,
        "livemode": False,
        "mode": "payment",
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": "if_required",
        "payment_method_options": {},
        "payment_status": "unpaid",
        "phone_number_collection": {"enabled": False},
        "recovered_from": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "subscription": None,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": url,
        **wanted,
    }


def customer_details(*, email: str, name: str | None) -> Json:
    """Who is buying, as far as the page asked."""
    return {
        "address": None,
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": name,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }


def price(*, at: int, currency: str, unit_amount: int, product: str, active: bool) -> Json:
    """A one-time price; those made inline by a session are inactive, as Stripe's are."""
    return {
        "id": new_id("price_1"),
        "object": "price",
        "active": active,
        "billing_scheme": "per_unit",
        "created": at,
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": product,
        "recurring": None,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": unit_amount,
        "unit_amount_decimal": str(unit_amount),
    }


def product(*, at: int, name: str, description: str | None, metadata: dict[str, str]) -> Json:
    """What a price is for."""
    return {
        "id": new_id("prod_", length=14),
        "object": "product",
        "active": True,
        "created": at,
        "default_price": None,
        "description": description,
        "images": [],
        "livemode": False,
        "metadata": metadata,
        "name": name,
        "tax_code": None,
        "type": "service",
        "updated": at,
        "url": None,
    }


def line_item(*, price: Json, quantity: int, description: str) -> Json:
    """One line of a session."""
    amount = price["unit_amount"] * quantity
    return {
        "id": new_id("li_1"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": description,
        "metadata": {},
        "price": price,
        "quantity": quantity,
    }


def payment_intent(*, session: Json, at: int, metadata: dict[str, str]) -> Json:
    """The payment of a session, before anything was tried."""
    intent_id = new_id("pi_3")
    return {
        "id": intent_id,
        "object": "payment_intent",
        "amount": session["amount_total"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": f"{intent_id}_secret_{new_id('', length=25)}",
        "confirmation_method": "automatic",
        "created": at,
        "currency": session["currency"],
        "customer": None,
        "customer_account": None,
        "description": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": metadata,
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_options": {},
        "payment_method_types": session["payment_method_types"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }


def payment_method_details(*, card: Card, method: Method, authenticated: bool) -> Json:
    """How it was paid: last four digits and brand, nothing more of the card."""
    if method == "us_bank_account":
        details: Json = {
            "account_holder_type": "individual",
            "account_type": "checking",
            "bank_name": "SANDBOX BANK",
            "last4": card.last4,
        }
    else:
        details = {
            "brand": card.brand,
            "checks": {
                "address_line1_check": None,
                "address_postal_code_check": None,
                "cvc_check": "pass",
            },
            "country": "US",
            "exp_month": card.exp_month,
            "exp_year": card.exp_year,
            "funding": "credit",
            "last4": card.last4,
            "network": card.brand,
            "three_d_secure": {"result": "authenticated", "version": "2.2.0"}
            if authenticated
            else None,
            "wallet": None,
        }
    return {"type": method, method: details}


def charge(
    *, intent: Json, at: int, buyer: dict[str, str], number: SandboxNumber, details: Json
) -> Json:
    """One try at taking the money; `pending` for a bank debit, else decided at once."""
    failed = number.outcome == "declined"
    status = {"declined": "failed", "settles": "pending", "bounces": "pending"}.get(
        number.outcome, "succeeded"
    )
    return {
        "id": new_id("ch_3"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0 if failed else intent["amount"],
        "amount_refunded": 0,
        "application": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": {
            "address": None,
            "email": buyer["email"],
            "name": buyer["name"],
            "phone": None,
            "tax_id": None,
        },
        "captured": not failed,
        "created": at,
        "currency": intent["currency"],
        "customer": None,
        "description": None,
        "disputed": False,
        "failure_code": number.code,
        "failure_message": number.message,
        "fraud_details": {},
        "livemode": False,
        "metadata": intent["metadata"],
        "outcome": {
            "network_status": "declined_by_network" if failed else "approved_by_network",
            "reason": number.decline_code,
            "seller_message": number.message or "Payment complete.",
            "type": "issuer_declined" if failed else "authorized",
        },
        "paid": status == "succeeded",
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"],
        "payment_method_details": details,
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "statement_descriptor": None,
        "status": status,
        "transfer_data": None,
        "transfer_group": None,
    }


def refund(
    *, charge: Json, amount: int, at: int, reason: str | None, metadata: dict[str, str]
) -> Json:
    """Money that the merchant gave back; to cards it is on its way at once."""
    return {
        "id": new_id("re_3"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": at,
        "currency": charge["currency"],
        "metadata": metadata,
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }


def dispute(*, charge: Json, at: int) -> Json:
    """What the buyer's bank took back, until somebody shows that it was wrong."""
    return {
        "id": new_id("du_1"),
        "object": "dispute",
        "amount": charge["amount"],
        "balance_transactions": [],
        "charge": charge["id"],
        "created": at,
        "currency": charge["currency"],
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": "fraudulent",
        "status": "needs_response",
    }


def payment_error(
    *,
    code: str,
    message: str,
    decline_code: str | None = None,
    charge_id: str | None = None,
    method: Method = "card",
) -> Json:
    """The `last_payment_error` of a payment intent."""
    error: Json = {
        "type": "card_error" if method == "card" else "invalid_request_error",
        "code": code,
        "doc_url": f"https://docs.stripe.com/error-codes#{code.replace('_', '-')}",
        "message": message,
    }
    if decline_code:
        error["decline_code"] = decline_code
    if charge_id:
        error["charge"] = charge_id
    return error


def event(
    *, kind: str, thing: Json, at: int, request_id: str | None, idempotency_key: str | None
) -> Json:
    """A notice that something happened, with the object as it was at that moment."""
    return {
        "id": new_id("evt_1"),
        "object": "event",
        "api_version": API_VERSION,
        "created": at,
        "data": {"object": thing},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": request_id, "idempotency_key": idempotency_key},
        "type": kind,
    }
