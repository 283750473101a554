"""/v1/billing_portal"""

from stripe_sandbox.books import Json
from stripe_sandbox.calls import Call, page_of
from stripe_sandbox.endpoints.subscription_items import PRORATIONS
from stripe_sandbox.objects import new_id
from stripe_sandbox.objects import portal as objects
from stripe_sandbox.params import CannotDo, Params

FLOWS = (
    "payment_method_update",
    "subscription_cancel",
    "subscription_update",
    "subscription_update_confirm",
)
UPDATES = ("address", "email", "name", "phone", "shipping", "tax_id")


def create_session(call: Call) -> Json:
    """POST /v1/billing_portal/sessions"""
    params, books = call.params, call.books
    customer = call.named("customer", "customer")
    if customer is None:
        params.required("customer")
        raise AssertionError("a missing customer was refused above")
    configuration = call.named("billing_portal.configuration", "configuration") or _default(call)
    return_url = params.url("return_url") or configuration["default_return_url"]
    flow = _flow(call, customer, configuration)
    made = objects.portal_session(
        at=call.at,
        customer=customer["id"],
        configuration=configuration["id"],
        return_url=return_url,
        flow=flow,
        locale=params.text("locale"),
    )
    # The address opens it, the id does not: it is in every log.
    secret = new_id("", length=32)
    made["url"] = books.configuration.url("portal", secret)
    books.add(made)
    books.add({"id": f"portal_{secret}", "object": "portal", "session": made["id"]})
    return made


def create_configuration(call: Call) -> Json:
    """POST /v1/billing_portal/configurations"""
    params = call.params
    known = call.books.every("billing_portal.configuration")
    made = objects.configuration(at=call.at, is_default=not known)
    if not params.has("features"):
        params.required("features")
    _read(call, made)
    call.books.add(made)
    return made


def retrieve_configuration(call: Call, configuration_id: str) -> Json:
    """GET /v1/billing_portal/configurations/{id}"""
    return call.find("billing_portal.configuration", configuration_id)


def update_configuration(call: Call, configuration_id: str) -> Json:
    """POST /v1/billing_portal/configurations/{id}"""
    known = call.find("billing_portal.configuration", configuration_id)
    active = call.params.flag("active")
    if active is not None:
        known["active"] = active
    _read(call, known)
    known["updated"] = call.at
    call.books.save(known)
    return known


def list_configurations(call: Call) -> Json:
    """GET /v1/billing_portal/configurations"""
    params = call.params
    return page_of(
        call,
        "billing_portal.configuration",
        "/v1/billing_portal/configurations",
        active=params.flag("active"),
        is_default=params.flag("is_default"),
    )


def _default(call: Call) -> Json:
    """Stripe asks for one to be saved first, and so does the sandbox not: one is made."""
    for known in call.books.every("billing_portal.configuration", is_default=True):
        return known
    made = objects.configuration(at=call.at, is_default=True)
    call.books.add(made)
    return made


def _flow(call: Call, customer: Json, configuration: Json) -> Json | None:
    level = call.params.level("flow_data")
    if not level.tree:
        return None
    kind = level.choice("type", FLOWS) or level.required("type")
    if kind == "payment_method_update":
        after = _after(level)
        level.finish()
        return objects.flow(kind=kind, subscription=None, items=[], after=after)
    feature = "subscription_cancel" if kind == "subscription_cancel" else "subscription_update"
    if not configuration["features"][feature]["enabled"]:
        raise CannotDo(
            f"This subscription cannot be changed because the {feature} feature in the portal "
            "configuration is disabled.",
            param="flow_data[type]",
        )
    about = level.level(kind)
    subscription = call.find(
        "subscription", about.required("subscription"), param=about.name("subscription")
    )
    if subscription["customer"] != customer["id"] or subscription["ended_at"]:
        about.refuse(
            "subscription",
            f"The subscription {subscription['id']} is not one of this customer's that can be "
            "changed.",
        )
    items = _items(call, about, subscription) if kind == "subscription_update_confirm" else []
    about.finish()
    after = _after(level)
    level.finish()
    return objects.flow(kind=kind, subscription=subscription["id"], items=items, after=after)


def _items(call: Call, about: Params, subscription: Json) -> list[Json]:
    known = {item["id"] for item in subscription["items"]["data"]}
    found = []
    for level in about.levels("items"):
        item_id = level.required("id")
        if item_id not in known:
            level.refuse(
                "id", "This item does not belong to the subscription.", code="resource_missing"
            )
        price = level.text("price")
        if price is not None:
            call.find("price", price, param=level.name("price"))
        found.append({"id": item_id, "price": price, "quantity": level.whole("quantity") or 1})
        level.finish()
    if not found:
        about.required("items")
    return found


def _after(level: Params) -> Json | None:
    about = level.level("after_completion")
    if not about.tree:
        return None
    kinds = ("hosted_confirmation", "portal_homepage", "redirect")
    kind = about.choice("type", kinds) or about.required("type")
    redirect = about.level("redirect")
    url = redirect.url("return_url")
    redirect.finish()
    if kind == "redirect" and url is None:
        redirect.required("return_url")
    confirmation = about.level("hosted_confirmation")
    message = confirmation.text("custom_message")
    confirmation.finish()
    about.finish()
    return {
        "hosted_confirmation": {"custom_message": message}
        if kind == "hosted_confirmation"
        else None,
        "redirect": {"return_url": url} if kind == "redirect" else None,
        "type": kind,
    }


def _read(call: Call, known: Json) -> None:
    params = call.params
    if params.has("default_return_url"):
        known["default_return_url"] = params.url("default_return_url")
    if params.has("name"):
        known["name"] = params.text("name")
    known["metadata"] = params.metadata_onto(known["metadata"])
    profile = params.level("business_profile")
    if profile.has("headline"):
        known["business_profile"]["headline"] = profile.text("headline", most=60)
    for name in ("privacy_policy_url", "terms_of_service_url"):
        if profile.has(name):
            known["business_profile"][name] = profile.url(name)
    profile.finish()
    _read_features(call, params.level("features"), known["features"])


def _read_features(call: Call, features: Params, known: Json) -> None:
    for name in ("invoice_history", "payment_method_update"):
        level = features.level(name)
        if level.tree:
            known[name]["enabled"] = level.flag("enabled") or False
        level.finish()
    level = features.level("customer_update")
    if level.tree:
        allowed = level.texts("allowed_updates")
        if not set(allowed) <= set(UPDATES):
            level.refuse("allowed_updates", f"Must be of {', '.join(UPDATES)}")
        known["customer_update"] = {
            "allowed_updates": allowed,
            "enabled": level.flag("enabled") or False,
        }
    level.finish()
    level = features.level("subscription_cancel")
    if level.tree:
        modes = ("at_period_end", "immediately")
        known["subscription_cancel"] |= {
            "enabled": level.flag("enabled") or False,
            "mode": level.choice("mode", modes) or "at_period_end",
            "proration_behavior": level.choice("proration_behavior", PRORATIONS) or "none",
        }
    level.finish()
    level = features.level("subscription_update")
    if level.tree:
        known["subscription_update"] |= {
            "enabled": level.flag("enabled") or False,
            "default_allowed_updates": level.texts("default_allowed_updates"),
            "products": [_product(call, one) for one in level.levels("products")],
            "proration_behavior": level.choice("proration_behavior", PRORATIONS) or "none",
        }
    level.finish()
    features.finish()


def _product(call: Call, level: Params) -> Json:
    product = call.find("product", level.required("product"), param=level.name("product"))
    prices = level.texts("prices")
    for price in prices:
        call.find("price", price, param=level.name("prices"))
    level.finish()
    quantity = {"enabled": False, "maximum": None, "minimum": 1}
    return {"adjustable_quantity": quantity, "prices": prices, "product": product["id"]}
