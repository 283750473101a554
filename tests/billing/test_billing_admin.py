"""The admin of the shop: products are edited, what was bought and told is only read."""

import pytest
from django.test import Client
from django.utils.html import strip_tags

from billing.models import Product, Purchase, StripeEvent
from billing.seed import seed_products
from tests.billing.buyer import Buyer, delivered

pytestmark = pytest.mark.django_db(transaction=True)

FIELDS = (
    "slug",
    "name",
    "summary",
    "kind",
    "price_cents",
    "chats",
    "valid_days",
    "credits",
    "position",
)


def test_the_first_products_are_those_of_the_design(products: None) -> None:
    sold = Product.objects.values_list("name", "price_cents", "chats", "valid_days", "credits")
    assert list(sold) == [
        ("Weekly Boost", 500, 500, 7, 0),
        ("500 credits", 500, 0, 0, 500),
        ("2,000 credits", 2000, 0, 0, 2000),
        ("5,000 credits", 5000, 0, 0, 5000),
        ("Credits", 2000, 0, 0, 2000),
    ]


def test_a_second_start_brings_back_nothing_that_an_admin_removed(products: None) -> None:
    Product.objects.filter(slug="credits-50").delete()
    Product.objects.filter(slug="weekly-boost").update(price_cents=700)
    seed_products()
    assert Product.objects.count() == 4
    assert Product.objects.get(slug="weekly-boost").price_cents == 700


def form_of(product: Product, **changes: object) -> dict[str, object]:
    fields = {name: getattr(product, name) for name in FIELDS}
    price = f"{product.price_cents / 100:.2f}"
    return {**fields, "price_cents": price, "is_active": "on", **changes}


def test_a_new_price_holds_for_the_next_order(buyer: Buyer, admin_client: Client) -> None:
    before = buyer.order()
    product = Product.objects.get(slug="weekly-boost")
    url = f"/admin/billing/product/{product.pk}/change/"
    answer = admin_client.post(url, form_of(product, price_cents="7", chats=600))
    assert answer.status_code == 302
    after = buyer.order()
    before.refresh_from_db()
    assert (before.amount_cents, before.chats) == (500, 500)
    assert (after.amount_cents, after.chats) == (700, 600)
    assert buyer.sessions_of(after)[0].amount_total == 700


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"price_cents": "0.49"}, "It must be at least $0.50."),
        ({"price_cents": "5,50"}, "Write an amount in USD, as 5 or 5.50."),
        ({"price_cents": ""}, "Fill this in."),
        ({"price_cents": "100000.01"}, "It may be at most $100,000."),
        ({"chats": 0}, "A boost needs chats and days"),
        ({"credits": 5}, "A boost needs chats and days"),
        ({"kind": "credits"}, "A boost needs chats and days"),
    ],
)
def test_a_product_that_makes_no_sense_is_refused_in_words(
    products: None, admin_client: Client, changes: dict[str, object], words: str
) -> None:
    product = Product.objects.get(slug="weekly-boost")
    answer = admin_client.post(
        f"/admin/billing/product/{product.pk}/change/", form_of(product, **changes)
    )
    assert answer.status_code == 200
    assert words in answer.content.decode()


def test_purchases_and_events_are_shown_and_never_changed(
    buyer: Buyer, admin_client: Client
) -> None:
    purchase = buyer.bought()
    event = delivered(purchase)
    for name, row in (("purchase", purchase), ("stripeevent", event)):
        page = f"/admin/billing/{name}/"
        assert admin_client.get(page).status_code == 200
        assert admin_client.get(f"{page}{row.pk}/change/").status_code == 200
        assert admin_client.get(f"{page}add/").status_code == 403
        assert admin_client.post(f"{page}{row.pk}/change/", {"status": "paid"}).status_code == 403
        assert admin_client.post(f"{page}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Purchase.objects.get().status == "pending"
    assert StripeEvent.objects.count() == 1


def test_a_purchase_with_a_problem_can_be_found(buyer: Buyer, admin_client: Client) -> None:
    purchase = buyer.order()
    Purchase.objects.update(problem="paid 500 cents instead of 900")
    buyer.order()
    page = admin_client.get("/admin/billing/purchase/?alarm=open")
    assert [row.pk for row in page.context["cl"].result_list] == [purchase.pk]


def test_the_page_of_an_account_has_its_purchases_with_the_way_to_all(
    buyer: Buyer, admin_client: Client
) -> None:
    purchase = buyer.order()
    account = f"/admin/accounts/account/{purchase.account_id}/change/"
    page = " ".join(strip_tags(admin_client.get(account).content.decode()).split())
    assert "Weekly Boost $5 Waiting for payment" in page
    assert f"/admin/billing/purchase/?account={purchase.account_id}" in (
        admin_client.get(account).content.decode()
    )


def test_amounts_of_purchases_read_in_the_currency_of_each(
    buyer: Buyer, admin_client: Client
) -> None:
    purchase = buyer.order()
    Purchase.objects.update(received_cents=450, received_currency="eur", problem="other money")
    assert ">$5</td>" in admin_client.get("/admin/billing/purchase/").content.decode()
    page = admin_client.get(f"/admin/billing/purchase/{purchase.pk}/change/").content.decode()
    assert "€4.50" in page
    Purchase.objects.update(received_currency="usd")
    page = admin_client.get(f"/admin/billing/purchase/{purchase.pk}/change/").content.decode()
    assert "$4.50" in page


def test_a_product_says_in_words_what_it_gives(products: None, admin_client: Client) -> None:
    page = admin_client.get("/admin/billing/product/").content.decode()
    assert "500 chats for 7 days" in page
    assert "2,000 credits" in page
    assert ">$20</td>" in page


def test_a_purchase_says_what_came_and_went_and_a_line_where_nothing_did(
    buyer: Buyer, admin_client: Client
) -> None:
    def rows(purchase: Purchase) -> str:
        page = admin_client.get(f"/admin/billing/purchase/{purchase.pk}/change/")
        return " ".join(strip_tags(page.content.decode()).split())

    open_one, paid = buyer.order(), buyer.order("credits-5")
    buyer.pay(paid)
    buyer.land(paid)
    assert "Received: – Returned: –" in rows(open_one)
    assert "Received: $5 Returned: –" in rows(paid)
    event = StripeEvent.objects.create(event_id="evt_odd", type="odd", payload={})
    shown = admin_client.get(f"/admin/billing/stripeevent/{event.pk}/change/").content.decode()
    assert "None" not in strip_tags(shown)
