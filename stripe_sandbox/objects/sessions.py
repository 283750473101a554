"""The shape of a Checkout Session and of its lines."""

from stripe_sandbox.books import Json
from stripe_sandbox.objects.ids import new_id


def checkout_session(
    *, session_id: str, url: str, at: int, items: list[Json], wanted: Json
) -> Json:
    """An open Checkout Session; `wanted` holds what the caller chose."""
    total = sum(item["amount_total"] for item in items)
    email = wanted["customer_email"]
    is_setup = wanted["mode"] == "setup"
    return {
        "id": session_id,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": False},
        "after_expiration": None,
        "allow_promotion_codes": None,
        "amount_subtotal": None if is_setup else total,
        "amount_total": None if is_setup else total,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": None,
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "created": at,
        "currency": items[0]["currency"] if items else None,
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer": None,
        "customer_account": None,
        "customer_creation": None,
        "customer_details": customer_details(email=email, name=None) if email else None,
        "discounts": None if is_setup else [],
        "invoice": None,
        "invoice_creation": None,
        "livemode": False,
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": "if_required" if wanted["mode"] == "payment" else "always",
        "payment_method_options": {},
        "payment_status": "no_payment_required" if is_setup else "unpaid",
        "permissions": None,
        "phone_number_collection": {"enabled": False},
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "subscription": None,
        "total_details": None
        if is_setup
        else {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": url,
        "wallet_options": None,
        **wanted,
    }


def customer_details(*, email: str | None, name: str | None) -> Json:
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


def line_item(*, price: Json, quantity: int, description: str, metadata: dict[str, str]) -> Json:
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
        "metadata": metadata,
        "price": price,
        "quantity": quantity,
    }
