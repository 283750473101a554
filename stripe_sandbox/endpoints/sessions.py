"""/v1/checkout/sessions"""

from dataclasses import asdict

from stripe_sandbox import objects
from stripe_sandbox.acts import checkout
from stripe_sandbox.books import Json
from stripe_sandbox.calls import Call, page_of, sliced
from stripe_sandbox.endpoints.session_lines import line_items
from stripe_sandbox.endpoints.session_parameters import chosen
from stripe_sandbox.objects.payments import payment_intent, setup_intent
from stripe_sandbox.objects.sessions import checkout_session
from stripe_sandbox.params import CannotDo

MODES = ("payment", "setup", "subscription")


def create(call: Call) -> Json:
    """POST /v1/checkout/sessions"""
    params, books = call.params, call.books
    mode = params.choice("mode", MODES) or params.required("mode")
    params.choice("ui_mode", ("hosted", "hosted_page"))
    currency = params.currency()
    items = line_items(call, mode)
    if currency and items and items[0]["currency"] != currency:
        params.refuse("currency", "The prices of this session are not in that currency.")
    if mode == "setup" and not currency and not params.has("payment_method_types"):
        params.refuse(
            "currency",
            "You must provide `currency` or `payment_method_types` in `setup` mode.",
            code="parameter_missing",
        )
    wanted, wishes = chosen(call, mode)
    session_id = objects.new_id("cs_test_a1", length=56)
    session = checkout_session(
        session_id=session_id,
        url=books.configuration.url("pay", session_id),
        at=call.at,
        items=items,
        wanted=wanted,
    )
    session["currency"] = session["currency"] or currency
    _intent_of(call, session, wishes.intent)
    books.add(session)
    books.add({"id": f"wishes_of_{session_id}", "object": "wishes", **asdict(wishes)})
    for item in items:
        books.add(item, parent=session_id)
    return session


def retrieve(call: Call, session_id: str) -> Json:
    """GET /v1/checkout/sessions/{id}"""
    return call.find("checkout.session", session_id)


def update(call: Call, session_id: str) -> Json:
    """POST /v1/checkout/sessions/{id}"""
    session = call.find("checkout.session", session_id)
    session["metadata"] = call.params.metadata_onto(session["metadata"])
    call.books.save(session)
    return session


def list_all(call: Call) -> Json:
    """GET /v1/checkout/sessions"""
    params = call.params
    details = params.level("customer_details")
    email = details.email("email")
    details.finish()
    return page_of(
        call,
        "checkout.session",
        "/v1/checkout/sessions",
        status=params.choice("status", ("open", "complete", "expired")),
        payment_intent=params.text("payment_intent"),
        subscription=params.text("subscription"),
        customer=params.text("customer"),
        customer_details__email=email,
    )


def expire(call: Call, session_id: str) -> Json:
    """POST /v1/checkout/sessions/{id}/expire"""
    session = call.find("checkout.session", session_id)
    if session["status"] != "open":
        raise CannotDo(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout '
            f"Session has a status of `{session['status']}`."
        )
    checkout.expire(call.books, session)
    return session


def list_lines(call: Call, session_id: str) -> Json:
    """GET /v1/checkout/sessions/{id}/line_items"""
    call.find("checkout.session", session_id)
    items = call.books.children("item", session_id)
    return sliced(call, items, f"/v1/checkout/sessions/{session_id}/line_items")


def _intent_of(call: Call, session: Json, wanted: Json) -> None:
    """What the session will pay or save with; callers see it from the first try on."""
    if session["mode"] == "setup":
        intent = setup_intent(
            at=call.at, customer=session["customer"], metadata=wanted.pop("metadata")
        )
        session["setup_intent"] = intent["id"]
    else:
        intent = payment_intent(
            at=call.at,
            amount=session["amount_total"],
            currency=session["currency"],
            methods=session["payment_method_types"],
            metadata=wanted.pop("metadata", {}),
        )
        intent["customer"] = session["customer"]
    intent.update(wanted)
    call.books.add(intent, parent=session["id"])
