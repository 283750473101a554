"""Pages of lists: whole, in an order that stays while rows are added, and never an error."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs
from uuid import UUID

import pytest
from django.db.models import QuerySet

from accounts.models import Account
from accounts.paging import CannotReadPlace, ListPage, Place, page_of
from billing.models import Purchase

AT = datetime(2026, 11, 29, 8, 25, 13, 42, tzinfo=UTC)


@pytest.fixture
def accounts(db: None) -> QuerySet[Account]:
    """Ten accounts: 0 is the oldest, and 3 to 6 were made in the same microsecond."""
    for number in range(10):
        minutes = 3 if 3 <= number <= 6 else number
        Account.objects.create(name=str(number), created_at=AT + timedelta(minutes=minutes))
    return Account.objects.all()


def page(
    accounts: QuerySet[Account], query: str = "", kept: Mapping[str, str] | None = None
) -> ListPage[Account]:
    """The page behind what an address has after its path; three rows each."""
    asked = {name: values[-1] for name, values in parse_qs(query.removeprefix("?")).items()}
    return page_of(accounts, asked, kept=kept or {}, at_most=3)


def names(page: ListPage[Account]) -> str:
    return "".join(account.name for account in page.rows)


def onward(accounts: QuerySet[Account], start: ListPage[Account]) -> list[str]:
    """What the pages from there to the last one have."""
    found = [names(start)]
    while start.older:
        start = page(accounts, start.older)
        found.append(names(start))
    return found


def test_pages_go_through_all_rows_once_the_newest_first(accounts: QuerySet[Account]) -> None:
    assert onward(accounts, page(accounts)) == ["987", "654", "321", "0"]


def test_the_way_back_shows_the_same_pages(accounts: QuerySet[Account]) -> None:
    second = page(accounts, page(accounts).older)
    third = page(accounts, second.older)
    assert names(page(accounts, third.newer)) == "654"
    first = page(accounts, second.newer)
    assert (names(first), first.newer) == ("987", "")


def test_rows_that_are_added_meanwhile_move_nothing(accounts: QuerySet[Account]) -> None:
    first = page(accounts)
    Account.objects.create(name="x", created_at=AT + timedelta(hours=1))
    assert onward(accounts, page(accounts, first.older)) == ["654", "321", "0"]


def test_on_the_way_back_what_was_added_is_found(accounts: QuerySet[Account]) -> None:
    second = page(accounts, page(accounts).older)
    Account.objects.create(name="x", created_at=AT + timedelta(hours=1))
    back = page(accounts, second.newer)
    assert names(back) == "987"
    assert names(page(accounts, back.newer)) == "x98"


def test_a_place_stays_when_its_row_is_gone(accounts: QuerySet[Account]) -> None:
    first = page(accounts)
    Account.objects.filter(name="7").delete()
    assert names(page(accounts, first.older)) == "654"


def test_a_last_page_that_is_full_has_none_behind_it(accounts: QuerySet[Account]) -> None:
    nine = accounts.exclude(name="0")
    assert onward(nine, page(nine)) == ["987", "654", "321"]


def test_what_the_list_is_narrowed_by_stays_in_every_address(accounts: QuerySet[Account]) -> None:
    second = page(accounts, page(accounts).older, kept={"q": "a&b=ü"})
    assert second.first == "?q=a%26b%3D%C3%BC"
    for way in (second.newer, second.older):
        assert parse_qs(way.removeprefix("?"))["q"] == ["a&b=ü"]


def test_past_the_last_row_nothing_is_and_the_first_page_is_offered(
    accounts: QuerySet[Account],
) -> None:
    last = page(accounts, page(accounts, page(accounts, page(accounts).older).older).older)
    accounts.filter(name="0").delete()
    place = Place(accounts.order_by("created_at", "pk")[0].created_at, 0)
    lost = page(accounts, f"?after={place}", kept={"q": "x"})
    assert (list(lost.rows), lost.is_lost, lost.first) == ([], True, "?q=x")
    assert names(last) == "0"


def test_an_empty_list_is_not_lost(db: None) -> None:
    empty = page(Account.objects.none())
    assert (list(empty.rows), empty.is_lost, empty.newer, empty.older) == ([], False, "", "")


@pytest.mark.parametrize(
    "text",
    [
        *("x", "1", "-", "20261129T082513.000042Z", "20261129T082513.000042Z-", "%00", "\x00"),
        *("20261329T082513.000042Z-1", "20261129T082513.000042Z-1' OR 1=1", "00000101T000000.0Z-1"),
        *("00000101T000000.000000Z-1", "20261129T082513.000042Z-99999999999999999999"),
        *("20261129T082513.000042Z-٣", "20261129T082513.000042Z-1\n", "9" * 100_000),
        "20261129T082513.000042Z-0b0b0b0b-0b0b-4b0b-8b0b-0b0b0b0b0b0b",
    ],
)
def test_a_damaged_place_is_lost_and_no_error(accounts: QuerySet[Account], text: str) -> None:
    for direction in ("after", "before"):
        lost = page_of(accounts, {direction: text}, kept={})
        assert (list(lost.rows), lost.is_lost) == ([], True)


def test_two_places_at_once_are_none(accounts: QuerySet[Account]) -> None:
    place = str(Place(AT, 5))
    assert page_of(accounts, {"after": place, "before": place}, kept={}).is_lost


@pytest.mark.parametrize("moment", [AT, AT.replace(year=1000), AT.replace(year=9999)])
def test_what_a_place_is_written_as_is_read_again(moment: datetime) -> None:
    assert str(Place(AT, 5)) == "20261129T082513.000042Z-5"
    assert Place.read(str(Place(moment, 5)), model=Account) == Place(moment, 5)
    number = UUID("0b0b0b0b-0b0b-4b0b-8b0b-0b0b0b0b0b0b")
    assert Place.read(str(Place(moment, number)), model=Purchase) == Place(moment, number)


def test_a_number_is_no_place_among_rows_with_uuids() -> None:
    with pytest.raises(CannotReadPlace):
        Place.read("20261129T082513.000042Z-5", model=Purchase)
