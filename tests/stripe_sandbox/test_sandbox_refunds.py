"""Money that goes back: refunds, disputes, inquiries and warnings of fraud."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.patience import until
from tests.stripe_sandbox.running_sandbox import Receiver, Running, running

DISPUTED, INQUIRED, WARNED = "4000000000000259", "4000000000001976", "4000000000005423"
REFUND_FAILS, REFUND_WAITS = "4000000000005126", "4000000000007726"


def paid(sandbox: Running, number: str = "4242424242424242") -> stripe.Charge:
    """A charge that was paid with this card."""
    session = sandbox.session()
    assert sandbox.pay(session, number=number).status_code == 303
    intent = sandbox.fresh(session).payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert isinstance(intent.latest_charge, stripe.Charge)
    return intent.latest_charge


def refund(sandbox: Running, charge: stripe.Charge, **params: Any) -> stripe.Refund:
    wanted: Any = {"charge": charge.id, **params}
    return sandbox.api.v1.refunds.create(params=wanted)


def dispute_of(sandbox: Running, charge: stripe.Charge) -> stripe.Dispute:
    until(lambda: sandbox.api.v1.disputes.list(params={"charge": charge.id}).data)
    (dispute,) = sandbox.api.v1.disputes.list(params={"charge": charge.id}).data
    return dispute


def test_refunds_add_up_and_each_is_announced(sandbox: Running) -> None:
    charge = paid(sandbox)
    first = refund(
        sandbox,
        charge,
        amount=120,
        reason="requested_by_customer",
        metadata={"purchase": "purchase-1"},
    )
    assert (first.status, first.amount, first.reason) == (
        "succeeded",
        120,
        "requested_by_customer",
    )
    assert first.payment_intent == charge.payment_intent
    part = sandbox.api.v1.charges.retrieve(charge.id, params={"expand": ["refunds"]})
    assert (part.amount_refunded, part.refunded) == (120, False)
    assert part.refunds is not None
    assert [one.id for one in part.refunds.data] == [first.id]
    assert isinstance(charge.payment_intent, str)
    rest = sandbox.api.v1.refunds.create(params={"payment_intent": charge.payment_intent})
    assert rest.amount == 380
    whole = sandbox.api.v1.charges.retrieve(charge.id)
    assert (whole.amount_refunded, whole.refunded) == (500, True)
    until(lambda: sandbox.receiver.types().count("charge.refunded") == 2)
    until(lambda: sandbox.receiver.types().count("refund.created") == 2)
    sent = [e for e in sandbox.receiver.events if e.type == "charge.refunded"]
    told = {e.data.object["amount_refunded"]: e.data.previous_attributes for e in sent}
    assert set(told) == {120, 500}
    assert told[500] is not None
    assert told[500]["amount_refunded"] == 120
    listed = sandbox.api.v1.refunds.list(params={"payment_intent": charge.payment_intent}).data
    assert [one.id for one in listed] == [rest.id, first.id]
    metadata = sandbox.api.v1.refunds.retrieve(first.id).metadata
    assert metadata is not None
    assert metadata.to_dict() == {"purchase": "purchase-1"}


def test_no_more_is_refunded_than_was_paid(sandbox: Running) -> None:
    charge = paid(sandbox)
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        refund(sandbox, charge, amount=501)
    assert (refusal.value.param, refusal.value.http_status) == ("amount", 400)
    assert "greater than charge amount ($5.00)" in str(refusal.value)

    def try_one(_: int) -> int:
        try:
            return int(refund(sandbox, charge, amount=200).amount)
        except stripe.InvalidRequestError:
            return 0

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(try_one, range(4))) == [0, 0, 200, 200]
    with pytest.raises(stripe.InvalidRequestError, match="unrefunded amount") as refusal:
        refund(sandbox, charge, amount=101)
    refund(sandbox, charge)
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        refund(sandbox, charge)
    assert refusal.value.code == "charge_already_refunded"
    assert sandbox.api.v1.charges.retrieve(charge.id).amount_refunded == 500


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({}, "parameter_missing", "charge"),
        ({"charge": "ch_none"}, "resource_missing", "charge"),
        ({"payment_intent": "pi_none"}, "resource_missing", "payment_intent"),
        ({"amount": 0}, "parameter_invalid_integer", "amount"),
        ({"amount": "1.5"}, "parameter_invalid_integer", "amount"),
        ({"reason": "spite"}, None, "reason"),
        ({"refund_all": "true"}, "parameter_unknown", "refund_all"),
    ],
)
def test_a_refund_is_read_strictly(
    shared_sandbox: Running, params: Any, code: str | None, param: str
) -> None:
    if params and not {"charge", "payment_intent"} & set(params):
        params = {**params, "charge": paid(shared_sandbox).id}
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shared_sandbox.api.v1.refunds.create(params=params)
    assert (refusal.value.code, refusal.value.param) == (code, param)


def test_the_same_idempotency_key_refunds_once(sandbox: Running) -> None:
    charge = paid(sandbox)
    params: Any = {"charge": charge.id, "amount": 100}

    def give(_: int) -> str:
        options: Any = {"idempotency_key": "refund-1"}
        return sandbox.api.v1.refunds.create(params=params, options=options).id

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(give, range(6)))) == 1
    assert sandbox.api.v1.charges.retrieve(charge.id).amount_refunded == 100


def test_a_refund_may_fail_later_and_the_charge_says_so(sandbox: Running) -> None:
    charge = paid(sandbox, REFUND_FAILS)
    made = refund(sandbox, charge)
    assert made.status == "succeeded"
    sandbox.receiver.wait_for("refund.created", "charge.refunded", "refund.failed")
    failed = sandbox.api.v1.refunds.retrieve(made.id)
    assert (failed.status, failed.failure_reason) == ("failed", "lost_or_stolen_card")
    again = sandbox.api.v1.charges.retrieve(charge.id)
    assert (again.amount_refunded, again.refunded) == (0, False)


def test_a_refund_may_be_pending_at_first(sandbox: Running) -> None:
    charge = paid(sandbox, REFUND_WAITS)
    made = refund(sandbox, charge, amount=50)
    assert made.status == "pending"
    sandbox.receiver.wait_for("refund.updated")
    assert sandbox.api.v1.refunds.retrieve(made.id).status == "succeeded"


def test_a_pending_refund_can_be_cancelled(tmp_path: Path, receiver: Receiver) -> None:
    with running(tmp_path / "s.sqlite3", receiver, settle_after_seconds=60) as sandbox:
        charge = paid(sandbox, REFUND_WAITS)
        made = refund(sandbox, charge)
        assert sandbox.api.v1.refunds.cancel(made.id).status == "canceled"
        assert sandbox.api.v1.charges.retrieve(charge.id).amount_refunded == 0
        with pytest.raises(stripe.InvalidRequestError):
            sandbox.api.v1.refunds.cancel(made.id)


def test_a_dispute_takes_the_money_and_won_brings_it_back(sandbox: Running) -> None:
    charge = paid(sandbox, DISPUTED)
    dispute = dispute_of(sandbox, charge)
    assert (dispute.status, dispute.amount, dispute.reason) == (
        "needs_response",
        500,
        "fraudulent",
    )
    assert dispute.payment_intent == charge.payment_intent
    assert [one.net for one in dispute.balance_transactions] == [-2000]
    assert sandbox.api.v1.charges.retrieve(charge.id).disputed is True
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        refund(sandbox, charge)
    assert refusal.value.code == "charge_disputed"
    sandbox.receiver.wait_for("charge.dispute.created", "charge.dispute.funds_withdrawn")
    won = sandbox.api.v1.disputes.update(
        dispute.id, params={"evidence": {"uncategorized_text": "winning_evidence"}, "submit": True}
    )
    assert won.status == "won"
    sandbox.receiver.wait_for(
        "charge.dispute.updated", "charge.dispute.closed", "charge.dispute.funds_reinstated"
    )
    with pytest.raises(stripe.InvalidRequestError, match="already closed"):
        sandbox.api.v1.disputes.close(dispute.id)


def test_giving_in_loses_a_dispute(sandbox: Running) -> None:
    dispute = dispute_of(sandbox, paid(sandbox, DISPUTED))
    assert sandbox.api.v1.disputes.close(dispute.id).status == "lost"
    sandbox.receiver.wait_for("charge.dispute.closed")
    assert "charge.dispute.funds_reinstated" not in sandbox.receiver.types()


def test_an_inquiry_takes_no_money_and_ends_with_a_refund(sandbox: Running) -> None:
    charge = paid(sandbox, INQUIRED)
    dispute = dispute_of(sandbox, charge)
    assert (dispute.status, dispute.is_charge_refundable) == ("warning_needs_response", True)
    assert dispute.balance_transactions == []
    refund(sandbox, charge)
    sandbox.receiver.wait_for("charge.dispute.created", "charge.dispute.closed")
    assert sandbox.api.v1.disputes.retrieve(dispute.id).status == "warning_closed"
    assert "charge.dispute.funds_withdrawn" not in sandbox.receiver.types()


def test_an_inquiry_may_become_a_dispute(sandbox: Running) -> None:
    dispute = dispute_of(sandbox, paid(sandbox, INQUIRED))
    escalated = sandbox.api.v1.disputes.update(
        dispute.id, params={"evidence": {"uncategorized_text": "escalate_inquiry"}}
    )
    assert escalated.status == "needs_response"
    sandbox.receiver.wait_for("charge.dispute.funds_withdrawn")


def test_only_what_was_not_refunded_is_disputed(tmp_path: Path, receiver: Receiver) -> None:
    with running(tmp_path / "s.sqlite3", receiver, settle_after_seconds=60) as sandbox:
        charge = paid(sandbox, DISPUTED)
        refund(sandbox, charge, amount=200)
        sandbox.clock.ahead = 61
        assert dispute_of(sandbox, charge).amount == 300


def test_an_early_fraud_warning_comes_and_a_refund_answers_it(sandbox: Running) -> None:
    charge = paid(sandbox, WARNED)
    sandbox.receiver.wait_for("radar.early_fraud_warning.created")
    warnings = sandbox.api.v1.radar.early_fraud_warnings
    (warning,) = warnings.list(params={"charge": charge.id}).data
    assert (warning.actionable, warning.payment_intent) == (True, charge.payment_intent)
    assert sandbox.api.v1.charges.retrieve(charge.id).disputed is False
    refund(sandbox, charge)
    assert warnings.retrieve(warning.id).actionable is False


def test_charges_are_listed_by_intent_and_say_how_they_were_paid(shared_sandbox: Running) -> None:
    charge = paid(shared_sandbox)
    assert isinstance(charge.payment_intent, str)
    listed = shared_sandbox.api.v1.charges.list(params={"payment_intent": charge.payment_intent})
    assert [one.id for one in listed.data] == [charge.id]
    details = listed.data[0].payment_method_details
    assert details is not None
    assert details.card is not None
    assert (details.type, details.card.brand, details.card.last4) == ("card", "visa", "4242")
    assert charge.receipt_url is not None
    page = shared_sandbox.browser.get(charge.receipt_url)
    assert page.status_code == 200
    assert "$5.00" in page.text
    assert "Weekly Boost" in page.text
