"""What all endpoints share: the call itself, how objects are found, listed and expanded."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from stripe_sandbox.books import COMPARISONS, Books, Json, Page
from stripe_sandbox.objects.lists import listed
from stripe_sandbox.params import CannotAccept, Params

# Fields that hold an id and may be asked for as an object.
EXPANDABLE = {
    "charge",
    "configuration",
    "customer",
    "default_payment_method",
    "default_price",
    "invoice",
    "latest_charge",
    "latest_invoice",
    "payment_intent",
    "payment_method",
    "product",
    "setup_intent",
    "subscription",
}
DEEPEST_EXPANSION = 4
# How Stripe's errors spell what is otherwise called by the name of its object.
SPELLED = {"payment_method": "PaymentMethod"}
Given: TypeAlias = "str | bool | None"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One API request on its way through a transaction."""

    books: Books
    params: Params

    @property
    def at(self) -> int:
        """The second of this call."""
        return int(self.books.now)

    def find(self, kind: str, object_id: str, *, param: str = "id") -> Json:
        """The object of that id, or Stripe's 404."""
        thing = self.books.get(kind, object_id)
        if thing is None or thing.get("deleted"):
            raise CannotAccept(
                f"No such {SPELLED.get(kind, kind)}: '{object_id[:100]}'",
                code="resource_missing",
                param=param,
                status=404 if param == "id" else 400,
            )
        return thing

    def named(self, kind: str, key: str) -> Json | None:
        """The object that a parameter names, or None where it was not sent."""
        object_id = self.params.text(key)
        if object_id is None:
            return None
        return self.find(kind, object_id, param=self.params.name(key))


Endpoint = Callable[..., Json]
Filter = Callable[[Call], dict[str, Given]]


def page_of(
    call: Call,
    kind: str,
    url: str,
    *,
    among: dict[str, list[str]] | None = None,
    since: int | None = None,
    delivered: bool | None = None,
    **matching: Given,
) -> Json:
    """A list, newest first, of the objects whose fields have these values (None: any)."""
    params = call.params
    after, before = params.text("starting_after"), params.text("ending_before")
    if after and before:
        params.refuse(
            "starting_after", "You may only specify one of these: ending_before, starting_after."
        )
    for key, cursor in (("starting_after", after), ("ending_before", before)):
        if cursor:
            call.find(kind, cursor, param=key)
    bounds = [] if since is None else [("gte", since)]
    wanted = Page(
        limit=limit(params),
        starting_after=after,
        ending_before=before,
        created=bounds + _created(params),
        matching=[(_path(name), value) for name, value in matching.items() if value is not None],
        among=[(_path(name), options) for name, options in (among or {}).items() if options],
        delivered=delivered,
    )
    found, has_more = call.books.page(kind, wanted)
    return listed(found, url=url, has_more=has_more)


def sliced(call: Call, things: list[Json], url: str) -> Json:
    """A list of what stands inside of another object, oldest first."""
    length = limit(call.params)
    after = call.params.text("starting_after")
    if after:
        ids = [thing["id"] for thing in things]
        if after not in ids:
            call.params.refuse("starting_after", f"No such item: '{after[:100]}'")
        things = things[ids.index(after) + 1 :]
    return listed(things[:length], url=url, has_more=len(things) > length)


def limit(params: Params) -> int:
    """How many objects a page has."""
    wanted = params.whole("limit")
    if wanted is None:
        return 10
    if not 1 <= wanted <= 100:
        params.refuse("limit", "This value must be between 1 and 100 (inclusive).")
    return wanted


def expand(books: Books, thing: Json, path: str) -> None:
    """Replace the id at `path` (`payment_intent.latest_charge`) by the object, in place."""
    steps = path.split(".")
    if len(steps) > DEEPEST_EXPANSION + (steps[0] == "data"):
        raise CannotAccept(
            f"You cannot expand more than {DEEPEST_EXPANSION} levels of a property ({path}).",
            param="expand",
        )
    _expand(books, thing, steps, whole_path=path)


def _expand(books: Books, thing: Json, steps: list[str], *, whole_path: str) -> None:
    head, rest = steps[0], steps[1:]
    inside = _included(books, thing, head)
    if inside is not None:
        thing[head] = inside
    elif head in EXPANDABLE and head in thing:
        if isinstance(thing[head], str):
            thing[head] = books.whatever(thing[head])
    elif not isinstance(thing.get(head), (dict, list)) or not rest:
        raise CannotAccept(f"This property cannot be expanded ({whole_path}).", param="expand")
    if not rest or thing[head] is None:
        return
    for member in thing[head] if isinstance(thing[head], list) else [thing[head]]:
        _expand(books, member, rest, whole_path=whole_path)


def _included(books: Books, thing: Json, name: str) -> Json | None:
    """The lists that stand in an object only when they were asked for."""
    kind, thing_id = thing.get("object"), thing.get("id", "")
    if (kind, name) == ("checkout.session", "line_items"):
        url = f"/v1/checkout/sessions/{thing_id}/line_items"
        return listed(books.children("item", thing_id), url=url)
    if (kind, name) == ("charge", "refunds"):
        refunds = books.children("refund", thing_id)[::-1]
        return listed(refunds, url=f"/v1/charges/{thing_id}/refunds")
    if (kind, name) == ("invoice", "payments"):
        payments = books.children("invoice_payment", thing_id)
        return listed(payments, url=f"/v1/invoice_payments?invoice={thing_id}")
    if (kind, name) == ("customer", "subscriptions"):
        found = [
            one for one in books.every("subscription", customer=thing_id) if not one["ended_at"]
        ]
        return listed(found, url=f"/v1/customers/{thing_id}/subscriptions")
    return None


def _path(name: str) -> str:
    return "$." + re.sub(r"\.(\d+)", r"[\1]", name.replace("__", "."))


def _created(params: Params) -> list[tuple[str, int]]:
    """`created=moment` or `created[gte]=moment` and the like, as comparisons."""
    if not params.has("created"):
        return []
    if not params.nests("created"):
        moment = params.whole("created")
        return [] if moment is None else [("", moment)]
    level = params.level("created")
    bounds = [(name, level.whole(name)) for name in COMPARISONS if name and level.has(name)]
    level.finish()
    return [(name, moment) for name, moment in bounds if moment is not None]
