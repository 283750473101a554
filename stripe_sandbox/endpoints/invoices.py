"""/v1/invoices and /v1/invoice_payments"""

from stripe_sandbox import objects
from stripe_sandbox.acts import invoicing, pricing, proration, subscribing
from stripe_sandbox.acts.proration import Wanted
from stripe_sandbox.books import Json
from stripe_sandbox.calls import Call, page_of, sliced
from stripe_sandbox.endpoints.subscription_items import PRORATIONS, wanted_items
from stripe_sandbox.objects import invoices as shapes
from stripe_sandbox.params import CannotDo, Declined

STATUSES = ("draft", "open", "paid", "uncollectible", "void")


def retrieve(call: Call, invoice_id: str) -> Json:
    """GET /v1/invoices/{id}"""
    return call.find("invoice", invoice_id)


def list_all(call: Call) -> Json:
    """GET /v1/invoices"""
    params = call.params
    return page_of(
        call,
        "invoice",
        "/v1/invoices",
        customer=params.text("customer"),
        status=params.choice("status", STATUSES),
        collection_method=params.choice(
            "collection_method", ("charge_automatically", "send_invoice")
        ),
        parent__subscription_details__subscription=params.text("subscription"),
    )


def list_lines(call: Call, invoice_id: str) -> Json:
    """GET /v1/invoices/{id}/lines"""
    lines = call.find("invoice", invoice_id)["lines"]["data"]
    return sliced(call, lines, f"/v1/invoices/{invoice_id}/lines")


def pay(call: Call, invoice_id: str) -> Json:
    """POST /v1/invoices/{id}/pay: another try, now"""
    invoice, books = call.find("invoice", invoice_id), call.books
    method = call.named("payment_method", "payment_method")
    call.params.flag("off_session")
    call.params.finish()
    if invoice["status"] != "open":
        words = "is already paid" if invoice["status"] == "paid" else "cannot be paid"
        raise CannotDo(f"Invoice {words}", code="invoice_not_editable")
    customer = books.known("customer", invoice["customer"])
    named = ((invoice["parent"] or {}).get("subscription_details") or {}).get("subscription")
    subscription = books.get("subscription", named)
    method = method or invoicing.method_for(books, customer=customer, subscription=subscription)
    answer = invoicing.collect(books, invoice, method)
    if answer.kind != "paid":
        error = answer.error or {}
        invoicing.failed(books, invoice, answer)
        raise Declined({"type": "card_error", "code": "card_declined", **error})
    subscribing.invoice_was_paid(books, invoice)
    return invoice


def void(call: Call, invoice_id: str) -> Json:
    """POST /v1/invoices/{id}/void"""
    invoice = call.find("invoice", invoice_id)
    if invoice["status"] != "open":
        raise CannotDo(
            f"You can only void open invoices. This invoice is {invoice['status']}.",
            code="invoice_not_editable",
        )
    invoicing.void(call.books, invoice)
    return invoice


def preview(call: Call) -> Json:
    """POST /v1/invoices/create_preview: what a change of a subscription would cost"""
    params, books = call.params, call.books
    subscription = call.named("subscription", "subscription")
    if subscription is None:
        params.required("subscription")
        raise AssertionError("a missing subscription was refused above")
    customer = call.named("customer", "customer")
    if customer and customer["id"] != subscription["customer"]:
        params.refuse("customer", "The subscription does not belong to this customer.")
    mode = params.choice("preview_mode", ("next", "recurring")) or "next"
    level = params.level("subscription_details")
    wanted = wanted_items(call, level, subscription)
    behavior = level.choice("proration_behavior", PRORATIONS) or "create_prorations"
    at = level.whole("proration_date") or int(books.billing_now)
    cancels_now = level.flag("cancel_now") or False
    cancels = level.flag("cancel_at_period_end") or False
    level.finish()
    params.finish()
    if subscription["ended_at"]:
        raise CannotDo("You cannot preview a canceled subscription.", code="invoice_upcoming_none")
    if wanted is None and (cancels_now or cancels or subscription["cancel_at_period_end"]):
        raise CannotDo(
            f"No upcoming invoices for customer: {subscription['customer']}",
            code="invoice_upcoming_none",
            status=404,
        )
    lines = _preview_lines(call, subscription, wanted, mode=mode, behavior=behavior, at=at)
    known = books.known("customer", subscription["customer"])
    invoice = shapes.invoice(
        at=at,
        customer=known,
        lines=lines,
        reason="upcoming" if wanted is None else "subscription_update",
        currency=subscription["currency"],
        subscription=subscription,
        period_start=proration.period_of(subscription).start,
        period_end=proration.period_of(subscription).end,
        tax=pricing.tax_of(subscription, lines),
    )
    invoice["id"] = objects.new_id("upcoming_in_1")
    details = invoice["parent"]["subscription_details"]
    details["subscription_proration_date"] = at
    return invoice


def list_payments(call: Call) -> Json:
    """GET /v1/invoice_payments: which invoice a payment is of, and the other way round"""
    params = call.params
    payment = params.level("payment")
    payment.choice("type", ("payment_intent",))
    intent = payment.text("payment_intent")
    payment.finish()
    return page_of(
        call,
        "invoice_payment",
        "/v1/invoice_payments",
        invoice=params.text("invoice"),
        status=params.choice("status", ("open", "paid", "canceled")),
        payment__payment_intent=intent,
    )


def retrieve_payment(call: Call, payment_id: str) -> Json:
    """GET /v1/invoice_payments/{id}"""
    return call.find("invoice_payment", payment_id)


def _preview_lines(
    call: Call,
    subscription: Json,
    wanted: list[Wanted] | None,
    *,
    mode: str,
    behavior: str,
    at: int,
) -> list[Json]:
    books = call.books
    items = wanted or proration.as_it_is(subscription)
    if mode == "recurring":
        period = proration.next_period(subscription, items)
        return proration.lines_of_period(books, subscription, items, period=period)
    changes = []
    if wanted and behavior != "none":
        changes = proration.lines_of_change(books, subscription, wanted, at=at)
    if wanted and proration.begins_anew(subscription, wanted):
        period = proration.next_period(subscription, wanted, at=at)
        return changes + proration.lines_of_period(books, subscription, wanted, period=period)
    if wanted and behavior == "always_invoice":
        return changes
    waiting = [
        line
        for line in books.children("pending_line", subscription["id"])
        if line["invoice"] is None
    ]
    period = proration.next_period(subscription, items)
    return [
        *waiting,
        *changes,
        *proration.lines_of_period(books, subscription, items, period=period),
    ]
