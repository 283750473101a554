"""What the public pages tell a visitor, and who is signed in."""

import pytest
from django.test import Client
from django.utils import timezone

from billing.models import Product
from billing.seed import seed_products
from config import public_pages
from config.example_week import example_week
from keys.models import ApiKey
from quotas.models.plans import Plan

PLACEHOLDER = "export SANSXEL_KEY=sk_your_api_key_here"


@pytest.fixture(autouse=True)
def _sold(plans: None) -> None:
    seed_products()
    public_pages._made.clear()


def words(client: Client, path: str) -> str:
    page = client.get(path)
    assert page.status_code == 200
    return " ".join(page.content.decode().split())


def test_the_first_page_says_what_one_pays_and_where_more_is_said(client: Client) -> None:
    page = words(client, "/")
    for price in ("$0", "$9", "$19", "$49"):
        assert f'<span class="prices-price"> {price} <small>a month</small> </span>' in page
    assert '<span class="prices-price"> $59 <small>a seat and month</small> </span>' in page
    assert "Free: 50 chats a week for $0, without a card. More from $9 a month." in page
    assert 'href="/pricing#estimate"' in page
    assert page.count("<svg") >= 10


def test_the_first_page_shows_the_catalogue_that_there_is(client: Client) -> None:
    Plan.objects.exclude(slug="core").update(is_public=False)
    Plan.objects.filter(slug="core").update(weekly_cap=1_000)
    Product.objects.update(is_active=False)
    page = words(client, "/")
    assert "820 of 1,000 chats used" in page
    assert "2. Weekly Boost" not in page
    Plan.objects.update(is_public=False)
    assert "What you pay" not in words(client, "/")


def test_the_example_adds_up() -> None:
    boost = Product.objects.get(kind=Product.Kind.BOOST)
    week = example_week(list(Plan.objects.all()), boost, credits_per_chat=2)
    assert (week.amounts.spent, week.amounts.allowance) == (410, 90)
    assert (week.amounts.boost, week.amounts.credits) == (500, 250)
    spread = sum(day.chats for day in week.days)
    assert 0 <= week.amounts.spent - spread < 7
    assert max(day.height for day in week.days) == 100


def test_a_plan_says_what_it_costs_and_what_else_it_has(client: Client) -> None:
    page = words(client, "/pricing")
    assert "<strong>$19</strong> a month" in page
    assert "Copilot Pro Pack: no weekly cap while it is on" in page
    assert "For one person" in page
    assert "For a team that shares one account" in page
    assert "<strong>1,500</strong> chats a week" in page


def test_the_quickstart_names_the_newest_key_of_who_is_signed_in(
    client: Client, owner_client: Client, issued: tuple[ApiKey, str]
) -> None:
    key, text = issued
    assert PLACEHOLDER in words(client, "/docs/quickstart")
    page = words(owner_client, "/docs/quickstart")
    assert f"export SANSXEL_KEY={key.masked}" in page
    assert f"Your newest key is “{key.name}”" in page
    assert text not in page
    ApiKey.objects.update(revoked_at=timezone.now())
    assert PLACEHOLDER in words(owner_client, "/docs/quickstart")


def test_nobody_else_sees_that_key(
    client: Client, owner_client: Client, outsider_client: Client, issued: tuple[ApiKey, str]
) -> None:
    key, _ = issued
    # Whoever comes after the owner, in whatever order.
    for visitor in (owner_client, client, outsider_client, Client()):
        page = words(visitor, "/docs/quickstart")
        assert (key.masked in page) is (visitor is owner_client)
