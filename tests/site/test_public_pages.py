"""Public pages are made once, and never show what is not so any more."""

from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from billing.models import Product
from billing.seed import seed_products
from config import public_pages
from quotas.models.offer import AIModel
from quotas.models.plans import Meter, Plan, QuotaPolicy

PAGES = ("/", "/pricing", "/docs/quickstart", "/docs/reference", "/docs/reference/quota")


@pytest.fixture(autouse=True)
def _nothing_made(plans: None) -> None:
    seed_products()
    public_pages._made.clear()


@pytest.mark.parametrize("path", PAGES)
def test_it_is_made_once_and_asked_for_by_its_etag(
    path: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    first = Client().get(path)
    with django_assert_num_queries(1):
        again = Client().get(path)
    assert again.content == first.content
    assert again["Cache-Control"] == "no-cache"
    assert "Cookie" in again["Vary"]
    assert not again.cookies
    with django_assert_num_queries(1):
        unchanged = Client().get(path, headers={"If-None-Match": first["ETag"]})
    assert unchanged.status_code == 304
    assert unchanged.content == b""
    assert unchanged["ETag"] == first["ETag"]


@pytest.mark.parametrize("path", PAGES)
def test_whoever_is_signed_in_gets_a_page_of_their_own(path: str, owner_client: Client) -> None:
    for_anybody = Client().get(path)
    theirs = owner_client.get(path, headers={"If-None-Match": for_anybody["ETag"]})
    assert theirs.status_code == 200
    assert b"Sign out" in theirs.content
    assert b"Sign out" not in Client().get(path).content
    assert theirs["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("rows", "changed"),
    [
        (Plan.objects.filter(slug="core"), {"name": "Kern"}),
        (Plan.objects.filter(slug="core"), {"weekly_cap": 501}),
        (Plan.objects.filter(slug="core"), {"is_public": False}),
        (Product.objects.filter(kind=Product.Kind.BOOST), {"price_cents": 777}),
        (QuotaPolicy.objects.all(), {"credits_per_chat": 7}),
        (Meter.objects.filter(slug="images"), {"chats": 4}),
        (AIModel.objects.filter(endpoint="voice"), {"is_offered": False}),
    ],
    ids=["name", "cap", "hidden", "price", "rate", "cost", "model"],
)
def test_a_change_shows_at_the_next_view_whatever_way_it_came(
    rows: Any, changed: dict[str, object]
) -> None:
    before = Client().get("/pricing")
    assert rows.update(**changed)
    after = Client().get("/pricing", headers={"If-None-Match": before["ETag"]})
    assert after.status_code == 200
    assert after.content != before.content
    assert after["ETag"] != before["ETag"]


def test_a_model_of_plans_that_are_not_public_is_not_shown() -> None:
    model = AIModel.objects.get(endpoint="voice")
    model.for_all_plans = False
    model.save()
    hidden = Plan.objects.get(slug="core")
    model.plans.set([hidden, Plan.objects.get(slug="plus")])
    hidden.is_public = False
    hidden.save()
    page = Client().get("/pricing").content.decode()
    assert "sansxel-voice" in page
    assert 'data-label="Plans">Plus</td>' in page
    model.plans.set([hidden])
    assert "sansxel-voice" not in Client().get("/pricing").content.decode()


def test_a_change_that_shows_nowhere_keeps_the_etag() -> None:
    before = Client().get("/pricing")
    QuotaPolicy.objects.update(version=99)
    after = Client().get("/pricing", headers={"If-None-Match": before["ETag"]})
    assert after.status_code == 304


def test_a_session_that_has_ended_is_no_reason_for_a_stranger_s_page(
    owner: User, owner_client: Client
) -> None:
    owner_client.session.flush()
    page = owner_client.get("/")
    assert page.status_code == 200
    assert b"Sign out" not in page.content
