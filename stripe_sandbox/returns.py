"""Money that goes back: refunds that the merchant makes, and disputes of the buyer's bank."""

from stripe_sandbox import objects
from stripe_sandbox.params import CannotAccept
from stripe_sandbox.resources import Call, page_of
from stripe_sandbox.store import Json
from stripe_sandbox.webhooks import announce

REASONS = ("duplicate", "fraudulent", "requested_by_customer")
# What Stripe's test mode reads as the outcome of a dispute.
OUTCOMES = {"winning_evidence": "won", "losing_evidence": "lost"}


def create_refund(call: Call) -> Json:
    """POST /v1/refunds: of a charge, whole or in parts until nothing is left of it."""
    params, books = call.params, call.books
    intent_id = params.required("payment_intent")
    intent = call.find("payment_intent", intent_id, param="payment_intent")
    charge = books.get("charge", intent["latest_charge"] or "")
    if charge is None or not charge["paid"]:
        raise CannotAccept(f"PaymentIntent {intent_id} does not have a successful charge to refund")
    if charge["disputed"]:
        raise CannotAccept(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.",
            code="charge_disputed",
        )
    left = charge["amount"] - charge["amount_refunded"]
    amount = params.whole("amount")
    if left == 0:
        raise CannotAccept(
            f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded"
        )
    if amount is None:
        amount = left
    if not 1 <= amount <= left:
        params.refuse("amount", f"Refund amount ({amount}) is not between 1 and {left}.")
    refund = objects.refund(
        charge=charge,
        amount=amount,
        at=int(books.now),
        reason=params.choice("reason", REASONS),
        metadata=params.metadata(),
    )
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    books.add(refund, parent=charge["id"])
    books.save(charge)
    announce(books, "refund.created", refund, cause=call.cause)
    announce(books, "charge.refunded", charge, cause=call.cause)
    return refund


def list_disputes(call: Call) -> Json:
    """GET /v1/disputes"""
    matching = [
        (f"$.{name}", value)
        for name in ("charge", "payment_intent")
        if (value := call.params.text(name)) is not None
    ]
    return page_of(call, "dispute", url="/v1/disputes", matching=matching)


def update_dispute(call: Call, dispute_id: str) -> Json:
    """POST /v1/disputes/{id}: the evidence says, as in Stripe's test mode, how it ends."""
    dispute, evidence = call.find("dispute", dispute_id), call.params.level("evidence")
    outcome = OUTCOMES.get(evidence.text("uncategorized_text") or "")
    evidence.finish()
    if outcome is None or dispute["status"] != "needs_response":
        raise CannotAccept("The sandbox decides a dispute that is open, by its test evidence.")
    dispute["status"] = outcome
    call.books.save(dispute)
    announce(call.books, "charge.dispute.closed", dispute, cause=call.cause)
    if outcome == "won":
        announce(call.books, "charge.dispute.funds_reinstated", dispute, cause=call.cause)
    return dispute
