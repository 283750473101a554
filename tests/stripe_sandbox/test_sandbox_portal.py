"""The billing portal: what a customer changes by themselves."""

from typing import Any

import httpx
import pytest
import stripe

from tests.stripe_sandbox.running_sandbox import CARD, Running
from tests.stripe_sandbox.subscriber import (
    fresh,
    invoices_of,
    item_of,
    new_customer,
    new_price,
    subscribe,
    use_card,
)

RETURN_URL = "http://127.0.0.1:9/account/billing"


def open_portal(sandbox: Running, customer: str, **params: Any) -> stripe.billing_portal.Session:
    wanted: Any = {"customer": customer, "return_url": RETURN_URL, **params}
    return sandbox.api.v1.billing_portal.sessions.create(params=wanted)


def do(sandbox: Running, portal: stripe.billing_portal.Session, **form: str) -> httpx.Response:
    return sandbox.browser.post(portal.url, data=form)


def subscribed(sandbox: Running, price: stripe.Price) -> tuple[str, stripe.Subscription]:
    ada = new_customer(sandbox)
    return ada.id, subscribe(sandbox, price, customer=ada.id)


def with_plans(sandbox: Running, *prices: stripe.Price, **feature: Any) -> str:
    """A configuration in which one may change to these prices."""
    update: Any = {
        "enabled": True,
        "default_allowed_updates": ["price"],
        "products": [{"product": price.product, "prices": [price.id]} for price in prices],
        "proration_behavior": "always_invoice",
        **feature,
    }
    made = sandbox.api.v1.billing_portal.configurations.create(
        params={
            "features": {
                "subscription_update": update,
                "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
                "payment_method_update": {"enabled": True},
                "invoice_history": {"enabled": True},
            }
        }
    )
    return made.id


def test_the_portal_shows_what_is_paid_for_and_leads_back(sandbox: Running) -> None:
    customer, subscription = subscribed(sandbox, new_price(sandbox, 2000))
    portal = open_portal(sandbox, customer)
    assert portal.id.startswith("bps_")
    assert portal.id not in portal.url
    page = sandbox.browser.get(portal.url)
    assert page.status_code == 200
    assert f"form-action 'self' {RETURN_URL[:18]}" in page.headers["content-security-policy"]
    for words in ("Plus", "$20.00 every month", "ending in 4242", "renews on", RETURN_URL):
        assert words in page.text
    (invoice,) = invoices_of(sandbox, subscription)
    assert str(invoice.number) in page.text
    assert "<script" not in page.text
    assert sandbox.browser.get(portal.url + "x").status_code == 404
    sandbox.clock.ahead = 24 * 3600 + 60
    assert sandbox.browser.get(portal.url).status_code == 404


def test_one_cancels_and_resumes(sandbox: Running) -> None:
    customer, subscription = subscribed(sandbox, new_price(sandbox, 2000))
    portal = open_portal(sandbox, customer)
    assert do(sandbox, portal, act="cancel", subscription=subscription.id).status_code == 303
    assert fresh(sandbox, subscription).cancel_at_period_end is True
    assert "ends on" in sandbox.browser.get(portal.url).text
    do(sandbox, portal, act="resume", subscription=subscription.id)
    assert fresh(sandbox, subscription).cancel_at_period_end is False
    sandbox.receiver.wait_for("customer.subscription.updated")


def test_one_changes_the_plan_where_that_is_offered(sandbox: Running) -> None:
    cheap, dear = new_price(sandbox, 1000), new_price(sandbox, 3000, name="Pro")
    customer, subscription = subscribed(sandbox, cheap)
    plain = open_portal(sandbox, customer)
    assert "Change to" not in sandbox.browser.get(plain.url).text
    do(sandbox, plain, act="change", subscription=subscription.id, price=dear.id)
    assert item_of(fresh(sandbox, subscription))["price"]["id"] == cheap.id
    portal = open_portal(sandbox, customer, configuration=with_plans(sandbox, cheap, dear))
    assert "Change to Pro: $30.00 every month" in sandbox.browser.get(portal.url).text
    do(sandbox, portal, act="change", subscription=subscription.id, price=dear.id)
    assert item_of(fresh(sandbox, subscription))["price"]["id"] == dear.id
    assert len(invoices_of(sandbox, subscription)) == 2


def test_a_change_that_cannot_be_paid_says_so_and_changes_nothing(sandbox: Running) -> None:
    cheap, dear = new_price(sandbox, 1000), new_price(sandbox, 3000, name="Pro")
    customer, subscription = subscribed(sandbox, cheap)
    use_card(sandbox, subscription, "pm_card_chargeCustomerFail")
    portal = open_portal(sandbox, customer, configuration=with_plans(sandbox, dear))
    answer = do(sandbox, portal, act="change", subscription=subscription.id, price=dear.id)
    assert answer.status_code == 402
    assert "Your card was declined." in answer.text
    assert item_of(fresh(sandbox, subscription))["price"]["id"] == cheap.id
    assert len(invoices_of(sandbox, subscription)) == 1


def test_one_gives_another_card(sandbox: Running) -> None:
    customer, subscription = subscribed(sandbox, new_price(sandbox, 2000))
    portal = open_portal(
        sandbox,
        customer,
        flow_data={
            "type": "payment_method_update",
            "after_completion": {
                "type": "redirect",
                "redirect": {"return_url": f"{RETURN_URL}?card=new"},
            },
        },
    )
    assert "Subscriptions" not in sandbox.browser.get(portal.url).text
    declined = do(sandbox, portal, act="card", **{**CARD, "number": "4000000000000002"})
    assert declined.status_code == 402
    saved = do(sandbox, portal, act="card", **{**CARD, "number": "5555 5555 5555 4444"})
    assert saved.headers["location"] == f"{RETURN_URL}?card=new"
    method = fresh(sandbox, subscription).default_payment_method
    kept = sandbox.api.v1.customers.retrieve(customer)
    assert kept.invoice_settings is not None
    assert kept.invoice_settings.default_payment_method == method
    assert isinstance(method, str)
    card = sandbox.api.v1.payment_methods.retrieve(method).card
    assert card is not None
    assert card.last4 == "4444"


def test_a_session_may_be_for_one_change_alone(sandbox: Running) -> None:
    cheap, dear = new_price(sandbox, 1000), new_price(sandbox, 3000, name="Pro")
    customer, subscription = subscribed(sandbox, cheap)
    configuration = with_plans(sandbox, dear)
    item = item_of(subscription)["id"]
    flow: Any = {
        "type": "subscription_update_confirm",
        "subscription_update_confirm": {
            "subscription": subscription.id,
            "items": [{"id": item, "price": dear.id, "quantity": 1}],
        },
        "after_completion": {"type": "redirect", "redirect": {"return_url": RETURN_URL}},
    }
    portal = open_portal(sandbox, customer, configuration=configuration, flow_data=flow)
    page = sandbox.browser.get(portal.url).text
    assert "Change to Pro" in page
    assert "Cancel Plus" not in page
    answer = do(sandbox, portal, act="change", subscription=subscription.id, price=dear.id)
    assert answer.headers["location"] == RETURN_URL
    assert item_of(fresh(sandbox, subscription))["price"]["id"] == dear.id
    flow = {
        "type": "subscription_cancel",
        "subscription_cancel": {"subscription": subscription.id},
        "after_completion": {"type": "redirect", "redirect": {"return_url": RETURN_URL}},
    }
    ending = open_portal(sandbox, customer, configuration=configuration, flow_data=flow)
    answer = do(sandbox, ending, act="cancel", subscription=subscription.id)
    assert answer.headers["location"] == RETURN_URL
    assert fresh(sandbox, subscription).cancel_at_period_end is True


def test_nobody_reaches_the_things_of_another_customer(sandbox: Running) -> None:
    _, subscription = subscribed(sandbox, new_price(sandbox, 2000))
    eve = new_customer(sandbox, email="eve@example.com")
    portal = open_portal(sandbox, eve.id)
    method = subscription.default_payment_method
    assert isinstance(method, str)
    do(sandbox, portal, act="cancel", subscription=subscription.id)
    do(sandbox, portal, act="default", method=method)
    do(sandbox, portal, act="remove", method=method)
    assert fresh(sandbox, subscription).cancel_at_period_end is False
    assert sandbox.api.v1.payment_methods.retrieve(method).customer == subscription.customer
    flow: Any = {
        "type": "subscription_cancel",
        "subscription_cancel": {"subscription": subscription.id},
    }
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        open_portal(sandbox, eve.id, flow_data=flow)
    assert refusal.value.param == "flow_data[subscription_cancel][subscription]"


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"customer": "cus_none"}, "customer"),
        ({"return_url": "nowhere"}, "return_url"),
        ({"configuration": "bpc_none"}, "configuration"),
        ({"flow_data": {"type": "dance"}}, "flow_data[type]"),
        ({"flow_data": {"type": "subscription_update"}}, "flow_data[type]"),
        (
            {"flow_data": {"type": "subscription_cancel"}},
            "flow_data[subscription_cancel][subscription]",
        ),
        ({"page": "1"}, "page"),
    ],
)
def test_a_portal_session_is_read_strictly(
    shared_sandbox: Running, params: Any, param: str
) -> None:
    ada = new_customer(shared_sandbox)
    wanted: Any = {"customer": ada.id, **params}
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shared_sandbox.api.v1.billing_portal.sessions.create(params=wanted)
    assert refusal.value.param == param


def test_configurations_are_kept_and_the_first_is_the_default(sandbox: Running) -> None:
    first = with_plans(sandbox)
    second = with_plans(sandbox)
    configurations = sandbox.api.v1.billing_portal.configurations
    assert [one.id for one in configurations.list().data] == [second, first]
    assert [one.id for one in configurations.list(params={"is_default": True}).data] == [first]
    changed = configurations.update(second, params={"active": False})
    assert changed.active is False
    assert [one.id for one in configurations.list(params={"active": True}).data] == [first]
    portal = open_portal(sandbox, new_customer(sandbox).id)
    assert portal.configuration == first
