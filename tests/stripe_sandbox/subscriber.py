"""A customer of the sandbox with a saved card or a subscription."""

from typing import Any

import stripe

from tests.stripe_sandbox.running_sandbox import Running

SUCCESS_URL = "http://127.0.0.1:9/thanks?session={CHECKOUT_SESSION_ID}"
PAYS = "4242424242424242"
FAILS_LATER = "pm_card_chargeCustomerFail"


def new_customer(sandbox: Running, **params: Any) -> stripe.Customer:
    wanted: Any = {"email": "ada@example.com", "name": "Ada", **params}
    return sandbox.api.v1.customers.create(params=wanted)


def save_card(
    sandbox: Running, customer: stripe.Customer, number: str = PAYS
) -> stripe.PaymentMethod:
    """Save a card on the hosted page, passing the bank's question if it asks."""
    session = sandbox.api.v1.checkout.sessions.create(
        params={
            "mode": "setup",
            "currency": "usd",
            "customer": customer.id,
            "success_url": SUCCESS_URL,
        }
    )
    finish(sandbox, session, number)
    done = sandbox.api.v1.checkout.sessions.retrieve(
        session.id, params={"expand": ["setup_intent.payment_method"]}
    )
    assert isinstance(done.setup_intent, stripe.SetupIntent)
    assert isinstance(done.setup_intent.payment_method, stripe.PaymentMethod)
    return done.setup_intent.payment_method


def finish(sandbox: Running, session: stripe.checkout.Session, number: str = PAYS) -> None:
    """Pay or save on the hosted page."""
    answer = sandbox.pay(session, number=number)
    assert answer.status_code == 303
    if "/authenticate/" in answer.headers["location"]:
        bank = sandbox.origin + answer.headers["location"]
        answer = sandbox.browser.post(bank, data={"result": "complete"})
        assert answer.status_code == 303


def new_price(
    sandbox: Running, amount: int, interval: str | None = "month", name: str = "Plus"
) -> stripe.Price:
    params: Any = {"currency": "usd", "unit_amount": amount, "product_data": {"name": name}}
    if interval:
        params["recurring"] = {"interval": interval}
    return sandbox.api.v1.prices.create(params=params)


def subscription_session(
    sandbox: Running, price: stripe.Price, **params: Any
) -> stripe.checkout.Session:
    wanted: Any = {
        "mode": "subscription",
        "line_items": [{"price": price.id, "quantity": 1}],
        "success_url": SUCCESS_URL,
        **params,
    }
    return sandbox.api.v1.checkout.sessions.create(params=wanted)


def subscribe(
    sandbox: Running, price: stripe.Price, number: str = PAYS, **params: Any
) -> stripe.Subscription:
    """Subscribe on the hosted page."""
    session = subscription_session(sandbox, price, **params)
    finish(sandbox, session, number)
    done = sandbox.api.v1.checkout.sessions.retrieve(
        session.id, params={"expand": ["subscription"]}
    )
    assert isinstance(done.subscription, stripe.Subscription)
    return done.subscription


def put_ahead(sandbox: Running, **by: int) -> None:
    """Put the clock of subscriptions ahead, as a developer does."""
    answer = sandbox.raw("POST", "/developer/clock", json=by)
    assert answer.status_code == 200, answer.text


def item_of(subscription: stripe.Subscription) -> Any:
    return subscription["items"]["data"][0]


def invoices_of(sandbox: Running, subscription: stripe.Subscription) -> list[stripe.Invoice]:
    """Newest first."""
    return sandbox.api.v1.invoices.list(params={"subscription": subscription.id}).data


def use_card(sandbox: Running, subscription: stripe.Subscription, token: str) -> None:
    """Have a subscription paid with another card from now on."""
    customer = subscription.customer
    assert isinstance(customer, str)
    method = sandbox.api.v1.payment_methods.attach(token, params={"customer": customer})
    sandbox.api.v1.subscriptions.update(
        subscription.id, params={"default_payment_method": method.id}
    )


def fresh(sandbox: Running, subscription: stripe.Subscription) -> stripe.Subscription:
    return sandbox.api.v1.subscriptions.retrieve(
        subscription.id, params={"expand": ["latest_invoice.payments"]}
    )


def switch(sandbox: Running, **switches: Any) -> None:
    """Have things go wrong, as a developer does."""
    answer = sandbox.raw("POST", "/developer/switches", json=switches)
    assert answer.status_code == 200, answer.text
