"""/v1/products and /v1/prices"""

from stripe_sandbox.books import Json
from stripe_sandbox.calls import Call, page_of
from stripe_sandbox.objects import catalogue as objects
from stripe_sandbox.params import CannotDo, Params
from stripe_sandbox.webhooks import announce, save_changed

INTERVALS = {"day": 1095, "week": 156, "month": 36, "year": 3}
TAX_BEHAVIORS = ("exclusive", "inclusive", "unspecified")
MOST_LOOKUP_KEYS = 10


def create_product(call: Call) -> Json:
    """POST /v1/products"""
    made = _new_product(call, call.params, inline=False)
    call.books.add(made)
    announce(call.books, "product.created", made)
    return made


def retrieve_product(call: Call, product_id: str) -> Json:
    """GET /v1/products/{id}"""
    return call.find("product", product_id)


def update_product(call: Call, product_id: str) -> Json:
    """POST /v1/products/{id}"""
    known, params = call.find("product", product_id), call.params
    if params.has("name"):
        known["name"] = params.required("name", most=250)
    _read_product(params, known)
    default = call.named("price", "default_price")
    if default:
        known["default_price"] = default["id"]
    known["metadata"] = params.metadata_onto(known["metadata"])
    known["updated"] = call.at
    save_changed(call.books, "product.updated", known)
    return known


def list_products(call: Call) -> Json:
    """GET /v1/products"""
    return page_of(
        call,
        "product",
        "/v1/products",
        active=call.params.flag("active"),
        among={"id": call.params.texts("ids")},
    )


def create_price(call: Call) -> Json:
    """POST /v1/prices"""
    params = call.params
    made = new_price(call, params, inline=False)
    made["nickname"] = params.text("nickname")
    made["metadata"] = params.metadata()
    _take_lookup_key(call, made)
    call.books.add(made)
    announce(call.books, "price.created", made)
    return made


def retrieve_price(call: Call, price_id: str) -> Json:
    """GET /v1/prices/{id}"""
    return call.find("price", price_id)


def update_price(call: Call, price_id: str) -> Json:
    """POST /v1/prices/{id}: amounts never change"""
    known, params = call.find("price", price_id), call.params
    active = params.flag("active")
    if active is not None:
        known["active"] = active
    if params.has("nickname"):
        known["nickname"] = params.text("nickname")
    known["tax_behavior"] = params.choice("tax_behavior", TAX_BEHAVIORS) or known["tax_behavior"]
    known["metadata"] = params.metadata_onto(known["metadata"])
    _take_lookup_key(call, known)
    save_changed(call.books, "price.updated", known)
    return known


def list_prices(call: Call) -> Json:
    """GET /v1/prices"""
    params = call.params
    keys = params.texts("lookup_keys")
    if len(keys) > MOST_LOOKUP_KEYS:
        params.refuse("lookup_keys", f"You may specify up to {MOST_LOOKUP_KEYS} lookup_keys.")
    recurring = params.level("recurring")
    interval = recurring.choice("interval", tuple(INTERVALS))
    recurring.choice("usage_type", ("licensed",))
    recurring.finish()
    return page_of(
        call,
        "price",
        "/v1/prices",
        among={"lookup_key": keys},
        active=params.flag("active"),
        currency=params.currency(),
        product=params.text("product"),
        type=params.choice("type", ("one_time", "recurring")),
        recurring__interval=interval,
    )


def new_price(call: Call, params: Params, *, inline: bool) -> Json:
    """A price as it is described, which nobody keeps yet; its product is kept where it is new."""
    currency = params.currency()
    if currency is None:
        currency = params.required("currency")
    unit_amount = params.amount("unit_amount")
    if unit_amount is None:
        params.required("unit_amount")
        raise AssertionError("an absent amount was refused above")
    params.exactly_one("product", "product_data")
    if params.has("product"):
        product_id = params.required("product")
        product = call.find("product", product_id, param=params.name("product"))
        if not product["active"]:
            params.refuse("product", "The product specified is inactive.")
    else:
        level = params.level("product_data")
        product = _new_product(call, level, inline=inline)
        level.finish()
        call.books.add(product)
    made = objects.price(
        at=call.at,
        currency=currency,
        unit_amount=unit_amount,
        product=product["id"],
        active=not inline,
        recurring=_recurring(params),
    )
    made["tax_behavior"] = params.choice("tax_behavior", TAX_BEHAVIORS) or "unspecified"
    if inline:
        params.finish()
        return made
    active = params.flag("active")
    made["active"] = True if active is None else active
    params.choice("billing_scheme", ("per_unit",))
    return made


def _recurring(params: Params) -> Json | None:
    if not params.has("recurring"):
        return None
    level = params.level("recurring")
    interval = level.choice("interval", tuple(INTERVALS))
    if interval is None:
        interval = level.required("interval")
    count = level.whole("interval_count")
    level.choice("usage_type", ("licensed",))
    level.finish()
    if count is not None and not 1 <= count <= INTERVALS[interval]:
        level.refuse(
            "interval_count", "The recurring interval must be at most three years, and positive."
        )
    return objects.recurring(interval=interval, interval_count=count or 1)


def _take_lookup_key(call: Call, price: Json) -> None:
    params = call.params
    moves = params.flag("transfer_lookup_key")
    if not params.has("lookup_key"):
        return
    key = params.text("lookup_key", most=200)
    for other in call.books.every("price", lookup_key=key) if key else ():
        if other["id"] == price["id"]:
            continue
        if not moves:
            raise CannotDo(
                f"A price (`{other['id']}`) already uses that lookup key.",
                code="resource_already_exists",
                param="lookup_key",
            )
        other["lookup_key"] = None
        save_changed(call.books, "price.updated", other)
    price["lookup_key"] = key


def _new_product(call: Call, params: Params, *, inline: bool) -> Json:
    made = objects.product(
        at=call.at,
        name=params.required("name", most=250),
        description=None,
        metadata=params.metadata(),
    )
    own_id = None if inline else params.text("id", most=255)
    if own_id is not None:
        if call.books.get("product", own_id):
            raise CannotDo("Product already exists.", code="resource_already_exists", param="id")
        made["id"] = own_id
    _read_product(params, made)
    return made


def _read_product(params: Params, product: Json) -> None:
    for name in ("description", "statement_descriptor", "tax_code", "unit_label"):
        if params.has(name):
            product[name] = params.text(name)
    if params.has("url"):
        product["url"] = params.url("url")
    if params.has("images"):
        product["images"] = params.texts("images")
    if params.has("marketing_features"):
        features = params.levels("marketing_features")
        product["marketing_features"] = [{"name": one.required("name")} for one in features]
        for one in features:
            one.finish()
    active = params.flag("active")
    if active is not None:
        product["active"] = active
