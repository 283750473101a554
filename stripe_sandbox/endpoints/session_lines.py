"""The lines of a Checkout Session: what is bought, once or again and again."""

from stripe_sandbox.books import Json
from stripe_sandbox.calls import Call
from stripe_sandbox.endpoints.catalogue import new_price
from stripe_sandbox.objects.sessions import line_item
from stripe_sandbox.params import LEAST_AMOUNT, MOST_AMOUNT, CannotAccept, Params

MOST_LINES = 100


def line_items(call: Call, mode: str) -> list[Json]:
    """The lines that a caller described, with prices made where they were described inline."""
    params = call.params
    levels = params.levels("line_items")
    if mode == "setup":
        if levels:
            params.refuse("line_items", "You can not pass `line_items` in `setup` mode.")
        return []
    if not levels:
        params.required("line_items")
    if len(levels) > MOST_LINES:
        params.refuse("line_items", f"You may specify at most {MOST_LINES} line items.")
    items = [_line_item(call, level) for level in levels]
    currencies = {item["currency"] for item in items}
    if len(currencies) > 1:
        params.refuse("line_items", "All prices on a Checkout Session must have one currency.")
    _fit_the_mode(params, mode, items)
    total = sum(item["amount_total"] for item in items)
    least = LEAST_AMOUNT[currencies.pop()]
    if total < least:
        raise CannotAccept(
            "The Checkout Session's total amount due must add up to at least "
            f"{least / 100:.2f} {items[0]['currency']}",
            code="amount_too_small",
        )
    if total > MOST_AMOUNT:
        raise CannotAccept(
            "The Checkout Session's total amount due is too large.", code="amount_too_large"
        )
    return items


def _fit_the_mode(params: Params, mode: str, items: list[Json]) -> None:
    rhythms = [item["price"]["recurring"] for item in items if item["price"]["recurring"]]
    if mode == "payment" and rhythms:
        params.refuse(
            "line_items",
            "You specified `payment` mode but passed a recurring price. Either switch to "
            "`subscription` mode or use only one-time prices.",
        )
    if mode == "subscription" and not rhythms:
        params.refuse(
            "line_items",
            "You must provide at least one recurring price in `subscription` mode when using "
            "prices.",
        )
    if len({(one["interval"], one["interval_count"]) for one in rhythms}) > 1:
        params.refuse(
            "line_items",
            "Checkout does not support multiple prices with different billing intervals.",
        )


def _line_item(call: Call, params: Params) -> Json:
    if params.has("price") == params.has("price_data"):
        params.refuse("price", "You must pass exactly one of `price` and `price_data`.")
    if params.has("price"):
        price_id = params.required("price")
        price = call.find("price", price_id, param=params.name("price"))
        if not price["active"]:
            params.refuse("price", "The price specified is inactive.")
    else:
        price = new_price(call, params.level("price_data"), inline=True)
        call.books.add(price)
    product = call.books.get("product", price["product"])
    quantity = params.whole("quantity")
    if quantity is None:
        params.refuse("quantity", "Quantity is required.", code="parameter_missing")
    if not 1 <= quantity <= 999_999:
        params.refuse("quantity", "Invalid quantity: it must be between 1 and 999999.")
    metadata = params.metadata()
    params.finish()
    description = product["name"] if product else price["id"]
    return line_item(price=price, quantity=quantity, description=description, metadata=metadata)
