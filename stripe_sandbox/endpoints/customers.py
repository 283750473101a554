"""/v1/customers"""

from stripe_sandbox.acts import saving, subscribing
from stripe_sandbox.books import Json
from stripe_sandbox.calls import Call, page_of
from stripe_sandbox.endpoints.payment_methods import usable
from stripe_sandbox.objects.customers import address, customer
from stripe_sandbox.params import Params
from stripe_sandbox.webhooks import announce, save_changed

ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")
TEXTS = ("name", "phone", "description")


def create(call: Call) -> Json:
    """POST /v1/customers"""
    made = customer(at=call.at)
    token = call.params.text("payment_method")
    _read(call, made, method_is_coming=token)
    call.books.add(made)
    announce(call.books, "customer.created", made)
    if token:
        method = usable(call, token, param="payment_method")
        saving.attach(call.books, method, made["id"])
        if made["invoice_settings"]["default_payment_method"] == token:
            made["invoice_settings"]["default_payment_method"] = method["id"]
            call.books.save(made)
    return made


def retrieve(call: Call, customer_id: str) -> Json:
    """GET /v1/customers/{id}; one that was deleted is still told from one that never was"""
    gone = call.books.get("customer", customer_id)
    if gone and gone.get("deleted"):
        return _gone(customer_id)
    return call.find("customer", customer_id)


def update(call: Call, customer_id: str) -> Json:
    """POST /v1/customers/{id}"""
    known = call.find("customer", customer_id)
    _read(call, known)
    save_changed(call.books, "customer.updated", known)
    return known


def delete(call: Call, customer_id: str) -> Json:
    """DELETE /v1/customers/{id}: their subscriptions end with them"""
    known = call.find("customer", customer_id)
    for subscription in call.books.every("subscription", customer=customer_id):
        if not subscription["ended_at"]:
            subscribing.end(call.books, subscription, reason="cancellation_requested")
    for method in call.books.every("payment_method", customer=customer_id):
        saving.detach(call.books, method)
    announce(call.books, "customer.deleted", known)
    call.books.save({**known, "deleted": True, "email": None})
    return _gone(customer_id)


def list_all(call: Call) -> Json:
    """GET /v1/customers"""
    page = page_of(call, "customer", "/v1/customers", email=call.params.text("email"))
    page["data"] = [one for one in page["data"] if not one.get("deleted")]
    return page


def _gone(customer_id: str) -> Json:
    return {"id": customer_id, "object": "customer", "deleted": True}


def _read(call: Call, known: Json, *, method_is_coming: str | None = None) -> None:
    params = call.params
    if params.has("email"):
        known["email"] = params.email("email")
    for name in TEXTS:
        if params.has(name):
            known[name] = params.text(name)
    if params.has("address"):
        known["address"] = _address(params, "address")
    if params.has("shipping"):
        known["shipping"] = _shipping(params)
    if params.has("preferred_locales"):
        known["preferred_locales"] = params.texts("preferred_locales")
    if params.has("tax_exempt"):
        exempt = params.choice("tax_exempt", ("none", "exempt", "reverse"))
        known["tax_exempt"] = exempt or "none"
    known["metadata"] = params.metadata_onto(known["metadata"])
    tax = params.level("tax")
    tax.text("ip_address")
    tax.choice("validate_location", ("auto", "deferred", "immediately"))
    tax.finish()
    _read_invoice_settings(call, known, method_is_coming=method_is_coming)


def _read_invoice_settings(call: Call, known: Json, *, method_is_coming: str | None) -> None:
    settings = call.params.level("invoice_settings")
    if settings.has("default_payment_method"):
        named = settings.text("default_payment_method")
        if named is not None and named != method_is_coming:
            method = call.find(
                "payment_method", named, param=settings.name("default_payment_method")
            )
            if method["customer"] != known["id"]:
                settings.refuse(
                    "default_payment_method",
                    "The customer does not have a payment method with the ID "
                    f"{named}. The payment method must be attached to the customer.",
                    code="resource_missing",
                )
        known["invoice_settings"]["default_payment_method"] = named
    if settings.has("footer"):
        known["invoice_settings"]["footer"] = settings.text("footer")
    settings.finish()


def _address(params: Params, key: str) -> Json | None:
    if not params.nests(key):
        params.text(key)
        return None
    level = params.level(key)
    found = address(**level.each(*ADDRESS))
    level.finish()
    return found


def _shipping(params: Params) -> Json | None:
    if not params.nests("shipping"):
        params.text("shipping")
        return None
    level = params.level("shipping")
    found = {
        "address": _address(level, "address"),
        "name": level.required("name"),
        "phone": level.text("phone"),
    }
    level.finish()
    return found
