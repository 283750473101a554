"""/v1/charges"""

from stripe_sandbox.books import Json
from stripe_sandbox.calls import Call, page_of
from stripe_sandbox.webhooks import save_changed


def retrieve(call: Call, charge_id: str) -> Json:
    """GET /v1/charges/{id}"""
    return call.find("charge", charge_id)


def update(call: Call, charge_id: str) -> Json:
    """POST /v1/charges/{id}"""
    charge = call.find("charge", charge_id)
    if call.params.has("description"):
        charge["description"] = call.params.text("description")
    if call.params.has("receipt_email"):
        charge["receipt_email"] = call.params.email("receipt_email")
    details = call.params.level("fraud_details")
    if details.tree:
        report = details.choice("user_report", ("fraudulent", "safe"))
        charge["fraud_details"] = {"user_report": report} if report else {}
    details.finish()
    charge["metadata"] = call.params.metadata_onto(charge["metadata"])
    save_changed(call.books, "charge.updated", charge)
    return charge


def list_all(call: Call) -> Json:
    """GET /v1/charges"""
    params = call.params
    return page_of(
        call,
        "charge",
        "/v1/charges",
        customer=params.text("customer"),
        payment_intent=params.text("payment_intent"),
    )
