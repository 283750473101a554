"""/v1/payment_methods: what customers pay with"""

from stripe_sandbox.acts import saving
from stripe_sandbox.books import Json
from stripe_sandbox.calls import Call, page_of
from stripe_sandbox.cards import behind
from stripe_sandbox.objects.payments import payment_error
from stripe_sandbox.params import CannotDo, Declined
from stripe_sandbox.webhooks import save_changed

TYPES = ("card", "us_bank_account")


def retrieve(call: Call, method_id: str) -> Json:
    """GET /v1/payment_methods/{id}"""
    return call.find("payment_method", method_id)


def retrieve_of(call: Call, customer_id: str, method_id: str) -> Json:
    """GET /v1/customers/{id}/payment_methods/{id}"""
    call.find("customer", customer_id)
    method = call.find("payment_method", method_id)
    if method["customer"] != customer_id:
        return call.find("payment_method", "")
    return method


def list_all(call: Call) -> Json:
    """GET /v1/payment_methods"""
    customer = call.named("customer", "customer")
    if customer is None:
        call.params.required("customer")
        raise AssertionError("a missing customer was refused above")
    return _listed(call, customer["id"], "/v1/payment_methods")


def list_of(call: Call, customer_id: str) -> Json:
    """GET /v1/customers/{id}/payment_methods"""
    call.find("customer", customer_id)
    return _listed(call, customer_id, f"/v1/customers/{customer_id}/payment_methods")


def attach(call: Call, method_id: str) -> Json:
    """POST /v1/payment_methods/{id}/attach; Stripe's names for test cards are known"""
    customer = call.named("customer", "customer")
    if customer is None:
        call.params.required("customer")
        raise AssertionError("a missing customer was refused above")
    method = usable(call, method_id, param="id")
    if method["customer"] not in (None, customer["id"]):
        raise CannotDo(
            "The payment method you provided has already been attached to a customer.",
            code="payment_method_unexpected_state",
        )
    saving.attach(call.books, method, customer["id"])
    return method


def detach(call: Call, method_id: str) -> Json:
    """POST /v1/payment_methods/{id}/detach"""
    method = call.find("payment_method", method_id)
    if method["customer"] is None:
        raise CannotDo(
            "The payment method you provided is not attached to a customer so detachment is "
            "impossible."
        )
    saving.detach(call.books, method)
    return method


def update(call: Call, method_id: str) -> Json:
    """POST /v1/payment_methods/{id}"""
    method = call.find("payment_method", method_id)
    method["metadata"] = call.params.metadata_onto(method["metadata"])
    shown = call.params.choice("allow_redisplay", ("always", "limited", "unspecified"))
    method["allow_redisplay"] = shown or method["allow_redisplay"]
    save_changed(call.books, "payment_method.updated", method)
    return method


def usable(call: Call, method_id: str, *, param: str) -> Json:
    """The payment method of that id, or a new one behind one of Stripe's names for test cards."""
    number = behind(method_id)
    if number is None:
        return call.find("payment_method", method_id, param=param)
    if number.outcome == "declined":
        raise Declined(
            payment_error(
                code=number.code or "card_declined",
                message=number.message or "",
                decline_code=number.decline_code,
            )
        )
    return saving.keep_token(call.books, token=method_id, number=number)


def _listed(call: Call, customer_id: str, url: str) -> Json:
    return page_of(
        call,
        "payment_method",
        url,
        customer=customer_id,
        type=call.params.choice("type", TYPES),
        allow_redisplay=call.params.choice("allow_redisplay", ("always", "limited", "unspecified")),
    )
