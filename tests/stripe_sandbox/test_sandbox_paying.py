"""What becomes of a session on the hosted page, card by card."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe

from stripe_sandbox.objects import API_VERSION
from tests.patience import until
from tests.stripe_sandbox.running_sandbox import (
    CARD,
    MOUNT,
    Receiver,
    Running,
    pay_url,
    running,
)


def test_a_good_card_completes_the_session_and_lands_on_the_success_url(
    shared_sandbox: Running,
) -> None:
    session = shared_sandbox.session()
    answer = shared_sandbox.pay(session)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"http://127.0.0.1:9/thanks?session={session.id}"
    paid = shared_sandbox.fresh(session)
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    assert paid.customer_details is not None
    assert (paid.customer_details.email, paid.customer_details.name) == (
        "ada@example.com",
        "Ada Buyer",
    )
    intent = paid.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert (intent.status, intent.amount_received) == ("succeeded", 500)
    assert intent.metadata is not None
    assert intent.metadata["purchase"] == "purchase-1"
    charge = intent.latest_charge
    assert isinstance(charge, stripe.Charge)
    assert (charge.status, charge.paid, charge.payment_intent) == ("succeeded", True, intent.id)
    assert charge.payment_method_details is not None
    assert charge.payment_method_details.card is not None
    assert charge.payment_method_details.card.last4 == "4242"
    by_id = shared_sandbox.api.v1.payment_intents.retrieve(intent.id)
    assert by_id.latest_charge == charge.id


def test_the_percent_encoded_placeholder_is_filled_in_as_well(shared_sandbox: Running) -> None:
    session = shared_sandbox.session(
        success_url="http://127.0.0.1:9/ok?s=%7bCHECKOUT_SESSION_ID%7d"
    )
    assert (
        shared_sandbox.pay(session).headers["location"] == f"http://127.0.0.1:9/ok?s={session.id}"
    )


def test_a_paid_session_announces_charge_intent_and_session(sandbox: Running) -> None:
    session = sandbox.session()
    sandbox.pay(session)
    sandbox.receiver.wait_for(
        "charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"
    )
    (event,) = [e for e in sandbox.receiver.events if e.type == "checkout.session.completed"]
    assert event.id.startswith("evt_")
    assert (event.object, event.livemode, event.pending_webhooks) == ("event", False, 1)
    assert event.api_version == API_VERSION
    assert event.data.object["id"] == session.id
    assert event.data.object["payment_status"] == "paid"
    assert event.data.object["client_reference_id"] == "purchase-1"
    listed = sandbox.api.v1.events.list(params={"type": "checkout.session.completed"})
    assert [e.id for e in listed.data] == [event.id]
    until(lambda: sandbox.api.v1.events.retrieve(event.id).pending_webhooks == 0)
    delivered: Any = {"delivery_success": True}
    until(lambda: len(sandbox.api.v1.events.list(params=delivered).data) == 3)


def test_a_test_card_pays_in_one_click(shared_sandbox: Running) -> None:
    session = shared_sandbox.session()
    blank = dict.fromkeys(CARD, "")
    answer = shared_sandbox.browser.post(
        pay_url(session), data={**blank, "test_card": "4242424242424242"}
    )
    assert answer.status_code == 303
    assert shared_sandbox.fresh(session).payment_status == "paid"


@pytest.mark.parametrize(
    ("number", "decline_code", "words"),
    [
        ("4000000000000002", "generic_decline", "Your card was declined."),
        ("4000000000009995", "insufficient_funds", "Your card has insufficient funds."),
        ("4000000000000069", "expired_card", "Your card has expired."),
        ("4111111111111111", "test_mode_live_card", "use one of the test cards"),
    ],
)
def test_a_declined_card_leaves_the_session_open(
    sandbox: Running, number: str, decline_code: str, words: str
) -> None:
    session = sandbox.session()
    answer = sandbox.pay(session, number=number)
    assert answer.status_code == 402
    assert words in answer.text
    tried = sandbox.fresh(session)
    assert (tried.status, tried.payment_status) == ("open", "unpaid")
    intent = tried.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert intent.status == "requires_payment_method"
    assert intent.last_payment_error is not None
    assert intent.last_payment_error.decline_code == decline_code
    sandbox.receiver.wait_for("payment_intent.payment_failed")
    assert "checkout.session.completed" not in sandbox.receiver.types()
    assert sandbox.pay(session).status_code == 303
    assert sandbox.fresh(session).payment_status == "paid"


@pytest.mark.parametrize(
    ("name", "typed", "words"),
    [
        ("number", "4242 4242 4242 4241", "check it for a typing mistake"),
        ("number", "4242", "incomplete"),
        ("number", "", "Enter the card number"),
        ("number", "4242 4242 4242 424x", "digits only"),
        ("expiry", "01 / 20", "This card has expired"),
        ("expiry", "13 / 34", "MM / YY"),
        ("cvc", "12", "3 digits"),
        ("email", "ada", "Enter an email address"),
        ("name", "", "Enter the name"),
    ],
)
def test_a_mistake_is_shown_beside_its_field_and_the_rest_is_kept(
    shared_sandbox: Running, name: str, typed: str, words: str
) -> None:
    session = shared_sandbox.session()
    answer = shared_sandbox.pay(session, **{name: typed})
    assert answer.status_code == 422
    problems = dict(re.findall(r'<p class="problem" id="(\w+)-problem">([^<]+)</p>', answer.text))
    assert list(problems) == [name]
    assert words in problems[name]
    values = dict(re.findall(r'<input id="(\w+)"[^>]* value="([^"]*)"', answer.text))
    assert values == {**CARD, name: typed, "cvc": ""}
    assert re.search(rf'<input id="{name}"[^>]*aria-invalid="true"', answer.text)
    assert shared_sandbox.fresh(session).payment_intent is None


def test_three_d_secure_asks_before_it_pays(shared_sandbox: Running) -> None:
    session = shared_sandbox.session()
    asked = shared_sandbox.pay(session, number="4000002500003155")
    assert asked.status_code == 303
    bank = shared_sandbox.origin + asked.headers["location"]
    assert "Complete authentication" in shared_sandbox.browser.get(bank).text
    waiting = shared_sandbox.fresh(session)
    assert waiting.status == "open"
    assert isinstance(waiting.payment_intent, stripe.PaymentIntent)
    assert waiting.payment_intent.status == "requires_action"
    done = shared_sandbox.browser.post(bank, data={"result": "complete"})
    assert done.headers["location"].endswith(session.id)
    assert shared_sandbox.fresh(session).payment_status == "paid"


def test_a_failed_authentication_leaves_the_session_open(sandbox: Running) -> None:
    session = sandbox.session()
    bank = sandbox.origin + sandbox.pay(session, number="4000002500003155").headers["location"]
    failed = sandbox.browser.post(bank, data={"result": "fail"})
    assert failed.status_code == 402
    assert "unable to authenticate" in failed.text
    assert 'value="ada@example.com"' in failed.text
    assert sandbox.fresh(session).status == "open"
    sandbox.receiver.wait_for("payment_intent.payment_failed")
    again = sandbox.browser.post(bank, data={"result": "complete"})
    assert "no longer valid" in again.text
    assert sandbox.fresh(session).payment_status == "unpaid"


def test_only_the_latest_try_can_be_authenticated(shared_sandbox: Running) -> None:
    session = shared_sandbox.session()
    first, second = (
        shared_sandbox.origin
        + shared_sandbox.pay(session, number="4000002500003155").headers["location"]
        for _ in range(2)
    )
    assert shared_sandbox.browser.get(first).status_code == 303
    assert shared_sandbox.browser.get(second).status_code == 200
    stale = shared_sandbox.browser.post(first, data={"result": "complete"})
    assert "no longer valid" in stale.text
    assert shared_sandbox.fresh(session).payment_status == "unpaid"


def test_a_debit_completes_unpaid_and_is_paid_later(tmp_path: Path, receiver: Receiver) -> None:
    with running(tmp_path / "s.sqlite3", receiver, settle_after_seconds=0.6) as sandbox:
        session = sandbox.session()
        assert sandbox.pay(session, number="9000000000000001").status_code == 303
        unpaid = sandbox.fresh(session)
        assert (unpaid.status, unpaid.payment_status) == ("complete", "unpaid")
        assert isinstance(unpaid.payment_intent, stripe.PaymentIntent)
        assert unpaid.payment_intent.status == "processing"
        receiver.wait_for("checkout.session.completed")
        assert receiver.events[0].data.object["payment_status"] == "unpaid"
        assert "checkout.session.async_payment_succeeded" not in receiver.types()
        receiver.wait_for("checkout.session.async_payment_succeeded", "charge.succeeded")
        assert sandbox.fresh(session).payment_status == "paid"


def test_a_debit_may_fail_later(sandbox: Running) -> None:
    session = sandbox.session()
    assert sandbox.pay(session, number="9000000000000019").status_code == 303
    sandbox.receiver.wait_for(
        "checkout.session.async_payment_failed", "payment_intent.payment_failed"
    )
    failed = sandbox.fresh(session)
    assert (failed.status, failed.payment_status) == ("complete", "unpaid")
    assert "charge.succeeded" not in sandbox.receiver.types()


def test_a_debit_is_declined_where_only_cards_are_taken(shared_sandbox: Running) -> None:
    session = shared_sandbox.session(payment_method_types=["card"])
    assert "9000" not in shared_sandbox.browser.get(pay_url(session)).text
    assert shared_sandbox.pay(session, number="9000000000000001").status_code == 402


def test_many_tabs_at_two_processes_complete_a_session_once(
    tmp_path: Path, receiver: Receiver
) -> None:
    path = tmp_path / "shared.sqlite3"
    with running(path, receiver) as one, running(path, receiver) as two:
        session = one.session()
        urls = [f"{r.origin}{MOUNT}/pay/{session.id}" for r in (one, two)] * 6

        def pay(url: str) -> int:
            return httpx.post(url, data=CARD).status_code

        with ThreadPoolExecutor(12) as pool:
            assert set(pool.map(pay, urls)) == {303}
        receiver.wait_for(
            "charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"
        )
        time.sleep(0.1)
        assert sorted(receiver.types()) == [
            "charge.succeeded",
            "checkout.session.completed",
            "payment_intent.succeeded",
        ]
        assert len(one.api.v1.events.list().data) == 3
