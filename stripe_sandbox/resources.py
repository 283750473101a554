"""The endpoints of the API: each takes a call and answers with one of Stripe's objects."""

import re
from dataclasses import dataclass
from typing import Any

from stripe_sandbox import objects, payments
from stripe_sandbox.configuration import Configuration
from stripe_sandbox.params import CannotAccept, Params
from stripe_sandbox.store import COMPARISONS, Books, Json, Page
from stripe_sandbox.webhooks import Cause

LEAST_AMOUNT = {"usd": 50, "eur": 50, "gbp": 30}
MOST_AMOUNT = 99_999_999
HALF_AN_HOUR = 30 * 60
ONE_DAY = 24 * 3600
EVENTS_KEPT_SECONDS = 30 * ONE_DAY
# Seconds by which the caller's clock may differ from ours before a limit counts as broken.
LEEWAY = 60
METHODS = ("card", "us_bank_account")


@dataclass(frozen=True, kw_only=True)
class Call:
    """One API request on its way through a transaction."""

    books: Books
    params: Params
    configuration: Configuration
    cause: Cause

    def find(self, kind: str, object_id: str, *, param: str = "id") -> Json:
        """The object of that id, or Stripe's 404."""
        thing = self.books.get(kind, object_id)
        if thing is None:
            raise CannotAccept(
                f"No such {kind}: '{object_id[:100]}'",
                code="resource_missing",
                param=param,
                status=404 if param == "id" else 400,
            )
        return thing


def create_session(call: Call) -> Json:
    """POST /v1/checkout/sessions"""
    params, books = call.params, call.books
    at = int(books.now)
    if params.required("mode") != "payment":
        params.refuse("mode", "The sandbox only has Checkout Sessions in `payment` mode.")
    params.choice("ui_mode", ("hosted", "hosted_page"))
    items = _line_items(call)
    wanted = _chosen(params, at=at)
    intent_params = params.level("payment_intent_data")
    intent_metadata = intent_params.metadata()
    description = intent_params.text("description")
    intent_params.finish()
    session_id = objects.new_id("cs_test_a1", length=56)
    session = objects.checkout_session(
        session_id=session_id,
        url=call.configuration.pay_url(session_id),
        at=at,
        items=items,
        wanted=wanted,
    )
    intent = objects.payment_intent(session=session, at=at, metadata=intent_metadata)
    intent["description"] = description
    books.add(session)
    books.add(intent, parent=session_id)
    for item in items:
        books.add(item, parent=session_id)
    return session


def retrieve_session(call: Call, session_id: str) -> Json:
    """GET /v1/checkout/sessions/{id}"""
    return call.find("checkout.session", session_id)


def list_sessions(call: Call) -> Json:
    """GET /v1/checkout/sessions"""
    params = call.params
    matching = [
        ("$.status", params.choice("status", ("open", "complete", "expired"))),
        ("$.payment_intent", params.text("payment_intent")),
        ("$.customer_details.email", params.level("customer_details").text("email")),
    ]
    return page_of(
        call,
        "checkout.session",
        url="/v1/checkout/sessions",
        matching=[(key, value) for key, value in matching if value is not None],
    )


def expire_session(call: Call, session_id: str) -> Json:
    """POST /v1/checkout/sessions/{id}/expire"""
    session = call.find("checkout.session", session_id)
    if session["status"] != "open":
        raise CannotAccept(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout '
            f"Session has a status of `{session['status']}`."
        )
    payments.expire(call.books, session, cause=call.cause)
    return session


def list_line_items(call: Call, session_id: str) -> Json:
    """GET /v1/checkout/sessions/{id}/line_items"""
    call.find("checkout.session", session_id)
    limit = _limit(call.params)
    items = call.books.children("item", session_id)
    after = call.params.text("starting_after")
    if after:
        ids = [item["id"] for item in items]
        if after not in ids:
            call.params.refuse("starting_after", f"No such item: '{after}'")
        items = items[ids.index(after) + 1 :]
    return _listed(
        items[:limit],
        url=f"/v1/checkout/sessions/{session_id}/line_items",
        has_more=len(items) > limit,
    )


def retrieve_payment_intent(call: Call, intent_id: str) -> Json:
    """GET /v1/payment_intents/{id}"""
    return call.find("payment_intent", intent_id)


def create_price(call: Call) -> Json:
    """POST /v1/prices, so that a session may name a price instead of describing one"""
    params = call.params
    price = _new_price(call, params, active=True)
    price["nickname"] = params.text("nickname")
    price["metadata"] = params.metadata()
    call.books.add(price)
    return price


def retrieve_price(call: Call, price_id: str) -> Json:
    """GET /v1/prices/{id}"""
    return call.find("price", price_id)


def retrieve_event(call: Call, event_id: str) -> Json:
    """GET /v1/events/{id}"""
    return _as_it_stands(call, call.find("event", event_id))


def list_events(call: Call) -> Json:
    """GET /v1/events: the last thirty days"""
    params = call.params
    kind = params.text("type")
    page = _page(
        call,
        "event",
        matching=[("$.type", kind)] if kind else [],
        types=params.texts("types"),
        delivered=params.flag("delivery_success"),
        since=int(call.books.now) - EVENTS_KEPT_SECONDS,
    )
    found, has_more = call.books.page("event", page)
    events = [_as_it_stands(call, event) for event in found]
    return _listed(events, url="/v1/events", has_more=has_more)


def page_of(call: Call, kind: str, *, url: str, matching: list[tuple[str, str]]) -> Json:
    """The page of a list that a call asks for."""
    found, has_more = call.books.page(kind, _page(call, kind, matching=matching))
    return _listed(found, url=url, has_more=has_more)


def expand(call: Call, thing: Json, path: str) -> None:
    """Replace the id at `path` (`payment_intent.latest_charge`) by the object, in place."""
    _expand(call.books, thing, path, whole_path=path)


def _expand(books: Books, thing: Json, path: str, *, whole_path: str) -> None:
    head, _, rest = path.partition(".")
    if thing.get("object") == "list" and head == "data":
        for member in thing["data"]:
            _expand(books, member, rest, whole_path=whole_path)
        return
    if thing.get("object") == "checkout.session" and head == "line_items":
        items = books.children("item", thing["id"])
        url = f"/v1/checkout/sessions/{thing['id']}/line_items"
        thing["line_items"] = _listed(items, url=url, has_more=False)
        return
    kind = {"payment_intent": "payment_intent", "latest_charge": "charge"}.get(head)
    if kind is None or head not in thing:
        raise CannotAccept(f"This property cannot be expanded ({whole_path}).", param="expand")
    if isinstance(thing[head], str):
        thing[head] = books.get(kind, thing[head])
    if rest and thing[head] is not None:
        _expand(books, thing[head], rest, whole_path=whole_path)


def _chosen(params: Params, *, at: int) -> dict[str, Any]:
    """The session's fields that the caller sets, checked."""
    success_url = params.url("success_url")
    if success_url is None:
        params.required("success_url")
    email = params.text("customer_email", most=800)
    if email is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", email):
        params.refuse("customer_email", f"Invalid email address: {email}", code="email_invalid")
    expires_at = params.whole("expires_at")
    if expires_at is None:
        expires_at = at + ONE_DAY
    elif expires_at < at + HALF_AN_HOUR - LEEWAY:
        params.refuse(
            "expires_at",
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session "
            "creation.",
        )
    elif expires_at > at + ONE_DAY + LEEWAY:
        params.refuse(
            "expires_at",
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.",
        )
    methods = params.texts("payment_method_types") or list(METHODS)
    if not set(methods) <= set(METHODS):
        params.refuse(
            "payment_method_types", f"Invalid payment_method_types: must be {', '.join(METHODS)}"
        )
    return {
        "success_url": success_url,
        "cancel_url": params.url("cancel_url"),
        "client_reference_id": params.text("client_reference_id", most=200),
        "customer_email": email,
        "expires_at": expires_at,
        "locale": params.text("locale"),
        "metadata": params.metadata(),
        "payment_method_types": methods,
        "submit_type": params.choice("submit_type", ("auto", "pay", "book", "donate", "subscribe")),
    }


def _line_items(call: Call) -> list[Json]:
    params = call.params
    levels = params.levels("line_items")
    if not levels:
        params.required("line_items")
    items = [_line_item(call, level) for level in levels]
    currencies = {item["currency"] for item in items}
    if len(currencies) > 1:
        params.refuse("line_items", "All prices on a Checkout Session must have one currency.")
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


def _line_item(call: Call, params: Params) -> Json:
    if params.has("price") == params.has("price_data"):
        params.refuse("price", "You must pass exactly one of `price` and `price_data`.")
    if params.has("price"):
        price_id = params.required("price")
        price = call.find("price", price_id, param=params.name("price"))
        if not price["active"]:
            params.refuse("price", "The price specified is inactive.")
    else:
        price = _new_price(call, params.level("price_data"), active=False)
        call.books.add(price)
    product = call.books.get("product", price["product"])
    quantity = params.whole("quantity")
    if quantity is None:
        params.refuse("quantity", "Quantity is required.", code="parameter_missing")
    if not 1 <= quantity <= 999_999:
        params.refuse("quantity", "Invalid quantity: it must be between 1 and 999999.")
    params.finish()
    description = product["name"] if product else price["id"]
    return objects.line_item(price=price, quantity=quantity, description=description)


def _new_price(call: Call, params: Params, *, active: bool) -> Json:
    at = int(call.books.now)
    currency = params.required("currency").lower()
    if currency not in LEAST_AMOUNT:
        params.refuse("currency", f"Invalid currency: {currency}. The sandbox has usd, eur, gbp.")
    unit_amount = params.whole("unit_amount")
    if unit_amount is None:
        params.required("unit_amount")
        raise AssertionError("an absent amount was refused above")
    if unit_amount < 0:
        params.refuse(
            "unit_amount",
            "Invalid non-negative integer",
            code="parameter_invalid_integer",
        )
    product_params = params.level("product_data")
    name = product_params.required("name", most=250)
    description = product_params.text("description")
    product = objects.product(
        at=at, name=name, description=description, metadata=product_params.metadata()
    )
    product_params.finish()
    if not active:
        params.finish()
    call.books.add(product)
    return objects.price(
        at=at, currency=currency, unit_amount=unit_amount, product=product["id"], active=active
    )


def _limit(params: Params) -> int:
    limit = params.whole("limit")
    if limit is None:
        return 10
    if not 1 <= limit <= 100:
        params.refuse("limit", "This value must be between 1 and 100 (inclusive).")
    return limit


def _page(
    call: Call,
    kind: str,
    *,
    matching: list[tuple[str, str]],
    types: list[str] | None = None,
    delivered: bool | None = None,
    since: int | None = None,
) -> Page:
    params = call.params
    after, before = params.text("starting_after"), params.text("ending_before")
    if after and before:
        params.refuse(
            "starting_after", "You may only specify one of these: ending_before, starting_after."
        )
    for key, cursor in (("starting_after", after), ("ending_before", before)):
        if cursor:
            call.find(kind, cursor, param=key)
    created = [] if since is None else [("gte", since)]
    return Page(
        limit=_limit(params),
        starting_after=after,
        ending_before=before,
        created=created + _created(params),
        matching=matching,
        types=types or (),
        delivered=delivered,
    )


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


def _listed(found: list[Json], *, url: str, has_more: bool) -> Json:
    return {"object": "list", "data": found, "has_more": has_more, "url": url}


def _as_it_stands(call: Call, event: Json) -> Json:
    return {**event, "pending_webhooks": int(call.books.is_pending(event["id"]))}
