"""/v1/subscriptions"""

from stripe_sandbox.acts import subscribing
from stripe_sandbox.acts.charging import Answer
from stripe_sandbox.acts.subscribing import Change, PaymentFailed
from stripe_sandbox.books import Json
from stripe_sandbox.calls import Call, page_of
from stripe_sandbox.endpoints.subscription_items import PRORATIONS, wanted_items
from stripe_sandbox.params import CannotDo, Params
from stripe_sandbox.webhooks import save_changed

LIVING = ["active", "past_due", "unpaid", "incomplete", "trialing", "paused"]
STATUSES = (*LIVING, "canceled", "incomplete_expired", "all", "ended")
FEEDBACK = (
    "customer_service",
    "low_quality",
    "missing_features",
    "other",
    "switched_service",
    "too_complex",
    "too_expensive",
    "unused",
)
BEHAVIORS = (
    "allow_incomplete",
    "default_incomplete",
    "error_if_incomplete",
    "pending_if_incomplete",
)


def retrieve(call: Call, subscription_id: str) -> Json:
    """GET /v1/subscriptions/{id}"""
    return call.find("subscription", subscription_id)


def list_all(call: Call) -> Json:
    """GET /v1/subscriptions: without a status, all that have not ended"""
    params = call.params
    status = params.choice("status", STATUSES)
    among = {"status": LIVING} if status is None else {}
    if status == "ended":
        among = {"status": ["canceled", "incomplete_expired"]}
    return page_of(
        call,
        "subscription",
        "/v1/subscriptions",
        among=among,
        status=None if status in ("all", "ended") else status,
        customer=params.text("customer"),
        items__data__0__price__id=params.text("price"),
    )


def update(call: Call, subscription_id: str) -> Json:
    """POST /v1/subscriptions/{id}"""
    known, params, books = call.find("subscription", subscription_id), call.params, call.books
    metadata = params.metadata_onto(known["metadata"])
    feedback = _feedback(params, known["cancellation_details"])
    cancels = params.flag("cancel_at_period_end")
    method = call.named("payment_method", "default_payment_method")
    if method and method["customer"] != known["customer"]:
        params.refuse(
            "default_payment_method",
            f"The customer does not have a payment method with the ID {method['id']}.",
            code="resource_missing",
        )
    if params.has("description"):
        known["description"] = params.text("description", most=500)
    wanted = wanted_items(call, params, known)
    prorates = params.choice("proration_behavior", PRORATIONS)
    behavior = params.choice("payment_behavior", BEHAVIORS)
    at = params.whole("proration_date")
    params.flag("off_session")
    params.finish()
    if known["ended_at"]:
        raise CannotDo(
            "A canceled subscription can only update its cancellation_details and metadata.",
        )
    if behavior == "pending_if_incomplete" and (metadata != known["metadata"] or cancels):
        raise CannotDo(
            "When `payment_behavior` is set to `pending_if_incomplete`, you cannot pass other "
            "parameters than those that it supports.",
            param="payment_behavior",
        )
    known["metadata"], known["cancellation_details"] = metadata, feedback
    if params.has("default_payment_method"):
        known["default_payment_method"] = method["id"] if method else None
    if cancels is not None:
        subscribing.cancel_later(books, known, cancels=cancels)
    if wanted is None:
        save_changed(books, "customer.subscription.updated", known)
        return known
    wish = Change(
        wanted=wanted,
        proration=prorates or "create_prorations",
        payment=behavior or "allow_incomplete",
        at=at,
    )
    try:
        subscribing.change(books, known, wish)
    except PaymentFailed as failure:
        raise _card_refused(failure.answer) from None
    return known


def cancel(call: Call, subscription_id: str) -> Json:
    """DELETE /v1/subscriptions/{id}: ends it at once"""
    known, params = call.find("subscription", subscription_id), call.params
    feedback = _feedback(params, known["cancellation_details"])
    invoices_now = params.flag("invoice_now") or False
    prorates = params.flag("prorate") or False
    params.finish()
    if known["ended_at"]:
        raise CannotDo(
            f"No such subscription: '{subscription_id}'",
            code="resource_missing",
            param="id",
            status=404,
        )
    known["cancellation_details"] = feedback
    if prorates:
        subscribing.credit_unused(call.books, known, invoice_now=invoices_now)
    subscribing.end(call.books, known, reason="cancellation_requested")
    return known


def _feedback(params: Params, known: Json) -> Json:
    level = params.level("cancellation_details")
    found = dict(known)
    if level.has("comment"):
        found["comment"] = level.text("comment")
    if level.has("feedback"):
        found["feedback"] = level.choice("feedback", FEEDBACK)
    level.finish()
    return found


def _card_refused(answer: Answer) -> CannotDo:
    error = answer.error or {}
    refusal = CannotDo(error["message"], status=402)
    # The charge and its method go with everything else of this change.
    kept = {name: value for name, value in error.items() if name != "charge"}
    refusal.error = {"type": "card_error", "code": "card_declined", **kept}
    return refusal
