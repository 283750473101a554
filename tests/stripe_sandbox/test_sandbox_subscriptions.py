"""Subscriptions: begun at checkout, renewed by a clock that is put ahead, changed and ended."""

from typing import Any

import pytest
import stripe

from tests.patience import until
from tests.stripe_sandbox.running_sandbox import Running, pay_url
from tests.stripe_sandbox.subscriber import (
    FAILS_LATER,
    fresh,
    invoices_of,
    item_of,
    new_customer,
    new_price,
    put_ahead,
    subscribe,
    subscription_session,
    switch,
    use_card,
)

DAY = 24 * 3600


def test_a_session_in_subscription_mode_brings_a_paid_subscription(sandbox: Running) -> None:
    ada = new_customer(sandbox)
    price = new_price(sandbox, 2000)
    session = subscription_session(
        sandbox,
        price,
        customer=ada.id,
        subscription_data={"metadata": {"account": "a1"}, "description": "Plus"},
    )
    assert (session.amount_total, session.payment_status) == (2000, "unpaid")
    page = sandbox.browser.get(pay_url(session)).text
    assert "Subscribe for $20.00" in page
    assert "every month" in page
    assert sandbox.pay(session, number="4000000000000002").status_code == 402
    assert sandbox.api.v1.subscriptions.list(params={"customer": ada.id}).data == []
    assert sandbox.pay(session).status_code == 303
    done = sandbox.api.v1.checkout.sessions.retrieve(
        session.id, params={"expand": ["subscription.latest_invoice", "invoice.payments"]}
    )
    assert (done.payment_status, done.payment_intent) == ("paid", None)
    subscription = done.subscription
    assert isinstance(subscription, stripe.Subscription)
    assert (subscription.status, subscription.customer) == ("active", ada.id)
    assert subscription.metadata.to_dict() == {"account": "a1"}
    item = item_of(subscription)
    assert item["price"]["id"] == price.id
    assert 28 * DAY <= item["current_period_end"] - item["current_period_start"] <= 31 * DAY
    invoice = done.invoice
    assert isinstance(invoice, stripe.Invoice)
    assert isinstance(subscription.latest_invoice, stripe.Invoice)
    assert subscription.latest_invoice.id == invoice.id
    assert (invoice.status, invoice.total, invoice.billing_reason) == (
        "paid",
        2000,
        "subscription_create",
    )
    assert invoice.parent is not None
    assert invoice.parent.subscription_details is not None
    assert invoice.parent.subscription_details.subscription == subscription.id
    assert invoice.payments is not None
    intent = invoice.payments.data[0].payment.payment_intent
    assert isinstance(intent, str)
    assert sandbox.api.v1.payment_intents.retrieve(intent).status == "succeeded"
    found = sandbox.api.v1.invoice_payments.list(
        params={"payment": {"type": "payment_intent", "payment_intent": intent}}
    ).data
    assert [one.invoice for one in found] == [invoice.id]
    sandbox.receiver.wait_for(
        "customer.subscription.created",
        "invoice.created",
        "invoice.finalized",
        "invoice.paid",
        "payment_intent.succeeded",
        "checkout.session.completed",
    )
    by_subscription: Any = {"subscription": subscription.id}
    listed = sandbox.api.v1.checkout.sessions.list(params=by_subscription).data
    assert [one.id for one in listed] == [session.id]


def test_the_modes_of_a_session_want_prices_that_fit(shared_sandbox: Running) -> None:
    monthly, yearly = new_price(shared_sandbox, 500), new_price(shared_sandbox, 900, "year")
    once = new_price(shared_sandbox, 500, None)

    def refused(mode: str, *prices: stripe.Price) -> str:
        items = [{"price": price.id, "quantity": 1} for price in prices]
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            shared_sandbox.session(mode=mode, line_items=items, payment_intent_data={})
        return str(refusal.value)

    assert "passed a recurring price" in refused("payment", monthly)
    assert "at least one recurring price" in refused("subscription", once)
    assert "different billing intervals" in refused("subscription", monthly, yearly)


def test_an_invoice_comes_to_what_its_session_did_with_taxes_on_everything_once(
    sandbox: Running,
) -> None:
    prices = new_price(sandbox, 2000), new_price(sandbox, 500, None)
    items = [{"price": price.id, "quantity": 1} for price in prices]
    taxed: Any = {"line_items": items, "automatic_tax": {"enabled": True}}
    subscription = subscribe(sandbox, prices[0], **taxed)
    (first,) = invoices_of(sandbox, subscription)
    (session,) = sandbox.api.v1.checkout.sessions.list().data
    assert (first.subtotal, first.total, session.amount_total) == (2500, 2750, 2750)
    put_ahead(sandbox, months=1)
    assert invoices_of(sandbox, subscription)[0].total == 2200


def test_next_month_renews_and_says_so(sandbox: Running) -> None:
    subscription = subscribe(sandbox, new_price(sandbox, 2000))
    before = item_of(subscription)
    put_ahead(sandbox, days=3)
    assert len(invoices_of(sandbox, subscription)) == 1
    put_ahead(sandbox, months=1)
    renewed = fresh(sandbox, subscription)
    assert renewed.status == "active"
    assert item_of(renewed)["current_period_start"] == before["current_period_end"]
    newest = invoices_of(sandbox, subscription)[0]
    assert (newest.status, newest.billing_reason, newest.total) == (
        "paid",
        "subscription_cycle",
        2000,
    )
    assert newest.created == before["current_period_end"]
    line = newest.lines.data[0]
    assert line.period.start == before["current_period_end"]
    assert line.pricing is not None
    assert line.pricing.price_details is not None
    assert line.pricing.price_details.price == before["price"]["id"]
    until(lambda: sandbox.receiver.types().count("invoice.paid") == 2)
    sandbox.receiver.wait_for("customer.subscription.updated")
    # A jump over months does what each of them would have brought.
    put_ahead(sandbox, months=3)
    assert len(invoices_of(sandbox, subscription)) == 5
    assert sandbox.raw("GET", "/developer/clock").json()["ahead_seconds"] > 110 * DAY


def test_an_unpaid_renewal_is_past_due_tried_again_and_canceled(sandbox: Running) -> None:
    subscription = subscribe(sandbox, new_price(sandbox, 2000))
    use_card(sandbox, subscription, FAILS_LATER)
    put_ahead(sandbox, months=1)
    assert fresh(sandbox, subscription).status == "past_due"
    (open_one, _) = invoices_of(sandbox, subscription)
    assert (open_one.status, open_one.attempt_count) == ("open", 1)
    assert open_one.next_payment_attempt == open_one.created + 3 * DAY
    sandbox.receiver.wait_for("invoice.payment_failed")
    put_ahead(sandbox, days=3)
    assert invoices_of(sandbox, subscription)[0].attempt_count == 2
    put_ahead(sandbox, days=13)
    ended = fresh(sandbox, subscription)
    assert ended.status == "canceled"
    assert ended.ended_at is not None
    assert ended.cancellation_details is not None
    assert ended.cancellation_details.reason == "payment_failed"
    (open_one, _) = invoices_of(sandbox, subscription)
    assert (open_one.attempt_count, open_one.next_payment_attempt) == (4, None)
    sandbox.receiver.wait_for("customer.subscription.deleted")
    until(lambda: sandbox.receiver.types().count("invoice.payment_failed") == 4)
    put_ahead(sandbox, months=2)
    assert len(invoices_of(sandbox, subscription)) == 2


def test_what_is_paid_on_a_later_try_is_in_order_again(sandbox: Running) -> None:
    subscription = subscribe(sandbox, new_price(sandbox, 2000))
    use_card(sandbox, subscription, FAILS_LATER)
    put_ahead(sandbox, months=1)
    assert fresh(sandbox, subscription).status == "past_due"
    use_card(sandbox, subscription, "pm_card_visa")
    put_ahead(sandbox, days=3)
    assert fresh(sandbox, subscription).status == "active"
    assert invoices_of(sandbox, subscription)[0].status == "paid"


def test_the_last_try_may_leave_it_unpaid_instead(sandbox: Running) -> None:
    switch(sandbox, when_retries_end="unpaid")
    subscription = subscribe(sandbox, new_price(sandbox, 2000))
    use_card(sandbox, subscription, FAILS_LATER)
    put_ahead(sandbox, months=1)
    put_ahead(sandbox, days=16)
    assert fresh(sandbox, subscription).status == "unpaid"


def test_an_open_invoice_is_paid_on_its_page_or_by_a_call(sandbox: Running) -> None:
    subscription = subscribe(sandbox, new_price(sandbox, 2000))
    use_card(sandbox, subscription, FAILS_LATER)
    put_ahead(sandbox, months=1)
    (invoice, first) = invoices_of(sandbox, subscription)
    with pytest.raises(stripe.CardError) as refusal:
        sandbox.api.v1.invoices.pay(invoice.id)
    assert refusal.value.code == "card_declined"
    assert invoice.hosted_invoice_url is not None
    assert "$20.00" in sandbox.browser.get(invoice.hosted_invoice_url).text
    paid = sandbox.browser.post(invoice.hosted_invoice_url, data={"test_card": "4242424242424242"})
    assert paid.status_code == 303
    assert sandbox.api.v1.invoices.retrieve(invoice.id).status == "paid"
    assert fresh(sandbox, subscription).status == "active"
    with pytest.raises(stripe.InvalidRequestError, match="already paid"):
        sandbox.api.v1.invoices.pay(invoice.id)
    assert first.invoice_pdf is not None
    file = sandbox.browser.get(first.invoice_pdf)
    assert file.headers["content-type"] == "application/pdf"
    assert file.content.startswith(b"%PDF-1.4")
    assert b"$20.00" in file.content


def test_a_card_that_always_asks_leaves_a_renewal_to_its_payer(sandbox: Running) -> None:
    subscription = subscribe(sandbox, new_price(sandbox, 2000), number="4000002760003184")
    put_ahead(sandbox, months=1)
    assert fresh(sandbox, subscription).status == "past_due"
    sandbox.receiver.wait_for("invoice.payment_action_required")


def test_it_may_end_with_its_period_or_go_on_after_all(sandbox: Running) -> None:
    subscription = subscribe(sandbox, new_price(sandbox, 2000))
    update = sandbox.api.v1.subscriptions.update
    ending = update(subscription.id, params={"cancel_at_period_end": True})
    assert (ending.status, ending.cancel_at_period_end) == ("active", True)
    assert ending.cancel_at == item_of(subscription)["current_period_end"]
    resumed = update(subscription.id, params={"cancel_at_period_end": False})
    assert (resumed.cancel_at, resumed.canceled_at) == (None, None)
    put_ahead(sandbox, months=1)
    assert fresh(sandbox, subscription).status == "active"
    update(subscription.id, params={"cancel_at_period_end": True})
    put_ahead(sandbox, months=1)
    ended = fresh(sandbox, subscription)
    assert (ended.status, len(invoices_of(sandbox, subscription))) == ("canceled", 2)
    sandbox.receiver.wait_for("customer.subscription.deleted")
    changes = [
        event.data.previous_attributes["cancel_at_period_end"]
        for event in sandbox.receiver.events
        if event.type == "customer.subscription.updated"
        and event.data.previous_attributes
        and "cancel_at_period_end" in event.data.previous_attributes
    ]
    assert sorted(changes) == [False, False, True]
    with pytest.raises(stripe.InvalidRequestError, match="canceled subscription"):
        update(subscription.id, params={"cancel_at_period_end": True})


def test_a_cancelled_one_ends_at_once(sandbox: Running) -> None:
    subscription = subscribe(sandbox, new_price(sandbox, 2000))
    ended = sandbox.api.v1.subscriptions.cancel(
        subscription.id, params={"cancellation_details": {"feedback": "too_expensive"}}
    )
    assert ended.status == "canceled"
    assert ended.cancellation_details is not None
    assert ended.cancellation_details.feedback == "too_expensive"
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        sandbox.api.v1.subscriptions.cancel(subscription.id)
    assert refusal.value.http_status == 404
    assert sandbox.api.v1.subscriptions.list().data == []
    every: Any = {"status": "all"}
    assert [one.id for one in sandbox.api.v1.subscriptions.list(params=every).data] == [
        subscription.id
    ]
    put_ahead(sandbox, months=2)
    assert len(invoices_of(sandbox, subscription)) == 1
