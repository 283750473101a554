"""Credits for any amount between two bounds: the same promises as for packs."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils.html import strip_tags

from accounts.models import Account
from billing.models import Product, Purchase
from quotas import grants
from quotas.models.ledger import CreditEntry
from tests.billing.buyer import Buyer

pytestmark = pytest.mark.django_db(transaction=True)


def words(content: bytes) -> str:
    return " ".join(strip_tags(content.decode()).split())


@pytest.mark.parametrize(
    ("typed", "cents"), [("5", 500), ("12.34", 1234), ("$500", 500_00), (" 20.5 ", 2050)]
)
def test_whole_dollars_and_cents_are_taken(
    buyer: Buyer, account: Account, typed: str, cents: int
) -> None:
    assert buyer.submit("credits", amount=typed).status_code == 303
    purchase = Purchase.objects.get()
    assert (purchase.amount_cents, purchase.credits) == (cents, cents)
    assert buyer.pay(purchase).status_code == 303
    buyer.land(purchase)
    assert CreditEntry.objects.get(account=account).credits == cents
    (session,) = buyer.sessions_of(purchase)
    assert session.amount_total == cents


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "Give an amount, as 5 or 5.50."),
        ("five", "Write an amount in USD, as 5 or 5.50."),
        ("5.001", "Write an amount in USD, as 5 or 5.50."),
        ("5,50", "Write an amount in USD, as 5 or 5.50."),
        ("-7", "Write an amount in USD, as 5 or 5.50."),
        ("4.99", "It must be at least $5."),
        ("500.01", "It may be at most $500."),
        ("9" * 30, "Write an amount in USD, as 5 or 5.50."),
    ],
)
def test_what_is_wrong_is_said_at_the_field(buyer: Buyer, typed: str, said: str) -> None:
    answer = buyer.submit("credits", amount=typed)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert page.count(said) == 1
    assert 'aria-invalid="true"' in page
    assert "autofocus" in page
    if typed:
        assert f'value="{typed}"' in page
    assert not Purchase.objects.exists()


def test_an_amount_that_is_not_there_orders_nothing(buyer: Buyer) -> None:
    assert buyer.submit("credits").status_code == 422
    assert not Purchase.objects.exists()


def test_a_double_click_makes_one_order_and_another_amount_another(buyer: Buyer) -> None:
    submission = uuid4()
    for typed in ("7", "7.00", "$7"):
        assert buyer.submit("credits", amount=typed, submission=submission).status_code == 303
    assert Purchase.objects.get().amount_cents == 700
    # Back, and again by the form that the browser has kept.
    answer = buyer.submit("credits", amount="9", submission=submission)
    assert answer.status_code == 303
    assert sorted(Purchase.objects.values_list("amount_cents", flat=True)) == [700, 900]
    assert answer["Location"] == Purchase.objects.get(amount_cents=900).checkout_url


def test_the_amount_of_a_pack_is_not_the_customers_to_choose(buyer: Buyer) -> None:
    assert buyer.submit("credits-50", amount="5").status_code == 303
    assert Purchase.objects.get().amount_cents == 5000


def test_other_terms_than_were_shown_are_asked_about_first(buyer: Buyer) -> None:
    terms = Product.objects.get(slug="credits").terms
    Product.objects.filter(slug="credits").update(credits=1000)
    answer = buyer.submit("credits", amount="30", terms=terms)
    assert not Purchase.objects.exists()
    assert "Credits 3,000 1,500" in words(answer.content)
    page = answer.content.decode()
    assert 'name="amount" value="30.00"' in page
    assert buyer.submit("credits", amount="30.00").status_code == 303
    purchase = Purchase.objects.get()
    assert (purchase.amount_cents, purchase.credits) == (3000, 1500)


def test_bounds_that_are_narrower_by_now_are_said(buyer: Buyer) -> None:
    terms = Product.objects.get(slug="credits").terms
    Product.objects.filter(slug="credits").update(least_cents=1000)
    answer = buyer.submit("credits", amount="5", terms=terms)
    assert (answer.status_code, Purchase.objects.count()) == (422, 0)
    assert "It must be at least $10." in answer.content.decode()


def test_the_page_says_what_an_amount_gives_before_and_while_it_is_typed(
    buyer: Buyer, owner_client: Client, account: Account
) -> None:
    page = owner_client.get("/account/billing")
    assert "$20 = 2,000 credits = 1,000 chats, no end date" in words(page.content)

    def ask(typed: str) -> str:
        return words(owner_client.get("/account/billing/amount", {"amount": typed}).content)

    assert ask("5") == "$5 = 500 credits = 250 chats, no end date"
    assert ask("4") == "It must be at least $5."
    assert ask("<b>") == "Write an amount in USD, as 5 or 5.50."
    grants.grant_credits(
        account=account,
        credits=-100,
        kind=grants.CreditKind.RETURN,
        at=account.created_at,
        source_ref="test:owed",
    )
    assert "= 200 chats, no end date after 100 credits that you owe" in ask("5")


def test_without_such_a_product_there_is_no_field(buyer: Buyer, owner_client: Client) -> None:
    Product.objects.filter(slug="credits").update(is_active=False)
    assert "Another amount" not in owner_client.get("/account/billing").content.decode()
    assert owner_client.get("/account/billing/amount", {"amount": "5"}).status_code == 404
    assert buyer.submit("credits", amount="5").status_code == 302


def test_a_suspended_account_buys_no_amount(buyer: Buyer, account: Account) -> None:
    grants.suspend(account=account, at=account.created_at)
    assert buyer.submit("credits", amount="5").status_code == 302
    assert not Purchase.objects.exists()


@pytest.mark.parametrize(
    ("least", "most"), [(100, 0), (0, 5000), (10, 5000), (3000, 5000), (500, 1000)]
)
def test_bounds_that_make_no_sense_are_refused(products: None, least: int, most: int) -> None:
    product = Product.objects.get(slug="credits")
    product.least_cents, product.most_cents = least, most
    with pytest.raises(ValidationError):
        product.full_clean()


def test_who_cannot_chat_sees_first_what_helps_at_the_least_price(
    buyer: Buyer, owner_client: Client, use_up: Callable[[], None]
) -> None:
    Product.objects.filter(slug="credits-5").update(price_cents=400)
    assert "cheapest that lets" not in owner_client.get("/account/billing").content.decode()
    use_up()
    page = owner_client.get("/account/billing").content.decode()
    assert page.index('value="credits-5"') < page.index('value="weekly-boost"')
    assert page.count("The cheapest that lets your next chat go through.") == 1
    assert page.index("cheapest that lets") < page.index('value="credits-5"')
    purchase = buyer.order("credits-5")
    buyer.pay(purchase)
    assert "Your next chat is paid by your credits." in buyer.land(purchase).content.decode()


@pytest.fixture
def use_up(key: str, gate: object) -> Callable[[], None]:
    def use_up() -> None:
        gate.use(key, 50)  # type: ignore[attr-defined]

    return use_up
