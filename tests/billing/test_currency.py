"""Everything is sold in one currency, which is set; what was bought keeps the one it was bought in.

The shop of these tests sells in euros. What is from before that was sold in US dollars.
"""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags
from pytest_django.fixtures import Settings

from accounts.currencies import LEAST
from accounts.models import Account
from alerts import delivering
from billing import sales
from billing.models import Product, Purchase
from billing.seed import seed_products
from billing.subscriptions.models import PlanOrder, PlanPrice, Subscription
from config import public_pages
from quotas.models.ledger import CreditEntry
from stripe_sandbox.params import LEAST_AMOUNT
from tests.billing.buyer import Buyer
from tests.billing.orders import subscriber_of_plus
from tests.billing.subscriber import Subscriber
from tests.billing.test_exports_of_money import PURCHASES, exported
from tests.billing.test_refunding import give_back, page_of
from tests.billing.wisher import Wisher

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sold_in(settings: Settings) -> Callable[[str], None]:
    """Has everything sold in another currency from now on."""

    def change(currency: str) -> None:
        settings.STRIPE_CURRENCY = currency

    return change


@pytest.fixture
def euros(sold_in: Callable[[str], None]) -> None:
    """Everything is sold in euros."""
    sold_in("eur")


DOLLARS = re.compile(r"\$[0-9]|[Dd]ollar|US cent")


def in_words(content: bytes) -> str:
    return " ".join(strip_tags(content.decode()).split())


# --- pages ------------------------------------------------------------------------------------


@pytest.fixture
def visitor() -> Iterator[Client]:
    """Whoever is not signed in, for whom pages are made once."""
    public_pages._made.clear()
    yield Client()
    public_pages._made.clear()


@pytest.mark.parametrize("path", ["/", "/pricing", "/pricing/estimate?chats=5000"])
def test_public_pages_show_every_price_in_it(
    euros: None, products: None, visitor: Client, path: str
) -> None:
    page = in_words(visitor.get(path, follow=True).content)
    assert re.search(r"€[0-9]", page)
    assert not DOLLARS.search(page)


@pytest.mark.parametrize("path", ["/account/billing", "/account/billing/top-up", "/account/usage"])
def test_pages_of_an_account_show_every_price_in_it(euros: None, wisher: Wisher, path: str) -> None:
    wisher.save_card()
    wisher.spend(-500)
    page = in_words(wisher.client.get(path, follow=True).content)
    assert "€5" in page
    assert not DOLLARS.search(page)


@pytest.mark.parametrize("path", ["/pricing", "/account/billing"])
def test_a_credit_is_a_hundredth_of_it(euros: None, buyer: Buyer, path: str) -> None:
    assert "credit is worth €0.01." in in_words(buyer.client.get(path).content)


def test_a_currency_without_a_sign_is_written_by_its_code(
    sold_in: Callable[[str], None], buyer: Buyer
) -> None:
    sold_in("chf")
    assert "Buy for CHF\N{NO-BREAK SPACE}5<" in (
        buyer.client.get("/account/billing").content.decode().replace("\n", "")
    )


ADMIN = {
    "/admin/": "Prices are in EUR.",
    "/admin/billing/product/add/": "In EUR. Stripe takes no less than €0.50.",
    "/admin/billing/product/": "€20",
    "/admin/quotas/plan/add/": "In EUR, as 20 or 19.50.",
    "/admin/quotas/plan/": "€19",
    "/admin/quotas/quotapolicy/1/change/": "a credit is worth €0.01: 0.02 takes 2 credits.",
    "/admin/quotas/creditentry/add/": "1 credit is worth €0.01. Negative when used.",
}


@pytest.mark.parametrize("path", ADMIN)
def test_the_admin_asks_and_tells_in_it(
    euros: None, products: None, admin_client: Client, path: str
) -> None:
    page = in_words(admin_client.get(path).content)
    assert ADMIN[path] in page
    assert not DOLLARS.search(page)


def test_no_price_is_below_what_stripe_takes_of_it(
    sold_in: Callable[[str], None], products: None, admin_client: Client
) -> None:
    sold_in("sek")
    boost = Product.objects.get(slug="weekly-boost")
    sent = {
        "slug": boost.slug,
        "name": boost.name,
        "kind": "boost",
        "chats": 500,
        "valid_days": 7,
        "credits": 0,
        "position": 0,
        "price_cents": "2.99 SEK",
    }
    answer = admin_client.post(f"/admin/billing/product/{boost.pk}/change/", sent)
    assert "It must be at least SEK\N{NO-BREAK SPACE}3." in answer.content.decode()


@pytest.mark.parametrize(
    ("currency", "sold"),
    [("eur", ["5.00", "5.00", "20.00", "50.00"]), ("czk", ["20.00", "50.00"])],
)
def test_a_first_start_sells_what_stripe_can_take(
    sold_in: Callable[[str], None], plans: None, currency: str, sold: list[str]
) -> None:
    sold_in(currency)
    seed_products()
    prices = Product.objects.filter(most_cents=0).values_list("price_cents", flat=True)
    assert [f"{cents / 100:.2f}" for cents in prices] == sold
    chosen = Product.objects.of_any_amount()
    assert chosen is not None
    assert chosen.least_cents == max(500, LEAST[currency])


# --- orders -----------------------------------------------------------------------------------


def test_an_order_is_paid_in_it_and_told_in_it(
    euros: None, buyer: Buyer, account: Account, settings: Settings
) -> None:
    settings.OUTBOX_SENDS_BY = "django.core.mail.backends.locmem.EmailBackend"
    purchase = buyer.order("credits-5")
    (session,) = buyer.sessions_of(purchase)
    assert (session.currency, session.amount_total) == ("eur", 500)
    assert "Pay €5.00" in buyer.sandbox.browser.get(purchase.checkout_url).text
    assert buyer.pay(purchase).status_code == 303
    assert "Amount €5" in in_words(buyer.land(purchase).content)
    purchase.refresh_from_db()
    assert (purchase.status, purchase.currency) == ("paid", "eur")
    assert CreditEntry.objects.get(account=account).credits == 500
    delivering.send_mails(at=timezone.now())
    assert mail.outbox[-1].subject.startswith("Receipt: 500 credits, €5")


def test_an_amount_that_is_chosen_is_in_it(euros: None, buyer: Buyer) -> None:
    assert "It must be at least €5." in in_words(buyer.submit("credits", amount="4.99").content)
    assert "as 5 or 5.50." in in_words(buyer.submit("credits", amount="$7").content)
    assert buyer.submit("credits", amount="7.50 €").status_code == 303
    purchase = Purchase.objects.get()
    assert (purchase.amount_cents, purchase.credits, purchase.currency) == (750, 750, "eur")


def test_a_form_from_before_is_asked_about_again(
    sold_in: Callable[[str], None], buyer: Buyer
) -> None:
    shown = Product.objects.get(slug="weekly-boost").terms
    sold_in("eur")
    answer = buyer.submit(terms=shown)
    page = in_words(answer.content)
    assert (answer.status_code, "The price has changed" in page) == (200, True)
    assert "Price $5 €5" in page
    assert not Purchase.objects.exists()
    now = Product.objects.get(slug="weekly-boost").terms
    sold_in("usd")
    assert "Price €5 $5" in in_words(buyer.submit(terms=now).content)


def test_an_open_order_is_gone_on_with_as_it_was(
    sold_in: Callable[[str], None], buyer: Buyer
) -> None:
    purchase = buyer.order()
    sold_in("eur")
    answer = buyer.client.post(f"/account/billing/purchases/{purchase.pk}/continue")
    assert answer["Location"] == purchase.checkout_url
    assert buyer.pay(purchase).status_code == 303
    assert "Amount $5" in in_words(buyer.land(purchase).content)
    purchase.refresh_from_db()
    assert (purchase.status, purchase.currency, purchase.problem) == ("paid", "usd", "")


def test_what_was_bought_before_is_shown_in_its_own(
    sold_in: Callable[[str], None], buyer: Buyer, admin_client: Client
) -> None:
    purchase = buyer.bought()
    buyer.land(purchase)
    sold_in("eur")
    for page in (
        buyer.land(purchase),
        buyer.client.get("/account/billing/purchases"),
        admin_client.get("/admin/billing/purchase/"),
        admin_client.get(f"/admin/billing/purchase/{purchase.pk}/change/"),
        admin_client.get(f"/admin/accounts/account/{purchase.account_id}/change/"),
    ):
        assert "$5" in in_words(page.content)
    (row,) = exported(buyer.client, PURCHASES)
    assert (row["currency"], row["price"]) == ("usd", "5.00")


def test_money_goes_back_in_the_currency_in_which_it_came(
    sold_in: Callable[[str], None], buyer: Buyer, admin_client: Client
) -> None:
    purchase = buyer.bought("credits-5")
    buyer.land(purchase)
    sold_in("eur")
    assert "In USD: all that is left" in in_words(admin_client.get(page_of(purchase)).content)
    assert "as 5 or 5.50." in give_back(admin_client, purchase, "€1")
    assert "$1.50 went back." in give_back(admin_client, purchase, "1.50")
    assert "$1.50 was returned on" in in_words(buyer.land(purchase).content)


def test_two_currencies_are_never_one_number(
    sold_in: Callable[[str], None], buyer: Buyer, admin_client: Client
) -> None:
    buyer.land(buyer.bought())
    subscriber_of_plus()
    (first,) = Subscription.objects.all()
    sold_in("eur")
    for _ in range(2):
        buyer.land(buyer.bought())
    first.pk, first.stripe_subscription_id, first.currency = None, "sub_2", "eur"
    first.save()
    totals = sales.sales(at=timezone.now()).totals
    assert [(one.currency, one.cents[-1]) for one in totals] == [("eur", 10_00), ("usd", 5_00)]
    page = in_words(admin_client.get("/admin/").content)
    assert "Together €10 €10 €10 2" in page
    assert "Together $5 $5 $5 1" in page
    assert "1 subscription is paid for: €19 a month." in page
    assert "1 subscription is paid for: $19 a month." in page


# --- plans ------------------------------------------------------------------------------------


def test_a_plan_is_subscribed_to_in_it(euros: None, subscriber: Subscriber) -> None:
    page = in_words(subscriber.client.get("/account/billing/plans/plus").content)
    assert "Plus for €19 a month" in page
    order = subscriber.order("plus")
    assert order.currency == "eur"
    assert "€19.00" in subscriber.sandbox.browser.get(order.checkout_url).text
    assert subscriber.pay(order).status_code == 303
    subscriber.land(order)
    assert (subscriber.subscription.currency, subscriber.plan()) == ("eur", "plus")
    assert PlanPrice.objects.get().currency == "eur"
    assert "for €19." in in_words(subscriber.client.get("/account/billing").content)
    page = in_words(subscriber.client.get("/account/billing/plans/pro").content)
    assert "You pay €" in page
    assert subscriber.choose("pro")["Location"] == "/account/billing"
    assert subscriber.plan() == "pro"


def test_the_price_at_stripe_is_another_one_in_another_currency(
    sold_in: Callable[[str], None], subscriber: Subscriber
) -> None:
    first = subscriber.order("plus")
    sold_in("eur")
    second = subscriber.order("plus")
    assert (first.currency, second.currency) == ("usd", "eur")
    assert PlanPrice.objects.count() == 2
    first.refresh_from_db()
    assert first.status == "discarded"


def test_the_form_of_a_plan_from_before_is_answered_with_what_it_costs_now(
    sold_in: Callable[[str], None], subscriber: Subscriber
) -> None:
    sold_in("eur")
    answer = subscriber.client.post(
        "/account/billing/plans/plus",
        {"interval": "month", "terms": "1900-1500", "submission": uuid4()},
        follow=True,
    )
    assert "This plan was changed since you opened the page." in in_words(answer.content)
    assert not PlanOrder.objects.exists()


def test_an_open_order_of_a_plan_is_gone_on_with_as_it_was(
    sold_in: Callable[[str], None], subscriber: Subscriber
) -> None:
    order = subscriber.order("plus")
    sold_in("eur")
    page = in_words(subscriber.land(order, query="").content)
    assert "$19 a month" in page
    answer = subscriber.choose("plus", terms="1900-1500", submission=order.submission)
    assert answer["Location"] == order.checkout_url
    assert subscriber.pay(order).status_code == 303
    subscriber.land(order)
    assert (subscriber.subscription.currency, subscriber.plan()) == ("usd", "plus")


def test_a_subscription_in_another_currency_is_not_changed_and_the_page_says_what_can_be_done(
    sold_in: Callable[[str], None], subscriber: Subscriber
) -> None:
    subscriber.subscribe("plus")
    sold_in("eur")
    said = "This subscription is paid in USD, and plans are sold in EUR now"
    page = subscriber.client.get("/account/billing/plans/pro").content
    assert said in in_words(page)
    assert b'name="terms"' not in page
    subscriber.choose("pro")
    assert said in in_words(subscriber.client.get("/account/billing").content)
    assert "for $19." in in_words(subscriber.client.get("/account/billing").content)
    assert subscriber.plan() == "plus"
    subscriber.client.post("/account/billing/plans/end", {"submission": uuid4()})
    subscriber.months_pass()
    subscriber.hear()
    row = subscriber.subscribe("pro")
    assert (row.currency, subscriber.plan()) == ("eur", "pro")


# --- auto top-up ------------------------------------------------------------------------------


def test_packs_are_bought_by_themselves_in_it(euros: None, wisher: Wisher) -> None:
    wisher.save_card()
    assert wisher.want(currency="eur") == 302
    assert wisher.runs(timezone.now()) == 1
    purchase = Purchase.objects.get()
    assert (purchase.status, purchase.currency, wisher.balance) == ("paid", "eur", 500)


def test_what_was_wanted_in_another_currency_is_not_bought_in_this_one(
    sold_in: Callable[[str], None], wisher: Wisher, admin_client: Client
) -> None:
    wisher.save_card()
    wisher.want()
    sold_in("eur")
    assert wisher.runs(timezone.now()) == 0
    assert (wisher.wish().stopped, wisher.charged()) == ("changed", 0)
    assert "$20" in in_words(admin_client.get("/admin/billing/autotopup/").content)
    assert wisher.want(currency="usd") == 422
    assert wisher.want(currency="eur", month_cents="€20") == 302
    assert wisher.wish().currency == "eur"


def test_a_top_up_under_way_keeps_its_currency(
    sold_in: Callable[[str], None],
    wisher: Wisher,
    stripe_away: Callable[[bool], None],
    stripe_at: Callable[[str], None],
) -> None:
    wisher.save_card()
    wisher.want()
    stripe_away(True)
    at = timezone.now()
    wisher.runs(at)
    sold_in("eur")
    stripe_at(wisher.sandbox.origin)
    wisher.runs(at + timedelta(minutes=2))
    purchase = Purchase.objects.get()
    assert (purchase.status, purchase.currency) == ("paid", "usd")


# --- the sandbox ------------------------------------------------------------------------------


def test_the_sandbox_has_every_currency_that_can_be_set_with_the_same_least() -> None:
    assert LEAST_AMOUNT == LEAST


@pytest.mark.parametrize("currency", sorted(set(LEAST) - {"usd", "eur"}))
def test_any_of_them_can_be_paid(
    sold_in: Callable[[str], None], buyer: Buyer, currency: str
) -> None:
    sold_in(currency)
    purchase = buyer.order("credits-20")
    sign = {"gbp": "£"}.get(currency, f"{currency.upper()}\N{NO-BREAK SPACE}")
    assert f"Pay {sign}20.00" in buyer.sandbox.browser.get(purchase.checkout_url).text
    assert buyer.pay(purchase).status_code == 303
    buyer.land(purchase)
    purchase.refresh_from_db()
    assert (purchase.status, purchase.problem) == ("paid", "")
