"""A subscription's prices change within its period: what that costs, and when."""

from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.running_sandbox import Running
from tests.stripe_sandbox.subscriber import (
    FAILS_LATER,
    fresh,
    invoices_of,
    item_of,
    new_customer,
    new_price,
    put_ahead,
    save_card,
    subscribe,
    use_card,
)

DAY = 24 * 3600


def change(
    sandbox: Running, subscription: stripe.Subscription, price: stripe.Price, **params: Any
) -> stripe.Subscription:
    wanted: Any = {"items": [{"id": item_of(subscription)["id"], "price": price.id}], **params}
    return sandbox.api.v1.subscriptions.update(subscription.id, params=wanted)


def half_a_period_later(sandbox: Running, subscription: stripe.Subscription) -> int:
    """The moment in the middle of a period, for `proration_date`."""
    item = item_of(subscription)
    return int(item["current_period_start"] + item["current_period_end"]) // 2


def test_a_dearer_plan_is_prorated_on_the_next_invoice_or_at_once(sandbox: Running) -> None:
    cheap, dear = new_price(sandbox, 1000), new_price(sandbox, 3000, name="Pro")
    waiting = subscribe(sandbox, cheap)
    changed = change(sandbox, waiting, dear, proration_date=half_a_period_later(sandbox, waiting))
    assert item_of(changed)["price"]["id"] == dear.id
    assert item_of(changed)["id"] == item_of(waiting)["id"]
    assert len(invoices_of(sandbox, waiting)) == 1
    put_ahead(sandbox, months=1)
    renewal = invoices_of(sandbox, waiting)[0]
    assert sorted(line.amount for line in renewal.lines.data) == [-500, 1500, 3000]
    assert renewal.total == 4000

    at_once = subscribe(sandbox, cheap)
    change(
        sandbox,
        at_once,
        dear,
        proration_behavior="always_invoice",
        proration_date=half_a_period_later(sandbox, at_once),
    )
    (newest, _) = invoices_of(sandbox, at_once)
    assert (newest.total, newest.status, newest.billing_reason) == (
        1000,
        "paid",
        "subscription_update",
    )

    silent = subscribe(sandbox, cheap)
    change(sandbox, silent, dear, proration_behavior="none")
    assert len(invoices_of(sandbox, silent)) == 1
    put_ahead(sandbox, months=1)
    assert invoices_of(sandbox, silent)[0].total == 3000


def test_a_cheaper_plan_leaves_a_credit_that_pays_what_comes(sandbox: Running) -> None:
    ada = new_customer(sandbox)
    dear, cheap = new_price(sandbox, 3000), new_price(sandbox, 1000)
    subscription = subscribe(sandbox, dear, customer=ada.id)
    change(
        sandbox,
        subscription,
        cheap,
        proration_behavior="always_invoice",
        proration_date=half_a_period_later(sandbox, subscription),
    )
    (newest, _) = invoices_of(sandbox, subscription)
    assert (newest.total, newest.amount_due, newest.status) == (-1000, 0, "paid")
    assert sandbox.api.v1.customers.retrieve(ada.id).balance == -1000
    put_ahead(sandbox, months=1)
    renewal = invoices_of(sandbox, subscription)[0]
    assert (renewal.total, renewal.amount_due, renewal.status) == (1000, 0, "paid")
    assert sandbox.api.v1.customers.retrieve(ada.id).balance == 0


def test_another_interval_begins_a_new_period_at_once(sandbox: Running) -> None:
    monthly, yearly = new_price(sandbox, 1000), new_price(sandbox, 10000, "year")
    subscription = subscribe(sandbox, monthly)
    changed = change(
        sandbox,
        subscription,
        yearly,
        proration_date=half_a_period_later(sandbox, subscription),
    )
    item = item_of(changed)
    assert item["current_period_end"] - item["current_period_start"] >= 365 * DAY
    (newest, _) = invoices_of(sandbox, subscription)
    assert sorted(line.amount for line in newest.lines.data) == [-500, 10000]
    assert newest.status == "paid"


def test_a_change_that_cannot_be_paid_changes_what_was_asked_for(sandbox: Running) -> None:
    cheap, dear = new_price(sandbox, 1000), new_price(sandbox, 3000)

    def tried(behavior: str) -> stripe.Subscription:
        subscription = subscribe(sandbox, cheap)
        use_card(sandbox, subscription, FAILS_LATER)
        wanted: Any = {"proration_behavior": "always_invoice", "payment_behavior": behavior}
        if behavior == "error_if_incomplete":
            with pytest.raises(stripe.CardError) as refusal:
                change(sandbox, subscription, dear, **wanted)
            assert refusal.value.http_status == 402
        else:
            change(sandbox, subscription, dear, **wanted)
        return fresh(sandbox, subscription)

    refused = tried("error_if_incomplete")
    assert (refused.status, item_of(refused)["price"]["id"]) == ("active", cheap.id)
    assert len(invoices_of(sandbox, refused)) == 1
    pending = tried("pending_if_incomplete")
    assert (pending.status, item_of(pending)["price"]["id"]) == ("active", cheap.id)
    assert pending.pending_update is not None
    use_card(sandbox, pending, "pm_card_visa")
    assert isinstance(pending.latest_invoice, stripe.Invoice)
    sandbox.api.v1.invoices.pay(pending.latest_invoice.id)
    applied = fresh(sandbox, pending)
    assert (item_of(applied)["price"]["id"], applied.pending_update) == (dear.id, None)
    allowed = tried("allow_incomplete")
    assert (allowed.status, item_of(allowed)["price"]["id"]) == ("past_due", dear.id)


def test_a_preview_says_what_a_change_costs_and_changes_nothing(sandbox: Running) -> None:
    cheap, dear = new_price(sandbox, 1000), new_price(sandbox, 3000)
    subscription = subscribe(sandbox, cheap)
    at = half_a_period_later(sandbox, subscription)

    def preview(**details: Any) -> stripe.Invoice:
        params: Any = {"subscription": subscription.id}
        if details:
            params["subscription_details"] = details
        return sandbox.api.v1.invoices.create_preview(params=params)

    assert (preview().total, preview().status) == (1000, "draft")
    items = [{"id": item_of(subscription)["id"], "price": dear.id}]
    later = preview(items=items, proration_date=at)
    assert later.total == 4000
    now = preview(items=items, proration_date=at, proration_behavior="always_invoice")
    assert now.total == 1000
    assert all("after" in str(line.description) for line in now.lines.data)
    assert preview(items=items, proration_behavior="none").total == 3000
    assert item_of(fresh(sandbox, subscription))["price"]["id"] == cheap.id
    assert len(invoices_of(sandbox, subscription)) == 1
    change(
        sandbox,
        subscription,
        dear,
        proration_behavior="always_invoice",
        proration_date=at,
    )
    assert invoices_of(sandbox, subscription)[0].total == now.total


@pytest.mark.parametrize(
    ("items", "param"),
    [
        ([{"id": "si_none", "price": "PRICE"}], "items[0][id]"),
        ([{"id": "ITEM", "price": "price_none"}], "items[0][price]"),
        ([{"id": "ITEM", "price": "ONCE"}], "items[0][price]"),
        ([{"id": "ITEM", "quantity": 0}], "items[0][quantity]"),
        ([{"id": "ITEM", "deleted": True}], "items"),
        ([{"price": "YEARLY"}], "items"),
        ([{"id": "ITEM", "colour": "red"}], "items[0][colour]"),
    ],
)
def test_a_change_is_read_strictly(shared_sandbox: Running, items: Any, param: str) -> None:
    subscription = subscribe(shared_sandbox, new_price(shared_sandbox, 1000))
    words = {
        "ITEM": item_of(subscription)["id"],
        "PRICE": new_price(shared_sandbox, 2000).id,
        "ONCE": new_price(shared_sandbox, 2000, None).id,
        "YEARLY": new_price(shared_sandbox, 9000, "year").id,
    }
    wanted: Any = [{key: words.get(value, value) for key, value in one.items()} for one in items]
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shared_sandbox.api.v1.subscriptions.update(subscription.id, params={"items": wanted})
    assert refusal.value.param == param
    assert len(fresh(shared_sandbox, subscription)["items"]["data"]) == 1


def test_an_item_without_an_id_is_one_more(shared_sandbox: Running) -> None:
    subscription = subscribe(shared_sandbox, new_price(shared_sandbox, 1000))
    more = new_price(shared_sandbox, 500, name="Seats")
    params: Any = {"items": [{"price": more.id, "quantity": 3}]}
    changed = shared_sandbox.api.v1.subscriptions.update(subscription.id, params=params)
    assert [(one["quantity"]) for one in changed["items"]["data"]] == [1, 3]


def test_a_customers_own_card_pays_where_a_subscription_has_none(sandbox: Running) -> None:
    ada = new_customer(sandbox)
    subscription = subscribe(sandbox, new_price(sandbox, 1000), customer=ada.id)
    method = subscription.default_payment_method
    assert isinstance(method, str)
    other = save_card(sandbox, ada, "5555555555554444")
    sandbox.api.v1.customers.update(
        ada.id, params={"invoice_settings": {"default_payment_method": other.id}}
    )
    sandbox.api.v1.subscriptions.update(subscription.id, params={"default_payment_method": ""})
    put_ahead(sandbox, months=1)
    charge = sandbox.api.v1.charges.list(params={"customer": ada.id}).data[0]
    assert charge.payment_method == other.id
