"""Customers, what is sold to them, and what a session says of both."""

from typing import Any

import pytest
import stripe

from tests.stripe_sandbox.running_sandbox import Running, pay_url


def refused(act: Any) -> stripe.InvalidRequestError:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        act()
    return refusal.value


def test_a_customer_is_made_changed_found_by_email_and_deleted(sandbox: Running) -> None:
    customers = sandbox.api.v1.customers
    ada = customers.create(
        params={"email": "ada@example.com", "name": "Ada", "metadata": {"account": "a1", "x": "1"}}
    )
    customers.create(params={"email": "eve@example.com"})
    assert ada.id.startswith("cus_")
    changed = customers.update(
        ada.id, params={"name": "Ada L.", "metadata": {"x": "", "team": "t"}}
    )
    assert changed.name == "Ada L."
    assert changed.metadata is not None
    assert changed.metadata.to_dict() == {"account": "a1", "team": "t"}
    found = customers.list(params={"email": "ada@example.com"}).data
    assert [one.id for one in found] == [ada.id]
    sandbox.receiver.wait_for("customer.created", "customer.updated")
    (event,) = [e for e in sandbox.receiver.events if e.type == "customer.updated"]
    assert event.data.previous_attributes is not None
    assert event.data.previous_attributes.to_dict() == {
        "name": "Ada",
        "metadata": {"team": None, "x": "1"},
    }
    assert customers.delete(ada.id).deleted is True
    assert customers.retrieve(ada.id).deleted is True
    assert customers.list(params={"email": "ada@example.com"}).data == []


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({"email": "nobody"}, "email_invalid", "email"),
        ({"mail": "ada@example.com"}, "parameter_unknown", "mail"),
        ({"address": {"street": "1"}}, "parameter_unknown", "address[street]"),
        ({"tax_exempt": "maybe"}, None, "tax_exempt"),
        ({"payment_method": "pm_none"}, "resource_missing", "payment_method"),
        (
            {"invoice_settings": {"default_payment_method": "pm_none"}},
            "resource_missing",
            "invoice_settings[default_payment_method]",
        ),
    ],
)
def test_a_customer_is_read_strictly(
    shared_sandbox: Running, params: Any, code: str | None, param: str
) -> None:
    error = refused(lambda: shared_sandbox.api.v1.customers.create(params=params))
    assert (error.code, error.param, error.http_status) == (code, param, 400)


def test_prices_are_found_by_a_lookup_key_that_can_be_transferred(sandbox: Running) -> None:
    prices, products = sandbox.api.v1.prices, sandbox.api.v1.products
    plan = products.create(params={"name": "Plus", "metadata": {"plan": "plus"}})

    def price(amount: int, **more: Any) -> stripe.Price:
        recurring = {"interval": "month"}
        params: Any = {"currency": "usd", "unit_amount": amount, "product": plan.id}
        params = {**params, "recurring": recurring, "lookup_key": "plus_month", **more}
        return prices.create(params=params)

    first = price(2000)
    assert first.recurring is not None
    assert (first.type, first.recurring.interval, first.recurring.interval_count) == (
        "recurring",
        "month",
        1,
    )
    error = refused(lambda: price(2500))
    assert (error.code, error.param) == ("resource_already_exists", "lookup_key")
    second = price(2500, transfer_lookup_key=True)
    found = prices.list(params={"lookup_keys": ["plus_month"], "expand": ["data.product"]}).data
    assert [one.id for one in found] == [second.id]
    assert isinstance(found[0].product, stripe.Product)
    assert found[0].product.name == "Plus"
    assert prices.retrieve(first.id).lookup_key is None
    prices.update(first.id, params={"active": False})
    listed = prices.list(params={"active": True, "product": plan.id, "type": "recurring"}).data
    assert [one.id for one in listed] == [second.id]
    assert products.update(plan.id, params={"active": False}).active is False
    assert refused(lambda: price(1)).param == "product"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"currency": "xxx"}, "currency"),
        ({"unit_amount": -1}, "unit_amount"),
        ({"recurring": {"interval": "fortnight"}}, "recurring[interval]"),
        ({"recurring": {"interval": "year", "interval_count": 4}}, "recurring[interval_count]"),
        ({"product_data": None}, "product"),
        ({"product": "prod_none", "product_data": None}, "product"),
    ],
)
def test_a_price_is_read_strictly(shared_sandbox: Running, change: Any, param: str) -> None:
    params: Any = {"currency": "usd", "unit_amount": 500, "product_data": {"name": "Boost"}}
    params = {key: value for key, value in {**params, **change}.items() if value is not None}
    assert refused(lambda: shared_sandbox.api.v1.prices.create(params=params)).param == param


def test_a_session_of_a_customer_shows_and_charges_them(shared_sandbox: Running) -> None:
    api = shared_sandbox.api.v1
    ada = api.customers.create(params={"email": "ada@example.com", "name": "Ada"})
    session = shared_sandbox.session(
        customer=ada.id,
        customer_update={"name": "auto", "address": "auto"},
        billing_address_collection="required",
        allow_promotion_codes=True,
        adaptive_pricing={"enabled": True},
        automatic_tax={"enabled": True},
        tax_id_collection={"enabled": True},
        payment_intent_data={
            "setup_future_usage": "off_session",
            "description": "Weekly Boost",
            "receipt_email": "books@example.com",
        },
        saved_payment_method_options={"payment_method_save": "enabled"},
    )
    assert session.customer == ada.id
    assert session.allow_promotion_codes is True
    assert session.adaptive_pricing is not None
    assert session.adaptive_pricing.enabled is True
    assert 'value="ada@example.com"' in shared_sandbox.browser.get(pay_url(session)).text
    shared_sandbox.pay(session)
    paid = shared_sandbox.fresh(session)
    intent = paid.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert (intent.customer, intent.description) == (ada.id, "Weekly Boost")
    charge = intent.latest_charge
    assert isinstance(charge, stripe.Charge)
    assert (charge.customer, charge.receipt_email) == (ada.id, "books@example.com")
    changed = api.customers.retrieve(ada.id)
    assert changed.name == "Ada Buyer"
    assert changed.address is not None
    assert changed.address.country == "US"
    methods = api.customers.payment_methods.list(ada.id).data
    assert [method.id for method in methods] == [intent.payment_method]
    assert methods[0].card is not None
    assert methods[0].card.last4 == "4242"
    for filters in ({"customer": ada.id}, {"payment_intent": intent.id}):
        found = api.checkout.sessions.list(params=filters).data  # type: ignore[arg-type]
        assert [one.id for one in found] == [session.id]


def test_a_session_may_make_its_customer_and_an_invoice(shared_sandbox: Running) -> None:
    session = shared_sandbox.session(
        customer_creation="always",
        invoice_creation={"enabled": True, "invoice_data": {"metadata": {"purchase": "p"}}},
    )
    shared_sandbox.pay(session)
    paid = shared_sandbox.api.v1.checkout.sessions.retrieve(
        session.id, params={"expand": ["customer", "invoice"]}
    )
    assert isinstance(paid.customer, stripe.Customer)
    assert (paid.customer.email, paid.customer.name) == ("ada@example.com", "Ada Buyer")
    assert isinstance(paid.invoice, stripe.Invoice)
    assert (paid.invoice.status, paid.invoice.total, paid.invoice.customer) == (
        "paid",
        500,
        paid.customer.id,
    )
    plain = shared_sandbox.session()
    shared_sandbox.pay(plain)
    assert shared_sandbox.fresh(plain).customer is None


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"customer": "cus_none"}, "customer"),
        ({"customer": "ada", "customer_email": "ada@example.com"}, "customer"),
        ({"customer": "ada", "customer_creation": "always"}, "customer"),
        ({"customer_update": {"name": "auto"}}, "customer_update"),
        ({"customer": "ada", "tax_id_collection": {"enabled": True}}, "customer_update"),
        ({"customer": "ada", "automatic_tax": {"enabled": True}}, "automatic_tax"),
        ({"payment_intent_data": {"receipt_email": "x"}}, "payment_intent_data[receipt_email]"),
        (
            {"payment_intent_data": {"setup_future_usage": "later"}},
            "payment_intent_data[setup_future_usage]",
        ),
        ({"adaptive_pricing": {"enable": True}}, "adaptive_pricing[enable]"),
        ({"subscription_data": {"description": "x"}}, "subscription_data"),
        ({"mode": "payments"}, "mode"),
    ],
)
def test_what_does_not_fit_together_in_a_session_is_refused(
    shared_sandbox: Running, change: Any, param: str
) -> None:
    if change.get("customer") == "ada":
        ada = shared_sandbox.api.v1.customers.create(params={"email": "ada@example.com"})
        change = {**change, "customer": ada.id}
    assert refused(lambda: shared_sandbox.session(**change)).param == param
