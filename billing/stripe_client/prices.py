"""What plans cost, as Stripe's products and prices: made once, found again by name ever after."""

from typing import Any

from billing import rights
from billing.stripe_client import answers, asking
from billing.stripe_client.errors import UnknownToStripe

_PRODUCT = "sansxel_plan_"


def plan_of_product(product_id: str) -> str | None:
    """The slug of the plan that a product of Stripe's is; None where it is none of ours."""
    return product_id.removeprefix(_PRODUCT) if product_id.startswith(_PRODUCT) else None


def price_of(*, plan: str, name: str, interval: str, amount_cents: int, currency: str) -> str:
    """Stripe's price of a plan (its slug), found or made; however often, it is the same one.

    Raises StripeUnavailable or StripeRefuses.
    """
    # A price is named by all that it is, so that an amount that comes back finds its price.
    lookup_key = f"{_PRODUCT}{plan}_{interval}_{amount_cents}_{currency}"
    prices = asking.client().v1.prices
    listed: Any = {"lookup_keys": [lookup_key], "active": True, "limit": 1}
    found = _ask(lambda: prices.list(params=listed))
    for row in answers.rows_of(answers.fields_of(found, "list")):
        recurring = answers.inside(row, "recurring")
        same = (
            answers.amount(row, "unit_amount") == amount_cents
            and answers.currency(row) == currency
            and recurring.get("interval") == interval
            and recurring.get("interval_count") == 1
        )
        if not same:
            raise answers.unusable("a price that is not what its name says")
        return answers.object_id(row, "price")
    product_id = _product_of(plan, name=name)
    wanted: Any = {
        "product": product_id,
        "unit_amount": amount_cents,
        "currency": currency,
        "recurring": {"interval": interval},
        # Taxes come on top, whatever the Stripe account has for others.
        "tax_behavior": "exclusive",
        "lookup_key": lookup_key,
        "transfer_lookup_key": True,
    }
    made = _ask(
        lambda: prices.create(params=wanted, options={"idempotency_key": f"price-{lookup_key}"})
    )
    return answers.object_id(answers.fields_of(made, "price"), "price")


def _product_of(plan: str, *, name: str) -> str:
    products = asking.client().v1.products
    product_id = f"{_PRODUCT}{plan}"
    try:
        known = _ask(lambda: products.retrieve(product_id))
    except UnknownToStripe:
        wanted: Any = {"id": product_id, "name": name, "metadata": {"plan": plan}}
        known = _ask(
            lambda: products.create(
                params=wanted, options={"idempotency_key": f"product-{product_id}"}
            )
        )
    return answers.object_id(answers.fields_of(known, "product"), _PRODUCT.rstrip("_"))


def _ask(call: Any) -> Any:
    return asking.ask(
        call,
        line=asking.opening,
        within_seconds=asking.PAGE_SECONDS,
        right=rights.PRICES,
    )
