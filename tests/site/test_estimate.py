"""The calculator of the pricing page: a form that is answered at an address of its own."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.seed import seed_products
from config import public_pages
from quotas.models.plans import Plan

PATH = "/pricing/estimate"
SENTENCE = "Chats a week must be a whole number from 1 to 1,000,000."


@pytest.fixture(autouse=True)
def _sold(plans: None) -> None:
    seed_products()
    public_pages._made.clear()


def words(client: Client, chats: str | None) -> str:
    page = client.get(PATH, {} if chats is None else {"chats": chats})
    assert page.status_code == 200
    return " ".join(page.content.decode().split())


def test_it_answers_with_the_cheapest_way_and_the_others(client: Client) -> None:
    page = words(client, "600")
    assert "$17.67 <small>a month</small>" in page
    assert "867 credits a month" in page
    assert page.index('scope="row">Core') < page.index('scope="row">Plus')
    assert "With its Copilot Pro Pack switched on, which costs nothing" in page


def test_without_a_number_it_shows_an_example_as_the_pricing_page_does(client: Client) -> None:
    for page in (words(client, None), client.get("/pricing").content.decode()):
        assert 'value="600"' in page
        assert "$17.67" in page


@pytest.mark.parametrize("chats", ["", "0", "-1", "1.5", "1000001", "many", "9" * 5_000, "\0"])
def test_what_is_no_number_of_chats_is_refused_by_name(client: Client, chats: str) -> None:
    page = words(client, chats)
    assert SENTENCE in page
    assert 'aria-invalid="true"' in page
    assert "a month</small>" not in page


def test_the_largest_number_is_answered(client: Client) -> None:
    assert "1,000,000 chats a week" in words(client, "1000000")


def test_where_nothing_has_a_price_it_says_to_ask(client: Client) -> None:
    Plan.objects.update(monthly_price_cents=None)
    assert "No plan that has a price here pays for 600 chats a week" in words(client, "600")


def test_answers_are_kept_nowhere_and_leave_the_made_pages_alone(client: Client) -> None:
    made = client.get("/pricing")
    for chats in range(1, 30):
        assert "no-store" in client.get(PATH, {"chats": chats})["Cache-Control"]
    assert {path for _language, path in public_pages._made} == {"/pricing"}
    again = client.get("/pricing", headers={"If-None-Match": made["ETag"]})
    assert again.status_code == 304


def test_an_answer_costs_few_queries_however_many_chats_are_asked_for(client: Client) -> None:
    asked = []
    for chats in ("1", "1000000"):
        with CaptureQueriesContext(connection) as queries:
            words(client, chats)
        asked.append(len(queries))
    assert asked == [4, 4]


def test_a_plan_is_chosen_asked_for_by_mail_or_had_by_signing_up(client: Client) -> None:
    page = client.get("/pricing").content.decode()
    assert page.count(f'href="{reverse("account_signup")}">Create account</a>') >= 1
    assert f'href="{reverse("plan_choice", args=["teams"])}"' in page
    assert "mailto:account@localhost?subject=Enterprise%20plan" in page


def test_who_is_signed_in_sees_the_plan_that_they_have(owner_client: Client) -> None:
    page = owner_client.get("/pricing").content.decode()
    assert page.count(">Your plan</a>") == 1
    assert "Create account</a>" not in page
