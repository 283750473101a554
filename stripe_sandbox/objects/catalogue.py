"""The shapes of what is sold: products and their prices."""

from stripe_sandbox.books import Json
from stripe_sandbox.objects.ids import new_id


def price(
    *,
    at: int,
    currency: str,
    unit_amount: int,
    product: str,
    active: bool,
    recurring: Json | None = None,
) -> Json:
    """A price, paid once or again and again; those made inline are inactive, as Stripe's are."""
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
        "recurring": recurring,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if recurring else "one_time",
        "unit_amount": unit_amount,
        "unit_amount_decimal": str(unit_amount),
    }


def recurring(*, interval: str, interval_count: int) -> Json:
    """How often a price falls due."""
    return {
        "interval": interval,
        "interval_count": interval_count,
        "meter": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


def plan(price: Json) -> Json:
    """A recurring price in the older shape that subscription items carry as well."""
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": "per_unit",
        "created": price["created"],
        "currency": price["currency"],
        "interval": price["recurring"]["interval"],
        "interval_count": price["recurring"]["interval_count"],
        "livemode": False,
        "metadata": price["metadata"],
        "meter": None,
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "licensed",
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
        "marketing_features": [],
        "metadata": metadata,
        "name": name,
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": None,
        "updated": at,
        "url": None,
    }
