"""/v1/payment_intents and /v1/setup_intents"""

from stripe_sandbox import objects
from stripe_sandbox.acts import charging, saving
from stripe_sandbox.books import Json
from stripe_sandbox.calls import Call, page_of
from stripe_sandbox.endpoints.payment_methods import usable
from stripe_sandbox.objects.payments import payment_intent
from stripe_sandbox.params import LEAST_AMOUNT, MOST_AMOUNT, CannotAccept, CannotDo, Declined
from stripe_sandbox.webhooks import announce

CANCELABLE = ("requires_payment_method", "requires_confirmation", "requires_action", "processing")
CONFIRMABLE = CANCELABLE[:3]
REASONS = ("abandoned", "duplicate", "fraudulent", "requested_by_customer")


def create(call: Call) -> Json:
    """POST /v1/payment_intents"""
    params, books = call.params, call.books
    intent = payment_intent(
        at=call.at,
        amount=_amount(call),
        currency=params.currency() or params.required("currency"),
        methods=params.texts("payment_method_types") or ["card"],
        metadata=params.metadata(),
    )
    if intent["amount"] < LEAST_AMOUNT[intent["currency"]]:
        raise CannotAccept(
            f"Amount must be at least {LEAST_AMOUNT[intent['currency']]} cents",
            code="amount_too_small",
            param="amount",
        )
    customer = call.named("customer", "customer")
    intent["customer"] = customer["id"] if customer else None
    _describe(call, intent)
    automatic = params.level("automatic_payment_methods")
    if automatic.tree:
        intent["automatic_payment_methods"] = {
            "allow_redirects": automatic.choice("allow_redirects", ("always", "never")) or "always",
            "enabled": automatic.flag("enabled") or False,
        }
    automatic.finish()
    params.choice("capture_method", ("automatic", "automatic_async"))
    params.choice("confirmation_method", ("automatic",))
    confirms = params.flag("confirm") or False
    if not confirms:
        for key in ("off_session", "return_url", "error_on_requires_action"):
            if params.has(key):
                params.refuse(key, f"`{key}` can only be used when `confirm=true`.")
    _take_method(call, intent)
    wish = _wish(call) if confirms else {}
    params.finish()
    books.add(intent)
    announce(books, "payment_intent.created", intent)
    return _confirmed(call, intent, wish) if confirms else intent


def confirm(call: Call, intent_id: str) -> Json:
    """POST /v1/payment_intents/{id}/confirm"""
    intent = call.find("payment_intent", intent_id)
    call.params.email("receipt_email")
    call.params.choice("setup_future_usage", ("off_session", "on_session"))
    wish = _wish(call)
    if intent["status"] not in CONFIRMABLE:
        raise _unexpected(
            intent,
            "You cannot confirm this PaymentIntent because it has already succeeded after being "
            "previously confirmed."
            if intent["status"] == "succeeded"
            else f"You cannot confirm this PaymentIntent because it has a status of "
            f"{intent['status']}.",
        )
    _take_method(call, intent)
    call.params.finish()
    return _confirmed(call, intent, wish)


def retrieve(call: Call, intent_id: str) -> Json:
    """GET /v1/payment_intents/{id}"""
    call.params.text("client_secret")
    return call.find("payment_intent", intent_id)


def update(call: Call, intent_id: str) -> Json:
    """POST /v1/payment_intents/{id}"""
    intent = call.find("payment_intent", intent_id)
    if call.params.has("amount"):
        if intent["status"] not in CONFIRMABLE:
            raise _unexpected(
                intent,
                f"This PaymentIntent's amount could not be updated because it has a status of "
                f"{intent['status']}.",
            )
        intent["amount"] = _amount(call)
    _describe(call, intent)
    intent["metadata"] = call.params.metadata_onto(intent["metadata"])
    call.books.save(intent)
    return intent


def cancel(call: Call, intent_id: str) -> Json:
    """POST /v1/payment_intents/{id}/cancel"""
    intent = call.find("payment_intent", intent_id)
    reason = call.params.choice("cancellation_reason", REASONS)
    call.params.finish()
    if intent["status"] not in CANCELABLE or intent["status"] == "processing":
        raise _unexpected(
            intent,
            f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}. "
            "Only a PaymentIntent with one of the following statuses may be canceled: "
            f"{', '.join(CANCELABLE[:3])}.",
        )
    charging.cancel(call.books, intent, reason=reason)
    announce(call.books, "payment_intent.canceled", intent)
    return intent


def list_all(call: Call) -> Json:
    """GET /v1/payment_intents"""
    customer = call.params.text("customer")
    return page_of(call, "payment_intent", "/v1/payment_intents", customer=customer)


def retrieve_setup(call: Call, intent_id: str) -> Json:
    """GET /v1/setup_intents/{id}"""
    call.params.text("client_secret")
    return call.find("setup_intent", intent_id)


def list_setups(call: Call) -> Json:
    """GET /v1/setup_intents"""
    params = call.params
    return page_of(
        call,
        "setup_intent",
        "/v1/setup_intents",
        customer=params.text("customer"),
        payment_method=params.text("payment_method"),
    )


def _amount(call: Call) -> int:
    amount = call.params.whole("amount")
    if amount is None:
        call.params.required("amount")
        raise AssertionError("a missing amount was refused above")
    if amount < 1:
        call.params.refuse(
            "amount",
            "This value must be greater than or equal to 1.",
            code="parameter_invalid_integer",
        )
    if amount > MOST_AMOUNT:
        call.params.refuse(
            "amount", "Amount must be no more than $999,999.99", code="amount_too_large"
        )
    return amount


def _describe(call: Call, intent: Json) -> None:
    params = call.params
    if params.has("description"):
        intent["description"] = params.text("description", most=1000)
    if params.has("receipt_email"):
        intent["receipt_email"] = params.email("receipt_email")
    for name in ("statement_descriptor", "statement_descriptor_suffix"):
        if params.has(name):
            intent[name] = params.text(name, most=22)
    if params.has("setup_future_usage"):
        options = ("off_session", "on_session")
        intent["setup_future_usage"] = params.choice("setup_future_usage", options)


def _take_method(call: Call, intent: Json) -> None:
    method_id = call.params.text("payment_method")
    if method_id is None:
        return
    method = usable(call, method_id, param="payment_method")
    if method["customer"] and method["customer"] != intent["customer"]:
        raise CannotDo(
            f"The provided PaymentMethod ({method_id}) belongs to a different Customer, or you "
            "must include the Customer that it belongs to in your request.",
            code="payment_method_customer_mismatch" if intent["customer"] else "parameter_missing",
            param="payment_method",
        )
    intent.update(payment_method=method["id"], status="requires_confirmation")


def _wish(call: Call) -> Json:
    return {
        "off_session": call.params.flag("off_session") or False,
        "return_url": call.params.url("return_url"),
        "error_on_requires_action": call.params.flag("error_on_requires_action") or False,
    }


def _confirmed(call: Call, intent: Json, wish: Json) -> Json:
    """Try to take the money now; whoever pays is there unless `off_session` says otherwise."""
    books = call.books
    method = books.get("payment_method", intent["payment_method"])
    if method is None:
        raise _unexpected(
            intent,
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can "
            "either update the PaymentIntent with a payment method and then confirm it again, or "
            "confirm it again directly with a payment method or ConfirmationToken.",
        )
    if wish["off_session"] and method["customer"] is None:
        raise CannotDo(
            "You cannot set `off_session` to true when the PaymentMethod is not attached to a "
            "customer.",
            param="off_session",
        )
    answer = charging.take(books, intent, method, off_session=wish["off_session"])
    if answer.kind == "declined":
        raise Declined({**(answer.error or {}), "payment_intent": intent})
    if answer.kind == "asks":
        if wish["error_on_requires_action"]:
            _give_up_asking(call, intent)
        _send_to_the_bank(call, intent, wish["return_url"])
    elif intent["setup_future_usage"] and intent["customer"]:
        saving.set_up(books, method)
        saving.attach(books, method, intent["customer"])
    return intent


def _send_to_the_bank(call: Call, intent: Json, return_url: str | None) -> None:
    if return_url is None:
        intent["next_action"] = {"type": "use_stripe_sdk", "use_stripe_sdk": {}}
    else:
        secret = objects.new_id("", length=24)
        url = call.books.configuration.url("intents", intent["id"], secret)
        visit = {"intent": intent["id"], "return_url": return_url}
        call.books.add({"id": f"visit_{secret}", "object": "visit", **visit})
        intent["next_action"] = {
            "redirect_to_url": {"return_url": return_url, "url": url},
            "type": "redirect_to_url",
        }
    call.books.save(intent)
    announce(call.books, "payment_intent.requires_action", intent)


def _give_up_asking(call: Call, intent: Json) -> None:
    intent.update(status="requires_payment_method", next_action=None, payment_method=None)
    call.books.save(intent)
    raise Declined(
        {
            "type": "card_error",
            "code": "authentication_required",
            "decline_code": "authentication_not_handled",
            "doc_url": "https://docs.stripe.com/error-codes#authentication-required",
            "message": "This payment required an authentication action to complete, but "
            "`error_on_requires_action` was set.",
            "payment_intent": intent,
        }
    )


def _unexpected(intent: Json, message: str) -> CannotDo:
    refusal = CannotDo(message, code="payment_intent_unexpected_state")
    refusal.error["payment_intent"] = intent
    return refusal
