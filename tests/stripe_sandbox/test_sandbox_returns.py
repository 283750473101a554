"""Money that goes back at the sandbox: refunds in parts, and disputes."""

import pytest
import stripe

from tests.stripe_sandbox.running_sandbox import Running

DISPUTED = "4000 0000 0000 0259"


def paid(sandbox: Running, **typed: str) -> stripe.PaymentIntent:
    session = sandbox.session()
    assert sandbox.pay(session, **typed).status_code == 303
    intent = sandbox.fresh(session).payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    return intent


def charge_of(sandbox: Running, intent: stripe.PaymentIntent) -> stripe.Charge:
    fresh = sandbox.api.v1.payment_intents.retrieve(intent.id, params={"expand": ["latest_charge"]})
    assert isinstance(fresh.latest_charge, stripe.Charge)
    return fresh.latest_charge


def test_a_payment_is_refunded_in_parts_until_nothing_is_left(sandbox: Running) -> None:
    intent = paid(sandbox)
    refunds = sandbox.api.v1.refunds
    part = refunds.create(params={"payment_intent": intent.id, "amount": 200})
    assert (part.amount, part.status, part.payment_intent) == (200, "succeeded", intent.id)
    charge = charge_of(sandbox, intent)
    assert (charge.amount_refunded, charge.refunded) == (200, False)
    with pytest.raises(stripe.InvalidRequestError, match="not between 1 and 300"):
        refunds.create(params={"payment_intent": intent.id, "amount": 301})
    assert refunds.create(params={"payment_intent": intent.id}).amount == 300
    charge = charge_of(sandbox, intent)
    assert (charge.amount_refunded, charge.refunded) == (500, True)
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        refunds.create(params={"payment_intent": intent.id})
    assert refusal.value.code == "charge_already_refunded"
    sandbox.receiver.wait_for("refund.created", "charge.refunded")
    told = [event for event in sandbox.receiver.events if event.type == "charge.refunded"]
    assert {event.data.object["payment_intent"] for event in told} == {intent.id}


def test_what_was_never_paid_cannot_be_refunded(shared_sandbox: Running) -> None:
    session = shared_sandbox.session()
    shared_sandbox.pay(session, number="4000 0000 0000 0002")
    intent = shared_sandbox.fresh(session).payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    with pytest.raises(stripe.InvalidRequestError, match="successful charge"):
        shared_sandbox.api.v1.refunds.create(params={"payment_intent": intent.id})


@pytest.mark.parametrize(("evidence", "status"), [("winning", "won"), ("losing", "lost")])
def test_a_disputed_payment_is_taken_back_until_it_is_decided(
    sandbox: Running, evidence: str, status: str
) -> None:
    intent = paid(sandbox, number=DISPUTED)
    assert charge_of(sandbox, intent).disputed
    sandbox.receiver.wait_for("charge.dispute.created", "charge.dispute.funds_withdrawn")
    disputes = sandbox.api.v1.disputes
    (dispute,) = disputes.list(params={"payment_intent": intent.id}).data
    assert (dispute.amount, dispute.status) == (500, "needs_response")
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        sandbox.api.v1.refunds.create(params={"payment_intent": intent.id})
    assert refusal.value.code == "charge_disputed"
    decided = disputes.update(
        dispute.id, params={"evidence": {"uncategorized_text": f"{evidence}_evidence"}}
    )
    assert decided.status == status
    sandbox.receiver.wait_for("charge.dispute.closed")
    if status == "won":
        sandbox.receiver.wait_for("charge.dispute.funds_reinstated")
