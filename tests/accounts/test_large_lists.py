"""Long lists of the admin: what they are searched by, what they count, which periods they offer."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.contrib import admin
from django.test import Client, RequestFactory

from accounts.beginnings import begins_with
from accounts.large_lists import COUNTED_AT_MOST, AtLeast, BoundedPaginator, in_period
from accounts.models import Account, User
from quotas.models.ledger import CreditEntry

NOVEMBER = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture
def names(db: None) -> None:
    for name in ("Straße 1", "straßenbau", "100 % Ltd", "100_Ltd", "100xLtd", "back\\slash", "İz"):
        Account.objects.create(name=name)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("stra", {"Straße 1", "straßenbau"}),
        ("STRAß", {"Straße 1", "straßenbau"}),
        ("raße", set()),
        ("100 %", {"100 % Ltd"}),
        ("100_", {"100_Ltd"}),
        ("back\\", {"back\\slash"}),
        ("İ", {"İz"}),
        ("%", set()),
        ("x" * 10_000, set()),
    ],
)
def test_beginnings_are_found_whatever_their_case_and_signs(
    names: None, words: str, found: set[str]
) -> None:
    rows = Account.objects.filter(begins_with("name", words))
    assert set(rows.values_list("name", flat=True)) == found


@pytest.mark.parametrize("words", ["9" * 30, "%", "' OR 1=1 -- \\", "x" * 2_000, "   "])
def test_whatever_is_searched_for_every_list_answers(admin_client: Client, words: str) -> None:
    for name in (
        *("accounts/user", "accounts/account", "account/emailaddress", "keys/apikey"),
        *("billing/purchase", "billing/stripeevent", "quotas/creditentry", "quotas/suspension"),
    ):
        response = admin_client.get(f"/admin/{name}/", {"q": words})
        assert response.status_code == 200, name
        if words.strip():
            assert response.context["cl"].result_count == 0, name


def test_accounts_are_found_by_handle_name_and_the_addresses_of_all_members(
    admin_client: Client, account: Account, team_mate: User
) -> None:
    for words in (account.handle, "olga own", "owner@", "MATE@example.com"):
        page = admin_client.get("/admin/accounts/account/", {"q": words})
        assert account in page.context["cl"].result_list, words


def test_a_choice_of_accounts_finds_them_alike(admin_client: Client, account: Account) -> None:
    asked = {"app_label": "quotas", "model_name": "creditentry", "field_name": "account"}
    for words in (account.handle, "olga", "owner@"):
        answer = admin_client.get("/admin/autocomplete/", {**asked, "term": words})
        assert [found["text"] for found in answer.json()["results"]] == [str(account)]


def test_addresses_are_found_whole_in_any_case(admin_client: Client, owner: User) -> None:
    EmailAddress.objects.create(user=owner, email=owner.email, primary=True)
    for words, count in (("Owner@Example.com", 1), ("owner", 0)):
        page = admin_client.get("/admin/account/emailaddress/", {"q": words})
        assert page.context["cl"].result_count == count, words


def test_a_count_stops_where_nobody_reads_on(db: None) -> None:
    Account.objects.bulk_create(Account(name="a") for _ in range(COUNTED_AT_MOST))
    rows = Account.objects.order_by("pk")
    exact = BoundedPaginator(rows, 100)
    assert (str(exact.count), exact.num_pages) == ("10000", 100)
    Account.objects.create(name="b")
    more = BoundedPaginator(rows, 100)
    assert (str(more.count), more.num_pages) == ("10,000+", 100)
    assert len(more.page(100).object_list) == 100


def test_at_least_is_a_number_that_reads_as_one() -> None:
    assert (f"{AtLeast(10_000)}", AtLeast(10_000) + 1) == ("10,000+", 10_001)


def offered(first: datetime | None) -> list[str]:
    """The periods that are offered when the first line was written then."""
    if first is not None:
        account = Account.objects.create(name="a")
        CreditEntry.objects.create(
            account=account, credits=1, kind="grant", source_ref="test", created_at=first
        )
    shown = admin.site._registry[CreditEntry]
    period = in_period("created_at")(RequestFactory().get("/"), {}, CreditEntry, shown)
    return [value for value, _ in period.lookup_choices]


@pytest.mark.parametrize(
    ("first", "values"),
    [
        (None, ["2026-11", "2026"]),
        (NOVEMBER, ["2026-11", "2026"]),
        (datetime(2026, 9, 30, tzinfo=UTC), ["2026-11", "2026-10", "2026-09", "2026"]),
        (
            datetime(2024, 1, 1, tzinfo=UTC),
            [*(f"2026-{m:02}" for m in range(11, 0, -1)), "2025-12", "2026", "2025", "2024"],
        ),
    ],
)
@pytest.mark.django_db
def test_periods_reach_back_to_the_first_row(first: datetime | None, values: list[str]) -> None:
    with time_machine.travel(NOVEMBER, tick=False):
        assert offered(first) == values


@pytest.mark.parametrize(
    ("chosen", "count"),
    [("2025-12", 1), ("2026-01", 2), ("2026", 3), ("2025", 1), ("1999", 4), ("x", 4), ("", 4)],
)
def test_a_period_is_a_whole_month_or_year_in_utc(
    admin_client: Client, account: Account, chosen: str, count: int
) -> None:
    begins = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    moments = [at - before for at in begins for before in (timedelta(microseconds=1), timedelta())]
    for number, at in enumerate(moments):
        CreditEntry.objects.create(
            account=account,
            credits=1,
            kind="grant",
            source_ref=f"test:{number}",
            created_at=at,
        )
    # Months are offered of this year and the last.
    with time_machine.travel(NOVEMBER, tick=False):
        page = admin_client.get(
            "/admin/quotas/creditentry/", {"created_at_in": chosen}, follow=True
        )
    assert page.context["cl"].result_count == count
