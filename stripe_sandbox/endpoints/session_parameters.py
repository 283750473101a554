"""What a caller may choose of a Checkout Session, read and checked."""

from dataclasses import dataclass, field

from stripe_sandbox.books import Json
from stripe_sandbox.calls import Call
from stripe_sandbox.params import Params

HALF_AN_HOUR = 30 * 60
ONE_DAY = 24 * 3600
# Seconds by which the caller's clock may differ from ours before a limit counts as broken.
LEEWAY = 60
METHODS = ("card", "us_bank_account")
SUBMIT_TYPES = ("auto", "pay", "book", "donate", "subscribe")


@dataclass(kw_only=True)
class Wishes:
    """What a session does not show, but does when it is complete."""

    customer_update: dict[str, str | None] = field(default_factory=dict)
    subscription_metadata: dict[str, str] = field(default_factory=dict)
    subscription_description: str | None = None
    intent: Json = field(default_factory=dict)


def chosen(call: Call, mode: str) -> tuple[Json, Wishes]:
    """The session's fields that the caller sets, and the wishes behind it."""
    params = call.params
    success_url = params.url("success_url")
    if success_url is None:
        params.required("success_url")
    wishes = Wishes()
    wanted: Json = {
        "mode": mode,
        "success_url": success_url,
        "cancel_url": params.url("cancel_url"),
        "client_reference_id": params.text("client_reference_id", most=200),
        "expires_at": _expires_at(params, at=call.at),
        "locale": params.text("locale"),
        "metadata": params.metadata(),
        "payment_method_types": _methods(params, mode),
        "submit_type": params.choice("submit_type", SUBMIT_TYPES),
        "allow_promotion_codes": params.flag("allow_promotion_codes"),
        "billing_address_collection": params.choice(
            "billing_address_collection", ("auto", "required")
        ),
        **_customer(call, mode, wishes),
        **_extras(params, mode),
    }
    _address_for_taxes(call, wanted, wishes)
    _intent(params, mode, wishes)
    _subscription(params, mode, wishes)
    return wanted, wishes


def _customer(call: Call, mode: str, wishes: Wishes) -> Json:
    params = call.params
    params.at_most_one("customer", "customer_email")
    params.at_most_one("customer", "customer_creation")
    email = params.email("customer_email")
    customer = call.named("customer", "customer")
    creation = params.choice("customer_creation", ("always", "if_required"))
    if creation and mode == "subscription":
        params.refuse(
            "customer_creation",
            "`customer_creation` can only be used in `payment` and `setup` mode.",
        )
    level = params.level("customer_update")
    wishes.customer_update = {
        name: level.choice(name, ("auto", "never")) for name in ("address", "name", "shipping")
    }
    level.finish()
    if level.tree and customer is None:
        params.refuse("customer_update", "`customer_update` can only be used with `customer`.")
    default = None if customer or mode == "setup" else "if_required"
    return {
        "customer": customer["id"] if customer else None,
        "customer_email": email,
        "customer_creation": creation or ("always" if mode == "subscription" else default),
    }


def _extras(params: Params, mode: str) -> Json:
    found: Json = {
        "adaptive_pricing": {"enabled": _enabled(params, "adaptive_pricing")},
        "invoice_creation": _invoice_creation(params, mode),
        "saved_payment_method_options": _saved(params),
        "phone_number_collection": {"enabled": _enabled(params, "phone_number_collection")},
    }
    tax = params.level("automatic_tax")
    if tax.has("enabled") and tax.flag("enabled"):
        found["automatic_tax"] = {
            "enabled": True,
            "liability": {"type": "self"},
            "provider": "stripe",
            "status": "requires_location_inputs",
        }
    tax.finish()
    ids = params.level("tax_id_collection")
    if ids.tree:
        is_on = ids.flag("enabled") or False
        required = ids.choice("required", ("if_supported", "never"))
        found["tax_id_collection"] = {"enabled": is_on, "required": required or "never"}
    ids.finish()
    consent = params.level("consent_collection")
    if consent.tree:
        found["consent_collection"] = {
            "payment_method_reuse_agreement": None,
            "promotions": consent.choice("promotions", ("auto", "none")),
            "terms_of_service": consent.choice("terms_of_service", ("none", "required")),
        }
    consent.finish()
    text = params.level("custom_text")
    if text.tree:
        names = ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
        found["custom_text"] = {name: _message(text, name) for name in names}
    text.finish()
    return found


def _message(params: Params, name: str) -> Json | None:
    level = params.level(name)
    if not level.tree:
        return None
    message = level.required("message", most=1200)
    level.finish()
    return {"message": message}


def _enabled(params: Params, name: str) -> bool:
    level = params.level(name)
    is_on = level.flag("enabled") or False
    level.finish()
    return is_on


def _invoice_creation(params: Params, mode: str) -> Json | None:
    level = params.level("invoice_creation")
    if level.tree and mode != "payment":
        params.refuse("invoice_creation", "`invoice_creation` can only be used in `payment` mode.")
    is_on = level.flag("enabled") or False
    data = level.level("invoice_data")
    content = {
        "account_tax_ids": None,
        "custom_fields": None,
        "description": data.text("description", most=1500),
        "footer": data.text("footer"),
        "issuer": None,
        "metadata": data.metadata() or None,
        "rendering_options": None,
    }
    data.finish()
    level.finish()
    return {"enabled": is_on, "invoice_data": content} if mode == "payment" else None


def _saved(params: Params) -> Json | None:
    level = params.level("saved_payment_method_options")
    if not level.tree:
        return None
    found = {
        "allow_redisplay_filters": level.texts("allow_redisplay_filters") or None,
        "payment_method_remove": level.choice("payment_method_remove", ("disabled", "enabled")),
        "payment_method_save": level.choice("payment_method_save", ("disabled", "enabled")),
    }
    level.finish()
    return found


def _intent(params: Params, mode: str, wishes: Wishes) -> None:
    level = params.level("payment_intent_data")
    if level.tree and mode != "payment":
        params.refuse(
            "payment_intent_data",
            f"You can not pass `payment_intent_data` in `{mode}` mode.",
        )
    wishes.intent = {
        "metadata": level.metadata(),
        "description": level.text("description", most=1000),
        "receipt_email": level.email("receipt_email"),
        "setup_future_usage": level.choice("setup_future_usage", ("off_session", "on_session")),
        "statement_descriptor": level.text("statement_descriptor", most=22),
        "statement_descriptor_suffix": level.text("statement_descriptor_suffix", most=22),
    }
    level.choice("capture_method", ("automatic", "automatic_async"))
    level.finish()
    level = params.level("setup_intent_data")
    if level.tree and mode != "setup":
        params.refuse(
            "setup_intent_data", f"You can not pass `setup_intent_data` in `{mode}` mode."
        )
    if mode == "setup":
        wishes.intent = {"metadata": level.metadata(), "description": level.text("description")}
    level.finish()


def _subscription(params: Params, mode: str, wishes: Wishes) -> None:
    level = params.level("subscription_data")
    if level.tree and mode != "subscription":
        params.refuse(
            "subscription_data", f"You can not pass `subscription_data` in `{mode}` mode."
        )
    wishes.subscription_metadata = level.metadata()
    wishes.subscription_description = level.text("description", most=500)
    level.finish()


def _address_for_taxes(call: Call, wanted: Json, wishes: Wishes) -> None:
    """What Stripe asks of a known customer before it works out taxes for them."""
    customer = call.books.get("customer", wanted["customer"])
    if customer is None:
        return
    update = wishes.customer_update
    if (wanted.get("tax_id_collection") or {}).get("enabled") and update["name"] != "auto":
        call.params.refuse(
            "customer_update",
            "Tax ID collection requires updating business name on the customer. To enable tax ID "
            "collection for an existing customer, please set `customer_update[name]` to `auto`.",
        )
    asks = wanted.get("automatic_tax")
    if asks and not customer["address"] and "auto" not in (update["address"], update["shipping"]):
        call.params.refuse(
            "automatic_tax",
            "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a "
            "valid address to the Customer or set either `customer_update[address]` to 'auto' or "
            "`customer_update[shipping]` to 'auto' to save the address entered in Checkout to the "
            "Customer.",
            code="customer_tax_location_invalid",
        )


def _expires_at(params: Params, *, at: int) -> int:
    expires_at = params.whole("expires_at")
    if expires_at is None:
        return at + ONE_DAY
    if expires_at < at + HALF_AN_HOUR - LEEWAY:
        params.refuse(
            "expires_at",
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session "
            "creation.",
        )
    if expires_at > at + ONE_DAY + LEEWAY:
        params.refuse(
            "expires_at",
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.",
        )
    return expires_at


def _methods(params: Params, mode: str) -> list[str]:
    # Debits are for single payments: what is saved or renewed is a card.
    possible = METHODS if mode == "payment" else METHODS[:1]
    methods = params.texts("payment_method_types") or list(possible)
    if not set(methods) <= set(possible):
        params.refuse(
            "payment_method_types", f"Invalid payment_method_types: must be {', '.join(possible)}"
        )
    return methods
