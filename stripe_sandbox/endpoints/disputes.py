"""/v1/disputes and /v1/radar/early_fraud_warnings"""

from stripe_sandbox.acts import disputing
from stripe_sandbox.books import Json
from stripe_sandbox.calls import Call, page_of
from stripe_sandbox.objects.aftermath import EVIDENCE
from stripe_sandbox.params import CannotDo
from stripe_sandbox.webhooks import save_changed


def retrieve(call: Call, dispute_id: str) -> Json:
    """GET /v1/disputes/{id}"""
    return call.find("dispute", dispute_id)


def update(call: Call, dispute_id: str) -> Json:
    """POST /v1/disputes/{id}: as with Stripe's test cards, one text of evidence decides it"""
    dispute, params = call.find("dispute", dispute_id), call.params
    metadata = params.metadata_onto(dispute["metadata"])
    evidence = params.level("evidence")
    given = {name: evidence.text(name, most=20_000) for name in EVIDENCE if evidence.has(name)}
    evidence.finish()
    submitted = params.flag("submit")
    params.finish()
    dispute["metadata"] = metadata
    if not given:
        save_changed(call.books, "charge.dispute.updated", dispute)
        return dispute
    _still_open(dispute)
    dispute["evidence"] |= given
    disputing.answer(call.books, dispute, submitted=submitted is not False)
    words = given.get("uncategorized_text")
    is_inquiry = dispute["status"].startswith("warning")
    if words == "winning_evidence":
        disputing.decide(call.books, dispute, "warning_closed" if is_inquiry else "won")
    elif words == "losing_evidence":
        disputing.decide(call.books, dispute, "warning_closed" if is_inquiry else "lost")
    elif words == "escalate_inquiry" and is_inquiry:
        disputing.escalate(call.books, dispute)
    return dispute


def close(call: Call, dispute_id: str) -> Json:
    """POST /v1/disputes/{id}/close: giving in, which loses it"""
    dispute = call.find("dispute", dispute_id)
    _still_open(dispute)
    disputing.decide(call.books, dispute, "lost")
    return dispute


def list_all(call: Call) -> Json:
    """GET /v1/disputes"""
    params = call.params
    return page_of(
        call,
        "dispute",
        "/v1/disputes",
        charge=params.text("charge"),
        payment_intent=params.text("payment_intent"),
    )


def retrieve_warning(call: Call, warning_id: str) -> Json:
    """GET /v1/radar/early_fraud_warnings/{id}"""
    return call.find("radar.early_fraud_warning", warning_id)


def list_warnings(call: Call) -> Json:
    """GET /v1/radar/early_fraud_warnings"""
    params = call.params
    return page_of(
        call,
        "radar.early_fraud_warning",
        "/v1/radar/early_fraud_warnings",
        charge=params.text("charge"),
        payment_intent=params.text("payment_intent"),
    )


def _still_open(dispute: Json) -> None:
    if dispute["status"] not in disputing.OPEN:
        raise CannotDo("This dispute is already closed")
