"""What a change of prices within a period comes to."""

from dataclasses import dataclass
from datetime import UTC, datetime

from stripe_sandbox.acts import periods
from stripe_sandbox.books import Books, Json
from stripe_sandbox.objects import invoices as objects


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One item as it is to be: `item_id` is None for one that is added."""

    item_id: str | None
    price: Json
    quantity: int


@dataclass(frozen=True, kw_only=True)
class Period:
    """What the items are paid for."""

    start: int
    end: int


def period_of(subscription: Json) -> Period:
    """The period that a subscription is in."""
    item = subscription["items"]["data"][0]
    return Period(start=item["current_period_start"], end=item["current_period_end"])


def begins_anew(subscription: Json, wanted: list[Wanted]) -> bool:
    """Whether the change is to another interval: a new period begins with it."""
    before = subscription["items"]["data"][0]["price"]["recurring"]
    after = wanted[0].price["recurring"]
    return any(before[name] != after[name] for name in ("interval", "interval_count"))


def lines_of_change(
    books: Books, subscription: Json, wanted: list[Wanted], *, at: int
) -> list[Json]:
    """What was paid for and is not used, given back; what is used instead, charged."""
    period = period_of(subscription)
    share = max(period.end - at, 0) / max(period.end - period.start, 1)
    anew = begins_anew(subscription, wanted)
    day = datetime.fromtimestamp(at, UTC).strftime("%-d %b %Y")
    lines = []
    kept = {one.item_id: one for one in wanted}
    for item in subscription["items"]["data"]:
        one = kept.get(item["id"])
        if one and (one.price["id"], one.quantity) == (item["price"]["id"], item["quantity"]):
            continue
        paid = item["price"]["unit_amount"] * item["quantity"]
        words = f"Unused time on {_named(books, item['price'], item['quantity'])} after {day}"
        lines.append(
            objects.line(
                amount=-round(paid * share),
                price=item["price"],
                quantity=item["quantity"],
                description=words,
                start=at,
                end=period.end,
                item=item,
                proration=True,
            )
        )
        if one and not anew:
            lines.append(_remaining(books, subscription, one, at=at, share=share, day=day))
    if not anew:
        added = [one for one in wanted if one.item_id is None]
        lines += [
            _remaining(books, subscription, one, at=at, share=share, day=day) for one in added
        ]
    return lines


def lines_of_period(
    books: Books, subscription: Json, wanted: list[Wanted], *, period: Period
) -> list[Json]:
    """What a whole period costs."""
    return [
        objects.line(
            amount=one.price["unit_amount"] * one.quantity,
            price=one.price,
            quantity=one.quantity,
            description=f"{one.quantity} × {_named(books, one.price, 1)}",
            start=period.start,
            end=period.end,
            item={"id": one.item_id, "subscription": subscription["id"]},
        )
        for one in wanted
    ]


def next_period(subscription: Json, wanted: list[Wanted], *, at: int | None = None) -> Period:
    """The period after this one, or the one that begins at `at`."""
    start = period_of(subscription).end if at is None else at
    anchor = subscription["billing_cycle_anchor"] if at is None else at
    recurring = wanted[0].price["recurring"]
    return Period(start=start, end=periods.end_of(start, recurring=recurring, anchor=anchor))


def as_it_is(subscription: Json) -> list[Wanted]:
    """The items of a subscription, unchanged."""
    return [
        Wanted(item_id=item["id"], price=item["price"], quantity=item["quantity"])
        for item in subscription["items"]["data"]
    ]


def _remaining(
    books: Books, subscription: Json, one: Wanted, *, at: int, share: float, day: str
) -> Json:
    return objects.line(
        amount=round(one.price["unit_amount"] * one.quantity * share),
        price=one.price,
        quantity=one.quantity,
        description=f"Remaining time on {_named(books, one.price, one.quantity)} after {day}",
        start=at,
        end=period_of(subscription).end,
        item={"id": one.item_id or "", "subscription": subscription["id"]},
        proration=True,
    )


def _named(books: Books, price: Json, quantity: int) -> str:
    product = books.get("product", price["product"]) or {"name": price["id"]}
    name = str(product["name"])
    return name if quantity == 1 else f"{quantity} × {name}"
