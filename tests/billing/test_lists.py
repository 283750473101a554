"""All purchases and the whole credit ledger: by pages, by kind and by day, of one's own only."""

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.test import Client

from accounts.models import Account
from billing.models import Product, Purchase
from quotas import grants
from quotas.models.ledger import CreditEntry
from tests.site.answer import Answer

PURCHASES, CREDITS = "/account/billing/purchases", "/account/billing/credits"
LISTS = pytest.mark.parametrize("path", [PURCHASES, CREDITS])
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
CELL = re.compile(
    r'<td class="end(?: muted)?"\s+data-label="(?:Credits|Amount)">\s*\+?(\S+)\s*'
    r'(?:<span class="small">not paid</span>\s*)?</td>'
)


def buy(account: Account, slug: str, *, at: datetime, cents: int) -> Purchase:
    """An order as the database has it."""
    product = Product.objects.get(slug=slug)
    return Purchase.objects.create(
        account=account,
        product=product,
        product_name=product.name,
        kind=product.kind,
        amount_cents=cents,
        submission=uuid4(),
        created_at=at,
    )


def grant(account: Account, credits: int, *, at: datetime, kind: str = "grant") -> None:
    """A line of the ledger."""
    grants.grant_credits(
        account=account,
        credits=credits,
        kind=CreditEntry.Kind(kind),
        at=at,
        source_ref=f"test:{uuid4()}",
    )


def ask(client: Client, path: str, **asked: str) -> Answer:
    response = client.get(path, asked)
    assert response.status_code == 200
    return response


def amounts(page: Answer) -> list[str]:
    """The last cells of the rows, from above."""
    return CELL.findall(page.content.decode())


def follow(client: Client, page: Answer, rel: str) -> Answer:
    """The page that a link of the list leads to."""
    found = re.search(rf'rel="{rel}"\s+href="([^"]+)"', page.content.decode())
    assert found, page.content.decode()
    return client.get(found[1].replace("&amp;", "&"))


@pytest.fixture
def days(products: None, account: Account) -> Account:
    """On each of three days one order and one line of each kind, worth 1 to 6."""
    for day in range(3):
        at = NOON + timedelta(days=day)
        buy(account, "weekly-boost", at=at, cents=100 * (2 * day + 1))
        buy(account, "credits-5", at=at + timedelta(hours=1), cents=100 * (2 * day + 2))
        grant(account, 2 * day + 1, at=at, kind="grant")
        grant(account, 2 * day + 2, at=at + timedelta(hours=1), kind="purchase")
    return account


def worth(page: Answer) -> list[int]:
    return [int(amount.strip("$")) for amount in amounts(page)]


@LISTS
def test_everything_is_listed_the_newest_first(
    days: Account, owner_client: Client, path: str
) -> None:
    assert worth(ask(owner_client, path)) == [6, 5, 4, 3, 2, 1]


def test_rows_of_one_kind_are_found(days: Account, owner_client: Client) -> None:
    assert worth(ask(owner_client, PURCHASES, kind="boost")) == [5, 3, 1]
    assert worth(ask(owner_client, PURCHASES, kind="credits")) == [6, 4, 2]
    assert worth(ask(owner_client, CREDITS, kind="grant")) == [5, 3, 1]
    assert worth(ask(owner_client, CREDITS, kind="purchase")) == [6, 4, 2]
    assert worth(ask(owner_client, CREDITS, kind="spend")) == []


@LISTS
def test_days_are_found_whole_with_the_first_and_the_last(
    days: Account, owner_client: Client, path: str
) -> None:
    assert worth(ask(owner_client, path, **{"from": "2026-03-11"})) == [6, 5, 4, 3]
    assert worth(ask(owner_client, path, to="2026-03-11")) == [4, 3, 2, 1]
    both = ask(owner_client, path, **{"from": "2026-03-11", "to": "2026-03-11"})
    assert worth(both) == [4, 3]
    assert 'value="2026-03-11"' in both.content.decode()


@LISTS
def test_a_day_ends_at_midnight_in_utc(
    products: None, account: Account, owner_client: Client, path: str
) -> None:
    midnight = datetime(2026, 3, 11, tzinfo=UTC)
    for worth_, at in enumerate((midnight - timedelta(microseconds=1), midnight), start=1):
        buy(account, "credits-5", at=at, cents=100 * worth_)
        grant(account, worth_, at=at)
    assert worth(ask(owner_client, path, to="2026-03-10")) == [1]
    assert worth(ask(owner_client, path, **{"from": "2026-03-11"})) == [2]


@LISTS
def test_a_century_is_answered(days: Account, owner_client: Client, path: str) -> None:
    century = {"from": "2000-01-01", "to": "2100-12-31"}
    assert worth(ask(owner_client, path, **century)) == [6, 5, 4, 3, 2, 1]


@LISTS
@pytest.mark.parametrize(
    ("asked", "field", "says"),
    [
        ({"from": "2026-03-12", "to": "2026-03-11"}, "until", "This day is before the first one."),
        ({"from": "yesterday"}, "since", "Write a day that exists, as 2026-11-29."),
        ({"to": "2026-02-30"}, "until", "Write a day that exists, as 2026-11-29."),
        ({"from": "1999-12-31"}, "since", "Choose a year between 2000 and 2100."),
        ({"to": "9999-12-31"}, "until", "Choose a year between 2000 and 2100."),
        ({"kind": "everything"}, "kind", "Choose one of the kinds."),
    ],
)
def test_a_search_that_cannot_be_is_told_at_its_field(  # noqa: PLR0917 - a table
    days: Account, owner_client: Client, path: str, asked: dict[str, str], field: str, says: str
) -> None:
    page = ask(owner_client, path, **asked)
    assert page.context["asked"].errors[field] == [says]
    assert says in page.content.decode()
    assert worth(page) == []


@LISTS
def test_pages_keep_their_rows_while_others_are_added_and_what_they_are_narrowed_by(
    products: None, account: Account, owner_client: Client, path: str
) -> None:
    for number in range(1, 121):
        # Ten of each moment: their order among each other stays, too.
        at = NOON + timedelta(minutes=number // 10)
        buy(account, "credits-5", at=at, cents=100 * number)
        grant(account, number, at=at)
        buy(account, "weekly-boost", at=at, cents=100 * 1000)
        grant(account, 1000, at=at, kind="purchase")
    kind = "credits" if path == PURCHASES else "grant"
    first = ask(owner_client, path, kind=kind, to="2026-03-10")
    buy(account, "credits-5", at=NOON + timedelta(hours=1), cents=100 * 500)
    grant(account, 500, at=NOON + timedelta(hours=1))
    second = follow(owner_client, first, "next")
    third = follow(owner_client, second, "next")
    seen = [worth(page) for page in (first, second, third)]
    assert [len(rows) for rows in seen] == [50, 50, 20]
    assert sorted(row for rows in seen for row in rows) == list(range(1, 121))
    assert worth(follow(owner_client, third, "prev")) == seen[1]


@LISTS
def test_a_page_past_the_last_and_a_damaged_one_lead_to_the_first(
    days: Account, owner_client: Client, path: str
) -> None:
    for place in ("20000101T000000.000000Z-1", "20000101T000000.000000Z-" + str(uuid4()), "\x00"):
        page = ask(owner_client, path, after=place, to="2026-03-12").content.decode()
        assert "Nothing here any more" in page
        assert f'href="{path}?to=2026-03-12">Go to the first page</a>' in page


@LISTS
def test_nobody_else_sees_them(
    days: Account, owner_client: Client, outsider_client: Client, path: str
) -> None:
    place = "20261129T082513.000042Z-" + (str(uuid4()) if path == PURCHASES else "99999")
    for asked in ({}, {"to": "2026-03-12"}, {"after": place}):
        assert worth(ask(outsider_client, path, **asked)) == []
    assert "Nothing yet" in ask(outsider_client, path).content.decode()
    assert Client().get(path).status_code == 302


@LISTS
def test_what_matches_nothing_says_so(days: Account, owner_client: Client, path: str) -> None:
    page = ask(owner_client, path, to="2026-03-01").content.decode()
    assert "Nothing is like that" in page
    assert f'<a class="btn" href="{path}">Show all</a>' in page


def test_the_billing_page_leads_to_both(days: Account, owner_client: Client) -> None:
    page = owner_client.get("/account/billing").content.decode()
    for path in (PURCHASES, CREDITS):
        assert f'<a href="{path}">' in page
