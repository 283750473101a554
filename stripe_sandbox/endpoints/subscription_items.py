"""The items that a call wants a subscription to have, as an update and a preview say them."""

from stripe_sandbox.acts import proration
from stripe_sandbox.acts.proration import Wanted
from stripe_sandbox.books import Json
from stripe_sandbox.calls import Call
from stripe_sandbox.params import CannotDo, Params

PRORATIONS = ("create_prorations", "always_invoice", "none")


def wanted_items(call: Call, params: Params, subscription: Json) -> list[Wanted] | None:
    """The items as they are to be, or None where the call says nothing of them.

    As with Stripe, an item without an id is one more, beside those there are.
    """
    levels = params.levels("items")
    if not levels:
        return None
    items = {one.item_id: one for one in proration.as_it_is(subscription)}
    added: list[Wanted] = []
    for level in levels:
        item_id = level.text("id")
        if item_id is not None and item_id not in items:
            level.refuse(
                "id",
                f"Invalid subscription item ID {item_id[:60]}: it does not belong to the "
                f"subscription {subscription['id']}.",
                code="resource_missing",
            )
        known = items.get(item_id) if item_id else None
        price = _price(call, level, known)
        quantity = level.whole("quantity")
        if quantity is not None and not 1 <= quantity <= 999_999:
            level.refuse("quantity", "Invalid quantity: it must be between 1 and 999999.")
        deleted = level.flag("deleted")
        level.finish()
        if known is None:
            added.append(Wanted(item_id=None, price=price, quantity=quantity or 1))
        elif deleted:
            del items[item_id]
        else:
            amount = quantity or (known.quantity if price["id"] == known.price["id"] else 1)
            items[item_id] = Wanted(item_id=item_id, price=price, quantity=amount)
    wanted = [*items.values(), *added]
    _agree(wanted, subscription)
    return wanted


def _price(call: Call, level: Params, known: Wanted | None) -> Json:
    if not level.has("price"):
        if known is None:
            level.required("price")
            raise AssertionError("a missing price was refused above")
        return known.price
    price = call.find("price", level.required("price"), param=level.name("price"))
    if not price["active"]:
        level.refuse("price", "The price specified is inactive.")
    if not price["recurring"]:
        level.refuse(
            "price",
            "The price specified is set to `type=one_time` but this field only accepts prices with "
            "`type=recurring`.",
        )
    return price


def _agree(wanted: list[Wanted], subscription: Json) -> None:
    if not wanted:
        raise CannotDo("A subscription must have at least one active plan.", param="items")
    prices = [one.price["id"] for one in wanted]
    if len(set(prices)) < len(prices):
        raise CannotDo(
            f"Cannot add multiple subscription items with the same plan: {prices[-1]}",
            param="items",
        )
    rhythms = {
        (
            one.price["recurring"]["interval"],
            one.price["recurring"]["interval_count"],
            one.price["currency"],
        )
        for one in wanted
    }
    if len(rhythms) > 1 or wanted[0].price["currency"] != subscription["currency"]:
        raise CannotDo(
            "Currency and interval fields must match across all plans on this subscription.",
            param="items",
        )
