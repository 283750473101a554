"""On the way to the payment page nothing is begun that the customer was not shown."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.contrib.messages import get_messages
from django.test import Client

from billing import checkout
from billing.models import Product, Purchase, StripeEvent
from tests.billing import buyer as shop
from tests.billing.buyer import Buyer, event_of

pytestmark = pytest.mark.django_db(transaction=True)

FORM = re.compile(r'<input type="hidden"\s+name="(\w+)"\s+value="([^"]*)">')


def words(page: Any) -> str:
    return " ".join(page.content.decode().split())


def change(slug: str = "weekly-boost", **fields: Any) -> str:
    """What an admin does meanwhile; answers the terms that were shown before."""
    shown = Product.objects.get(slug=slug).terms
    Product.objects.filter(slug=slug).update(**fields)
    return shown


# --- a product that changed since it was shown --------------------------------------------------


def test_a_price_that_changed_is_confirmed_before_anything_is_begun(buyer: Buyer) -> None:
    shown = change(price_cents=700)
    submission = uuid4()
    page = buyer.submit(terms=shown, submission=submission)
    assert page.status_code == 200
    text = words(page)
    assert "The price has changed" in text
    assert '<td class="end">$5</td> <td class="end">$7</td>' in text
    assert not Purchase.objects.exists()
    form = dict(FORM.findall(page.content.decode()))
    assert form["submission"] == str(submission)
    assert buyer.client.post("/account/billing/checkout", form).status_code == 303
    assert Purchase.objects.get().amount_cents == 700


@pytest.mark.parametrize(
    ("slug", "fields"),
    [
        ("weekly-boost", {"chats": 300}),
        ("weekly-boost", {"valid_days": 3}),
        ("credits-5", {"credits": 400}),
    ],
)
def test_what_a_product_gives_is_confirmed_too(
    buyer: Buyer, slug: str, fields: dict[str, int]
) -> None:
    shown = change(slug, **fields)
    page = words(buyer.submit(slug, terms=shown))
    assert "What this product gives has changed" in page
    (given,) = fields.values()
    assert f'<td class="end">{given}</td>' in page
    assert not Purchase.objects.exists()


def test_an_order_that_was_begun_at_the_old_price_goes_on_at_it(buyer: Buyer) -> None:
    order = buyer.order()
    shown = change(price_cents=700)
    answer = buyer.submit(terms=shown, submission=order.submission)
    assert answer["Location"] == order.checkout_url
    again = buyer.client.post(f"/account/billing/purchases/{order.pk}/continue")
    assert again["Location"] == order.checkout_url
    assert buyer.sessions_of(order)[0].amount_total == 500


@pytest.mark.parametrize("terms", ["", "500", "500-500-7", "a-b-c-d", "-1-5-7-0", "5-5-7-0\n"])
def test_a_form_that_does_not_say_what_was_shown_begins_nothing(buyer: Buyer, terms: str) -> None:
    answer = buyer.submit(terms=terms)
    said = " ".join(str(one) for one in get_messages(answer.wsgi_request))  # type: ignore[attr-defined]
    assert answer["Location"] == "/account/billing"
    assert "incomplete" in said
    assert not Purchase.objects.exists()


def test_the_billing_page_says_what_it_shows(buyer: Buyer) -> None:
    page = buyer.client.get("/account/billing").content.decode()
    assert [value for name, value in FORM.findall(page) if name == "terms"] == [
        product.terms for product in Product.objects.all()
    ]


# --- where it leads -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "url", "may_lead"),
    [
        ("https://checkout.stripe.com", "https://checkout.stripe.com/c/pay/cs_1#x", True),
        ("https://checkout.stripe.com", "https://Checkout.Stripe.com:443/c/pay/cs_1", True),
        ("https://checkout.stripe.com", "http://checkout.stripe.com/c/pay/cs_1", False),
        ("https://checkout.stripe.com", "https://checkout.stripe.com:8443/c/pay/cs_1", False),
        ("https://checkout.stripe.com", "https://checkout.stripe.com.example/c", False),
        ("https://checkout.stripe.com", "https://pay.example.com/c/pay/cs_1", False),
        ("https://pay.example.com", "https://pay.example.com/c/pay/cs_1", True),
        ("http://localhost:8000", "http://localhost:8000/sandbox/stripe/pay/cs_1", True),
        ("http://localhost:8000", "http://127.0.0.1:8000/sandbox/stripe/pay/cs_1", False),
    ],
)
def test_a_form_leads_where_the_policy_lets_browsers_follow(
    settings: Any, origin: str, url: str, may_lead: bool
) -> None:
    settings.STRIPE_CHECKOUT_ORIGIN = origin
    assert checkout.is_where_forms_may_lead(url) is may_lead


def test_the_policy_of_the_pages_with_forms_names_that_origin(buyer: Buyer) -> None:
    order = buyer.order()
    for path in ("/account/billing", f"/account/billing/purchases/{order.pk}"):
        policy = buyer.client.get(path)["Content-Security-Policy"]
        (actions,) = [part for part in policy.split(";") if part.strip().startswith("form-action")]
        assert actions.split() == ["form-action", "'self'", django_settings.FORM_ACTIONS[1]]


def test_an_order_that_is_continued_at_a_domain_of_its_own_is_reached_by_a_link(
    buyer: Buyer, settings: Any
) -> None:
    order = buyer.order()
    settings.STRIPE_CHECKOUT_ORIGIN = "https://pay.example.com"
    answer = buyer.client.post(f"/account/billing/purchases/{order.pk}/continue")
    assert answer.status_code == 200
    assert f'href="{order.checkout_url}"' in words(answer)


# --- two tabs, and the webhook ------------------------------------------------------------------


def test_two_tabs_are_two_orders_of_which_one_can_be_discarded(buyer: Buyer) -> None:
    first, second = buyer.order(), buyer.order()
    buyer.pay(first)
    buyer.client.post(f"/account/billing/purchases/{second.pk}/discard")
    assert "Payment received" in words(buyer.land(first))
    second.refresh_from_db()
    assert second.status == "discarded"


def test_a_webhook_with_a_slash_at_its_end_is_the_same_door(
    webhook_secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop, "WEBHOOK", "/stripe/webhook/")
    event = event_of("cs_test_1")
    assert shop.deliver(event).status_code == 200
    assert StripeEvent.objects.get().event_id == event["id"]
    assert Client().post("/stripe/webhook/").status_code == 400
    assert Client().get("/stripe/webhook/").status_code == 405
    assert Client().post("/stripe/webhook//").status_code == 404
