"""Cards that are saved, and charged while their owner is away."""

from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.running_sandbox import Running, pay_url
from tests.stripe_sandbox.subscriber import SUCCESS_URL, finish, new_customer, save_card

ALWAYS_ASKS, ASKS_ONCE, FAILS_LATER = "4000002760003184", "4000002500003155", "4000000000000341"


def charge(
    sandbox: Running, customer: stripe.Customer, method: stripe.PaymentMethod, **params: Any
) -> stripe.PaymentIntent:
    """Take $10 while the customer is away."""
    wanted: Any = {
        "amount": 1000,
        "currency": "usd",
        "customer": customer.id,
        "payment_method": method.id,
        "off_session": True,
        "confirm": True,
        **params,
    }
    return sandbox.api.v1.payment_intents.create(params=wanted)


def test_setup_mode_saves_a_card_and_charges_nothing(sandbox: Running) -> None:
    ada = new_customer(sandbox)
    session = sandbox.api.v1.checkout.sessions.create(
        params={
            "mode": "setup",
            "currency": "usd",
            "customer": ada.id,
            "success_url": SUCCESS_URL,
            "setup_intent_data": {"metadata": {"account": "a1"}},
        }
    )
    assert (session.payment_status, session.amount_total) == ("no_payment_required", None)
    assert "Save card" in sandbox.browser.get(pay_url(session)).text
    assert sandbox.pay(session, number="4000000000000002").status_code == 402
    finish(sandbox, session)
    assert isinstance(session.setup_intent, str)
    intent = sandbox.api.v1.setup_intents.retrieve(session.setup_intent)
    assert (intent.status, intent.customer, intent.usage) == ("succeeded", ada.id, "off_session")
    assert intent.metadata is not None
    assert intent.metadata["account"] == "a1"
    methods = sandbox.api.v1.payment_methods.list(params={"customer": ada.id, "type": "card"}).data
    assert [method.id for method in methods] == [intent.payment_method]
    sandbox.receiver.wait_for(
        "setup_intent.setup_failed",
        "setup_intent.succeeded",
        "payment_method.attached",
        "checkout.session.completed",
    )
    assert sandbox.api.v1.charges.list().data == []


def test_setup_mode_has_rules_of_its_own(shared_sandbox: Running) -> None:
    wanted: Any = {"mode": "setup", "success_url": SUCCESS_URL}

    def refused(**change: Any) -> str | None:
        params: Any = {**wanted, **change}
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            shared_sandbox.api.v1.checkout.sessions.create(params=params)
        param: str | None = refusal.value.param
        return param

    assert refused() == "currency"
    items = [{"price": "price_x", "quantity": 1}]
    assert refused(currency="usd", line_items=items) == "line_items"
    assert refused(currency="usd", payment_intent_data={"description": "x"}) == (
        "payment_intent_data"
    )


def test_a_saved_card_is_charged_while_its_owner_is_away(sandbox: Running) -> None:
    ada = new_customer(sandbox)
    method = save_card(sandbox, ada)
    intent = charge(sandbox, ada, method, metadata={"top_up": "t1"}, description="Top-up")
    assert (intent.status, intent.amount_received, intent.customer) == ("succeeded", 1000, ada.id)
    sandbox.receiver.wait_for("payment_intent.created", "payment_intent.succeeded")
    listed = sandbox.api.v1.payment_intents.list(params={"customer": ada.id}).data
    assert [one.id for one in listed] == [intent.id]
    sandbox.api.v1.payment_methods.detach(method.id)
    with pytest.raises(stripe.InvalidRequestError):
        charge(sandbox, ada, method)


def test_a_card_that_was_set_up_is_not_asked_about_again(shared_sandbox: Running) -> None:
    ada = new_customer(shared_sandbox)
    method = save_card(shared_sandbox, ada, ASKS_ONCE)
    assert charge(shared_sandbox, ada, method).status == "succeeded"
    fresh = shared_sandbox.api.v1.payment_methods.attach(
        "pm_card_authenticationRequiredOnSetup", params={"customer": ada.id}
    )
    with pytest.raises(stripe.CardError) as refusal:
        charge(shared_sandbox, ada, fresh)
    assert refusal.value.code == "authentication_required"


@pytest.mark.parametrize(
    ("token", "code", "decline_code"),
    [
        ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
        ("pm_card_authenticationRequired", "authentication_required", "authentication_required"),
    ],
)
def test_a_decline_is_a_402_that_carries_the_intent(
    sandbox: Running, token: str, code: str, decline_code: str
) -> None:
    ada = new_customer(sandbox)
    method = sandbox.api.v1.payment_methods.attach(token, params={"customer": ada.id})
    with pytest.raises(stripe.CardError) as refusal:
        charge(sandbox, ada, method, metadata={"top_up": "t2"})
    assert (refusal.value.http_status, refusal.value.code) == (402, code)
    error = refusal.value.error
    assert error is not None
    assert (error.decline_code, error.type) == (decline_code, "card_error")
    assert error.payment_method is not None
    assert error.payment_method.id == method.id
    intent = error.payment_intent
    assert intent is not None
    assert intent.status == "requires_payment_method"
    kept = sandbox.api.v1.payment_intents.retrieve(intent.id, params={"expand": ["latest_charge"]})
    assert kept.metadata is not None
    assert kept.metadata["top_up"] == "t2"
    assert kept.last_payment_error is not None
    assert kept.last_payment_error.code == code
    assert isinstance(kept.latest_charge, stripe.Charge)
    assert (kept.latest_charge.status, kept.latest_charge.failure_code) == ("failed", code)
    sandbox.receiver.wait_for("charge.failed", "payment_intent.payment_failed")


def waiting_intent(sandbox: Running) -> tuple[stripe.PaymentMethod, str]:
    """A payment that the bank wants to ask its payer about."""
    ada = new_customer(sandbox)
    method = save_card(sandbox, ada, ALWAYS_ASKS)
    with pytest.raises(stripe.CardError) as refusal:
        charge(sandbox, ada, method)
    error = refusal.value.error
    assert error is not None
    assert error.payment_intent is not None
    return method, error.payment_intent.id


def test_what_the_bank_asks_about_is_finished_on_a_page(sandbox: Running) -> None:
    method, intent_id = waiting_intent(sandbox)
    asked = sandbox.api.v1.payment_intents.confirm(
        intent_id,
        params={"payment_method": method.id, "return_url": "http://127.0.0.1:9/billing?back=1"},
    )
    assert asked.status == "requires_action"
    assert asked.next_action is not None
    assert asked.next_action.redirect_to_url is not None
    url = asked.next_action.redirect_to_url.url
    assert url is not None
    assert "$10.00" in sandbox.browser.get(url).text
    back = sandbox.browser.post(url, data={"result": "complete"})
    assert back.status_code == 303
    assert back.headers["location"].startswith(
        f"http://127.0.0.1:9/billing?back=1&payment_intent={intent_id}"
    )
    assert "redirect_status=succeeded" in back.headers["location"]
    assert sandbox.api.v1.payment_intents.retrieve(intent_id).status == "succeeded"
    sandbox.receiver.wait_for("payment_intent.requires_action", "payment_intent.succeeded")
    again = sandbox.browser.post(url, data={"result": "complete"})
    assert "redirect_status=succeeded" in again.headers["location"]
    assert len(sandbox.api.v1.charges.list(params={"payment_intent": intent_id}).data) == 2


def test_a_bank_that_is_told_no_takes_nothing(sandbox: Running) -> None:
    method, intent_id = waiting_intent(sandbox)
    asked = sandbox.api.v1.payment_intents.confirm(
        intent_id, params={"payment_method": method.id, "return_url": "http://127.0.0.1:9/billing"}
    )
    assert asked.next_action is not None
    assert asked.next_action.redirect_to_url is not None
    assert asked.next_action.redirect_to_url.url is not None
    back = sandbox.browser.post(asked.next_action.redirect_to_url.url, data={"result": "fail"})
    assert "redirect_status=failed" in back.headers["location"]
    failed = sandbox.api.v1.payment_intents.retrieve(intent_id)
    assert failed.status == "requires_payment_method"
    canceled = sandbox.api.v1.payment_intents.cancel(
        intent_id, params={"cancellation_reason": "abandoned"}
    )
    assert canceled.status == "canceled"
    sandbox.receiver.wait_for("payment_intent.canceled")
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        sandbox.api.v1.payment_intents.confirm(intent_id, params={"payment_method": method.id})
    assert refusal.value.code == "payment_intent_unexpected_state"


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"amount": 49}, "amount_too_small", "amount"),
        ({"amount": 0}, "parameter_invalid_integer", "amount"),
        ({"currency": None}, "parameter_missing", "currency"),
        ({"customer": "cus_none"}, "resource_missing", "customer"),
        ({"customer": None}, "parameter_missing", "payment_method"),
        ({"payment_method": "pm_none"}, "resource_missing", "payment_method"),
        ({"confirm": False}, None, "off_session"),
        ({"receipt_email": "x"}, "email_invalid", "receipt_email"),
        ({"tip": 5}, "parameter_unknown", "tip"),
    ],
)
def test_an_intent_is_read_strictly(
    shared_sandbox: Running, change: Any, code: str | None, param: str
) -> None:
    ada = new_customer(shared_sandbox)
    method = save_card(shared_sandbox, ada)
    params: Any = {
        "amount": 1000,
        "currency": "usd",
        "customer": ada.id,
        "payment_method": method.id,
        "off_session": True,
        "confirm": True,
    }
    params = {key: value for key, value in {**params, **change}.items() if value is not None}
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shared_sandbox.api.v1.payment_intents.create(params=params)
    assert (refusal.value.code, refusal.value.param) == (code, param)
