"""The admin of the shop: products are edited, what was bought and told is only read."""

import pytest
from django.test import Client

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
    ]


def test_a_second_start_brings_back_nothing_that_an_admin_removed(products: None) -> None:
    Product.objects.filter(slug="credits-50").delete()
    Product.objects.filter(slug="weekly-boost").update(price_cents=700)
    seed_products()
    assert Product.objects.count() == 3
    assert Product.objects.get(slug="weekly-boost").price_cents == 700


def form_of(product: Product, **changes: object) -> dict[str, object]:
    fields = {name: getattr(product, name) for name in FIELDS}
    return {**fields, "is_active": "on", **changes}


def test_a_new_price_holds_for_the_next_order(buyer: Buyer, admin_client: Client) -> None:
    before = buyer.order()
    product = Product.objects.get(slug="weekly-boost")
    url = f"/admin/billing/product/{product.pk}/change/"
    answer = admin_client.post(url, form_of(product, price_cents=700, chats=600))
    assert answer.status_code == 302
    after = buyer.order()
    before.refresh_from_db()
    assert (before.amount_cents, before.chats) == (500, 500)
    assert (after.amount_cents, after.chats) == (700, 600)
    assert buyer.sessions_of(after)[0].amount_total == 700


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"price_cents": 49}, "Give 50 or more."),
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
