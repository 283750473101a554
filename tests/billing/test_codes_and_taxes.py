"""Promotion codes, taxes and invoices, where the settings ask Stripe for them, and nowhere else."""

from typing import Any

import pytest
from django.core import mail
from django.utils import timezone
from django.utils.html import strip_tags
from pytest_django.fixtures import Settings

from accounts.models import Account
from alerts import delivering
from alerts.models import Alert, Kind
from alerts.wording import sentences_of
from billing import fulfilment
from billing.models import Purchase
from billing.sales import sales
from billing.stripe_client import answers, asking, sessions
from quotas.models.ledger import Boost, CreditEntry
from tests.billing.buyer import Buyer
from tests.billing.subscriber import Subscriber
from tests.billing.test_returned_money import hear, refund

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def with_codes(settings: Settings) -> None:
    settings.STRIPE_PROMOTION_CODES = True


@pytest.fixture
def with_taxes(settings: Settings) -> None:
    settings.STRIPE_AUTOMATIC_TAX = True


@pytest.fixture
def with_invoices(settings: Settings) -> None:
    settings.STRIPE_INVOICES = True


def use_code(buyer: Buyer, purchase: Purchase, code: str) -> None:
    page = buyer.sandbox.browser.post(purchase.checkout_url, data={"promotion_code": code})
    assert page.status_code == 303, page.text


def landed(buyer: Buyer, purchase: Purchase) -> str:
    page = buyer.land(purchase)
    purchase.refresh_from_db()
    return " ".join(strip_tags(page.content.decode()).split())


def test_without_the_settings_nothing_of_it_is_asked_for(buyer: Buyer) -> None:
    purchase = buyer.order()
    (session,) = buyer.sessions_of(purchase)
    assert not session.allow_promotion_codes
    assert not session.automatic_tax.enabled
    assert not (session.invoice_creation and session.invoice_creation.enabled)
    page = buyer.sandbox.browser.post(purchase.checkout_url, data={"promotion_code": "SANDBOX20"})
    assert page.status_code == 422


def test_a_code_takes_off_and_gives_the_whole(
    buyer: Buyer, account: Account, with_codes: None
) -> None:
    purchase = buyer.order("credits-5")
    use_code(buyer, purchase, "sandbox20")
    assert "Pay $4.00" in buyer.sandbox.browser.get(purchase.checkout_url).text
    buyer.pay(purchase)
    text = landed(buyer, purchase)
    assert (purchase.status, purchase.received_cents, purchase.discount_cents) == ("paid", 400, 100)
    assert CreditEntry.objects.get(account=account).credits == 500
    assert "Discount −$1 Paid $4" in text
    assert sales(at=timezone.now()).totals[0].cents == (400, 400, 400)
    # What is taken back follows what was paid.
    refund(buyer, purchase, amount=200)
    hear(buyer, purchase)
    assert sum(CreditEntry.objects.values_list("credits", flat=True)) == 250
    refund(buyer, purchase)
    hear(buyer, purchase)
    assert purchase.is_wholly_returned
    assert sum(CreditEntry.objects.values_list("credits", flat=True)) == 0
    assert sales(at=timezone.now()).totals[0].kept == (0, 0, 0)


def test_a_code_that_takes_all_off_gives_it_for_nothing(
    buyer: Buyer, with_codes: None, settings: Settings
) -> None:
    settings.OUTBOX_SENDS_BY = "django.core.mail.backends.locmem.EmailBackend"
    purchase = buyer.order()
    use_code(buyer, purchase, "SANDBOXFREE")
    answer = buyer.sandbox.browser.post(purchase.checkout_url, data={"email": "a@example.com"})
    assert answer.status_code == 303
    text = landed(buyer, purchase)
    assert (purchase.status, purchase.received_cents) == ("paid", 0)
    assert not purchase.is_wholly_returned
    assert "Refunded" not in text
    assert Boost.objects.get().granted == 500
    delivering.send_mails(at=timezone.now())
    assert mail.outbox[-1].subject.startswith("Receipt: Weekly Boost, $0")


def test_a_code_that_nobody_knows_takes_nothing_off(buyer: Buyer, with_codes: None) -> None:
    purchase = buyer.order()
    page = buyer.sandbox.browser.post(purchase.checkout_url, data={"promotion_code": "x"})
    assert (page.status_code, "This code is invalid." in page.text) == (422, True)
    buyer.pay(purchase)
    landed(buyer, purchase)
    assert (purchase.status, purchase.received_cents) == ("paid", None)


def test_taxes_come_on_top(buyer: Buyer, with_taxes: None, with_codes: None) -> None:
    purchase = buyer.order()
    use_code(buyer, purchase, "SANDBOX1OFF")
    assert "Pay $4.40" in buyer.sandbox.browser.get(purchase.checkout_url).text
    buyer.pay(purchase)
    text = landed(buyer, purchase)
    paid = (purchase.status, purchase.received_cents, purchase.discount_cents, purchase.tax_cents)
    assert paid == ("paid", 440, 100, 40)
    assert "Tax $0.40 Paid $4.40" in text
    assert sales(at=timezone.now()).totals[0].cents == (400, 400, 400)


def test_an_invoice_is_linked_where_one_is_made(
    buyer: Buyer, with_invoices: None, with_taxes: None
) -> None:
    purchase = buyer.order()
    buyer.pay(purchase)
    page = buyer.land(purchase).content.decode()
    purchase.refresh_from_db()
    assert purchase.invoice_url.startswith(buyer.sandbox.origin)
    assert f'href="{purchase.invoice_url}"' in page
    assert f'href="{purchase.invoice_pdf_url}"' in page
    invoice = buyer.sandbox.browser.get(purchase.invoice_url)
    assert (invoice.status_code, "$5.50" in invoice.text) == (200, True)


TAKEN_OFF = {
    "payment_status": "paid",
    "amount_cents": 400,
    "subtotal_cents": 500,
    "discount_cents": 100,
    "takes_codes": True,
}
FOR_NOTHING = {
    "payment_status": "no_payment_required",
    "amount_cents": 0,
    "subtotal_cents": 500,
    "discount_cents": 500,
    "takes_codes": True,
}
TAXED = {
    "payment_status": "paid",
    "amount_cents": 550,
    "subtotal_cents": 500,
    "tax_cents": 50,
    "is_taxed": True,
}


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (TAKEN_OFF, "paid"),
        ({**TAKEN_OFF, "takes_codes": False}, "review"),
        ({**TAKEN_OFF, "amount_cents": 399}, "review"),
        ({**TAKEN_OFF, "subtotal_cents": 400, "amount_cents": 300}, "review"),
        ({**TAKEN_OFF, "subtotal_cents": None}, "review"),
        ({**TAKEN_OFF, "discount_cents": 0}, "review"),
        ({**TAKEN_OFF, "currency": "eur"}, "review"),
        (FOR_NOTHING, "paid"),
        ({**FOR_NOTHING, "takes_codes": False}, "review"),
        ({**FOR_NOTHING, "subtotal_cents": 400, "discount_cents": 400}, "review"),
        ({**FOR_NOTHING, "subtotal_cents": None, "discount_cents": 0}, "review"),
        ({**FOR_NOTHING, "discount_cents": 400}, "review"),
        ({**FOR_NOTHING, "amount_cents": 100}, "review"),
        ({**FOR_NOTHING, "status": "open"}, "pending"),
        (TAXED, "paid"),
        ({**TAXED, "is_taxed": False}, "review"),
        ({**TAXED, "tax_cents": 40}, "review"),
        ({**TAXED, "subtotal_cents": 450, "tax_cents": 100}, "review"),
    ],
)
def test_only_what_adds_up_and_was_asked_for_is_accepted(
    buyer: Buyer, account: Account, said: dict[str, Any], status: str
) -> None:
    purchase = buyer.order()
    told: dict[str, Any] = {
        "session_id": purchase.stripe_session_id,
        "url": None,
        "client_reference_id": str(purchase.pk),
        "account": account.handle,
        "status": "complete",
        "payment_failed": False,
        "currency": "usd",
        "is_live": asking.is_live(),
        **said,
    }
    fulfilment.settle(sessions.CheckoutSession(**told), at=timezone.now())
    purchase.refresh_from_db()
    assert purchase.status == status
    assert Boost.objects.exists() == (status == "paid")


@pytest.mark.parametrize(
    "url",
    [
        "http://pay.stripe.com/receipts/1",
        "https://pay.stripe.com.example/receipts/1",
        "https://stripe.com@example.com/",
        "https://evilstripe.com/",
        "javascript:alert(1)",
        7,
        "",
    ],
)
def test_what_is_no_page_of_stripe_is_not_linked(buyer: Buyer, url: object) -> None:
    assert answers.link_of_stripe({"receipt_url": url}, "receipt_url") == ""


def test_pages_of_stripe_are(settings: Settings) -> None:
    url = "https://pay.stripe.com/receipts/payment/abc?s=ap"
    assert answers.link_of_stripe({"receipt_url": url}, "receipt_url") == url
    settings.STRIPE_IS_SANDBOX = False
    sandbox = {"receipt_url": f"{settings.STRIPE_CHECKOUT_ORIGIN}/x"}
    assert answers.link_of_stripe(sandbox, "receipt_url") == ""


def test_a_code_and_taxes_count_for_a_plan_and_taxes_for_each_renewal(
    subscriber: Subscriber, with_codes: None, with_taxes: None
) -> None:
    assert "Prices are without taxes" in subscriber.client.get("/pricing").content.decode()
    choice = subscriber.client.get("/account/billing/plans/plus").content.decode()
    assert "Prices are without taxes" in choice
    order = subscriber.order("plus")
    page = subscriber.sandbox.browser.post(order.checkout_url, data={"promotion_code": "SANDBOX20"})
    assert page.status_code == 303, page.text
    assert "Subscribe for $16.72" in subscriber.sandbox.browser.get(order.checkout_url).text
    subscriber.pay(order)
    subscriber.land(order)
    assert subscriber.plan() == "plus"
    row = subscriber.subscription
    assert (row.amount_cents, row.is_taxed) == (1_900, True)
    billing = subscriber.client.get("/account/billing").content.decode()
    assert "Taxes come on top of the price." in billing
    told = sentences_of(Alert.objects.get(kind=Kind.PLAN))
    assert told[-1] == "Taxes come on top of the price."
    subscriber.months_pass()
    subscriber.hear()
    totals = [one.total for one in subscriber.sandbox.api.v1.invoices.list().data]
    assert totals == [2_090, 1_672]


def test_what_a_change_costs_is_shown_with_taxes_and_charged_so(
    subscriber: Subscriber, with_taxes: None
) -> None:
    subscriber.subscribe("plus")
    shown = subscriber.client.get("/account/billing/plans/pro").content.decode()
    assert "You pay $33 now" in shown
    subscriber.choose("pro")
    (latest, *_rest) = subscriber.sandbox.api.v1.invoices.list(params={"limit": 1}).data
    assert latest.total == 3_300
    assert subscriber.plan() == "pro"


def test_a_plan_asks_for_nothing_of_it_without_the_settings(subscriber: Subscriber) -> None:
    order = subscriber.order("plus")
    session = subscriber.sandbox.api.v1.checkout.sessions.retrieve(order.stripe_session_id or "")
    assert not session.allow_promotion_codes
    assert not session.automatic_tax.enabled
    row = subscriber.subscribe("plus")
    assert (row.is_taxed, row.is_discounted) == (False, False)
    assert "taxes" not in subscriber.client.get("/account/billing").content.decode()
