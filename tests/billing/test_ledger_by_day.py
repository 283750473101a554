"""What was used is a line a day, so that what was bought stays in sight; balances add up."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from accounts.models import Account
from quotas import statement
from quotas.models.ledger import CreditEntry
from tests.billing.test_lists import CREDITS, ask, follow, worth

pytestmark = pytest.mark.django_db(transaction=True)

MIDNIGHT = datetime(2026, 3, 10, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def line(account: Account, credits: int, *, at: datetime, kind: str = "spend") -> None:
    CreditEntry.objects.create(
        account=account, credits=credits, kind=kind, created_at=at, source_ref=f"test:{uuid4()}"
    )


def by_day(account: Account, at_most: int = 10) -> list[tuple[str, int, int | None]]:
    return [
        (said.day.isoformat() if said.day else said.note, said.credits, said.balance)
        for said in statement.last_lines_by_day(account, at_most=at_most)
    ]


def bought(account: Account, credits: int, *, at: datetime) -> None:
    CreditEntry.objects.create(
        account=account,
        credits=credits,
        kind="purchase",
        created_at=at,
        note="bought",
        source_ref=f"test:{uuid4()}",
    )


def test_what_was_used_on_a_day_is_one_line_and_a_purchase_stays_in_sight(
    account: Account, owner_client: Client
) -> None:
    bought(account, 500, at=MIDNIGHT)
    for day in range(3):
        for second in range(20):
            line(account, -1, at=MIDNIGHT + day * DAY + HOUR + timedelta(seconds=second))
    assert by_day(account) == [
        ("2026-03-12", -20, 440),
        ("2026-03-11", -20, 460),
        ("2026-03-10", -20, 480),
        ("bought", 500, 500),
    ]
    page = owner_client.get("/account/billing")
    assert [said.credits for said in page.context["credit_entries"]] == [-20, -20, -20, 500]
    text = page.content.decode()
    assert '<time datetime="2026-03-12">' in text
    assert 'data-label="Balance">480<' in text


def test_a_day_ends_at_midnight_in_utc_and_use_between_others_is_a_line_of_its_own(
    account: Account,
) -> None:
    moment = timedelta(microseconds=1)
    bought(account, 10, at=MIDNIGHT - HOUR)
    line(account, -1, at=MIDNIGHT - moment)
    line(account, -2, at=MIDNIGHT)
    line(account, -2, at=MIDNIGHT + moment)
    bought(account, 5, at=MIDNIGHT + HOUR)
    # Of the same moment as the purchase, and written after it.
    line(account, -4, at=MIDNIGHT + HOUR)
    assert by_day(account) == [
        ("2026-03-10", -4, 6),
        ("bought", 5, 10),
        ("2026-03-10", -4, 5),
        ("2026-03-09", -1, 9),
        ("bought", 10, 10),
    ]


def test_no_more_than_is_asked_for_is_told_and_the_oldest_day_is_whole(account: Account) -> None:
    for day in range(15):
        for hour in range(3):
            line(account, -1, at=MIDNIGHT + day * DAY + hour * HOUR)
    told = by_day(account, 10)
    assert [credits for _day, credits, _balance in told] == [-3] * 10
    assert told[0] == ("2026-03-24", -3, -45)
    assert told[-1] == ("2026-03-15", -3, -18)


def test_what_was_given_back_is_in_the_line_of_its_day(account: Account) -> None:
    line(account, -6, at=MIDNIGHT)
    line(account, 2, at=MIDNIGHT + HOUR)
    assert by_day(account) == [("2026-03-10", -4, -4)]


def test_nobody_elses_lines_are_told(account: Account, outsider: Any) -> None:
    line(outsider.personal_account, -6, at=MIDNIGHT)
    assert by_day(account) == []


# --- the whole ledger ---------------------------------------------------------------------------


def test_use_is_left_out_of_the_whole_ledger_until_it_is_asked_for(
    account: Account, owner_client: Client
) -> None:
    bought(account, 500, at=MIDNIGHT)
    for second in range(1, 100):
        line(account, -1, at=MIDNIGHT + timedelta(seconds=second))
    line(account, 7, at=MIDNIGHT + HOUR, kind="grant")
    page = ask(owner_client, CREDITS)
    assert worth(page) == [7, 500]
    # What is left out counts: 500 were bought and 99 used before 7 were given.
    assert [said.balance for said in page.context["page"].rows] == [408, 500]
    assert worth(ask(owner_client, CREDITS, kind="spend"))[:2] == [-1, -1]


def test_all_lines_say_the_balance_after_each_on_every_page(
    account: Account, owner_client: Client
) -> None:
    bought(account, 500, at=MIDNIGHT)
    for second in range(1, 120):
        # Three of each moment.
        line(account, -1, at=MIDNIGHT + timedelta(seconds=1 + second // 3))
    pages = [ask(owner_client, CREDITS, kind="all")]
    for _ in range(2):
        pages.append(follow(owner_client, pages[-1], "next"))
    balances = [said.balance for page in pages for said in page.context["page"].rows]
    assert balances == [*range(381, 500), 500]
    back = follow(owner_client, pages[-1], "prev")
    assert [said.balance for said in back.context["page"].rows] == balances[50:100]
    # Days leave nothing out between two lines.
    day = ask(owner_client, CREDITS, kind="all", to="2026-03-10")
    assert day.context["page"].rows[0].balance == 381
