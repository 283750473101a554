"""/v1/refunds"""

from functools import partial

from stripe_sandbox import templates
from stripe_sandbox.acts import refunding
from stripe_sandbox.acts.disputing import OPEN
from stripe_sandbox.books import Json
from stripe_sandbox.calls import Call, page_of
from stripe_sandbox.objects.aftermath import left_of
from stripe_sandbox.params import CannotDo
from stripe_sandbox.webhooks import save_changed

REASONS = ("duplicate", "fraudulent", "requested_by_customer")


def create(call: Call) -> Json:
    """POST /v1/refunds"""
    params = call.params
    params.exactly_one("charge", "payment_intent")
    charge = _charge(call)
    amount = params.whole("amount")
    if amount is not None and amount < 1:
        params.refuse(
            "amount",
            "This value must be greater than or equal to 1.",
            code="parameter_invalid_integer",
        )
    reason = params.choice("reason", REASONS)
    metadata = params.metadata()
    params.finish()
    left = left_of(charge)
    if charge["status"] != "succeeded":
        raise CannotDo("You cannot refund a charge that did not succeed.", param="charge")
    if charge["refunded"]:
        raise CannotDo(
            f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded"
        )
    _not_disputed(call, charge)
    if amount is not None and amount > left:
        said = partial(templates.money, currency=charge["currency"])
        raise CannotDo(
            f"Refund amount ({said(amount)}) is greater than "
            + (
                f"charge amount ({said(left)})"
                if left == charge["amount"]
                else f"unrefunded amount on charge ({said(left)})"
            ),
            param="amount",
        )
    return refunding.refund(
        call.books, charge, amount=amount or left, reason=reason, metadata=metadata
    )


def retrieve(call: Call, refund_id: str) -> Json:
    """GET /v1/refunds/{id}"""
    return call.find("refund", refund_id)


def update(call: Call, refund_id: str) -> Json:
    """POST /v1/refunds/{id}"""
    refund = call.find("refund", refund_id)
    refund["metadata"] = call.params.metadata_onto(refund["metadata"])
    save_changed(call.books, "refund.updated", refund)
    return refund


def cancel(call: Call, refund_id: str) -> Json:
    """POST /v1/refunds/{id}/cancel"""
    refund = call.find("refund", refund_id)
    if refund["status"] != "pending":
        raise CannotDo(f"A refund with a status of {refund['status']} cannot be canceled.")
    refunding.cancel(call.books, refund)
    return refund


def list_all(call: Call) -> Json:
    """GET /v1/refunds"""
    params = call.params
    return page_of(
        call,
        "refund",
        "/v1/refunds",
        charge=params.text("charge"),
        payment_intent=params.text("payment_intent"),
    )


def _charge(call: Call) -> Json:
    charge = call.named("charge", "charge")
    if charge is not None:
        return charge
    intent = call.find(
        "payment_intent", call.params.required("payment_intent"), param="payment_intent"
    )
    charge = call.books.get("charge", intent["latest_charge"])
    if charge is None or charge["status"] == "failed":
        raise CannotDo(
            f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
            param="payment_intent",
        )
    return charge


def _not_disputed(call: Call, charge: Json) -> None:
    for dispute in call.books.children("dispute", charge["id"]):
        if not dispute["is_charge_refundable"] or dispute["status"] in OPEN[:2]:
            raise CannotDo(
                f"Charge {charge['id']} has been charged back; cannot issue a refund.",
                code="charge_disputed",
            )
