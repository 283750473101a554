"""The shapes of customers and of the ways in which they pay."""

import hashlib

from stripe_sandbox.books import Json
from stripe_sandbox.cards import Card, Method
from stripe_sandbox.objects.ids import new_id

TOLD_OF_ACCOUNTS = (
    "account_holder_type",
    "account_type",
    "bank_name",
    "fingerprint",
    "last4",
    "routing_number",
)
TOLD_OF_CARDS = (
    "brand",
    "checks",
    "country",
    "exp_month",
    "exp_year",
    "fingerprint",
    "funding",
    "last4",
)


def address(**known: str | None) -> Json:
    """A postal address; whatever was not said of it is null."""
    blank = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
    return {**blank, **known}


def customer(*, at: int, email: str | None = None, name: str | None = None) -> Json:
    """A customer of whom nothing more is known."""
    return {
        "id": new_id("cus_", length=14),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": at,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": email,
        "invoice_prefix": new_id("", length=8).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": name,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def payment_method(
    *, at: int, card: Card, method: Method, email: str | None, name: str | None
) -> Json:
    """A card or bank account that belongs to nobody yet."""
    if method == "us_bank_account":
        details: Json = {
            "account_holder_type": "individual",
            "account_type": "checking",
            "bank_name": "SANDBOX BANK",
            "financial_connections_account": None,
            "fingerprint": _fingerprint(card),
            "last4": card.last4,
            "networks": {"preferred": "ach", "supported": ["ach"]},
            "routing_number": "110000000",
            "status_details": None,
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
            "display_brand": card.brand,
            "exp_month": card.exp_month,
            "exp_year": card.exp_year,
            "fingerprint": _fingerprint(card),
            "funding": "credit",
            "generated_from": None,
            "last4": card.last4,
            "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        }
    return {
        "id": new_id("pm_1"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing_details(email=email, name=name),
        method: details,
        "created": at,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": method,
    }


def billing_details(*, email: str | None, name: str | None) -> Json:
    """Whose card it is, as far as it was said."""
    return {"address": address(), "email": email, "name": name, "phone": None, "tax_id": None}


def payment_method_details(method: Json, *, authenticated: bool) -> Json:
    """How it was paid: last four digits and brand, nothing more of the card."""
    kind = method["type"]
    told = method[kind]
    if kind == "us_bank_account":
        details = {name: told[name] for name in TOLD_OF_ACCOUNTS}
        details |= {"mandate": None, "payment_reference": None}
        return {"type": kind, kind: details}
    details = {name: told[name] for name in TOLD_OF_CARDS}
    secure = {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "exemption_indicator": None,
        "result": "authenticated",
        "result_reason": None,
        "transaction_id": None,
        "version": "2.2.0",
    }
    details |= {
        "installments": None,
        "mandate": None,
        "network": told["brand"],
        "network_token": {"used": False},
        "network_transaction_id": None,
        "regulated_status": "unregulated",
        "three_d_secure": secure if authenticated else None,
        "wallet": None,
    }
    return {"type": kind, kind: details}


def _fingerprint(card: Card) -> str:
    """The same for the same card, as far as one is known here."""
    return hashlib.sha256(f"{card.brand} {card.last4}".encode()).hexdigest()[:16]
