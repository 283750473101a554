"""Closing a week is a record: early, late, twice or never, nobody gets more or less."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import time_machine
from django.db import connection

from accounts.models import Account, User
from gate.terms import week
from keys.issue import issue_api_key
from quotas.models.used import WeekClose
from quotas.standing import Standing, standing_of
from quotas.tasks import reset_weekly_counters
from quotas.usage.closing import close_ended_weeks
from tests.quotas.conftest import WEDNESDAY
from tests.quotas.live_gate import LiveGate
from tests.quotas.usage.test_drain import fund

pytestmark = pytest.mark.django_db(transaction=True)

WEEK = timedelta(weeks=1)
MONDAY = datetime(2031, 3, 10, tzinfo=UTC)
THIS_WEEK = week.week_of(week.to_ms(WEDNESDAY))
Line = tuple[int, int, int, int]


def lines(account: Account) -> list[Line]:
    found = WeekClose.objects.filter(account=account).order_by("week")
    return [(line.week, line.allowance, line.boost, line.credits) for line in found]


def standing_at(account: Account, at: datetime) -> Standing:
    found = standing_of(account, at=at)
    assert found is not None
    return found


@pytest.fixture
def used(account: Account, key: str, gate: LiveGate) -> Account:
    """A hundred chats in the week of Wednesday, from all three sources."""
    fund(account)
    gate.use(key, 100, at=WEDNESDAY)
    return account


def test_a_week_that_has_ended_is_written_down(used: Account) -> None:
    assert close_ended_weeks(at=MONDAY) == 1
    assert lines(used) == [(THIS_WEEK, 50, 30, 20)]


def test_a_week_that_goes_on_is_not(used: Account) -> None:
    assert close_ended_weeks(at=MONDAY - timedelta(microseconds=1)) == 0
    assert lines(used) == []


@pytest.mark.parametrize("late", [timedelta(hours=3), timedelta(days=1), timedelta(days=6)])
def test_closing_late_writes_the_same(
    used: Account, key: str, gate: LiveGate, late: timedelta
) -> None:
    gate.use(key, 5, at=MONDAY + timedelta(hours=1))
    close_ended_weeks(at=MONDAY + late)
    assert lines(used) == [(THIS_WEEK, 50, 30, 20)]


def test_closing_again_writes_nothing(used: Account) -> None:
    assert close_ended_weeks(at=MONDAY) == 1
    (first,) = WeekClose.objects.all()
    assert close_ended_weeks(at=MONDAY + timedelta(hours=3)) == 0
    assert list(WeekClose.objects.all()) == [first]
    assert WeekClose.objects.get().closed_at == MONDAY


def test_ten_closings_at_once_write_each_week_once(
    used: Account, owner: User, gate: LiveGate
) -> None:
    for number in range(20):
        account = Account.objects.open_for(owner, name=f"account {number}")
        key = issue_api_key(account=account, name="k", submission=uuid4(), by=owner)[1]
        gate.check(key, 1 + number, at=WEDNESDAY)

    def close(_: int) -> int:
        try:
            return close_ended_weeks(at=MONDAY)
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(close, range(10))) == 21
    assert lines(used) == [(THIS_WEEK, 50, 30, 20)]
    allowances = WeekClose.objects.exclude(account=used).values_list("allowance", flat=True)
    assert sorted(allowances) == list(range(1, 21))


def test_two_weeks_that_nobody_closed_are_closed_together(
    used: Account, key: str, gate: LiveGate
) -> None:
    gate.use(key, 8, at=WEDNESDAY + WEEK)
    assert close_ended_weeks(at=MONDAY + 2 * WEEK) == 2
    assert lines(used) == [(THIS_WEEK, 50, 30, 20), (THIS_WEEK + 1, 8, 0, 0)]


def test_a_charge_given_back_after_the_closing_is_mended_by_the_next(
    account: Account, key: str, gate: LiveGate
) -> None:
    decisions = gate.use(key, 10, at=MONDAY - timedelta(hours=1))
    close_ended_weeks(at=MONDAY)
    gate.refund(decisions[0], at=MONDAY + timedelta(hours=1))
    close_ended_weeks(at=MONDAY + timedelta(hours=2))
    assert lines(account) == [(THIS_WEEK, 9, 0, 0)]


@pytest.mark.parametrize("closings", [0, 1, 3])
def test_the_new_week_begins_by_itself_whether_or_not_the_old_one_is_closed(
    used: Account, key: str, gate: LiveGate, closings: int
) -> None:
    before = standing_at(used, MONDAY - timedelta(seconds=1))
    for _ in range(closings):
        close_ended_weeks(at=MONDAY)
    after = standing_at(used, MONDAY)
    assert (before.used, after.used, after.left) == (50, 0, 50)
    # Boosts and credits are as they were, and the allowance is there once.
    assert (after.boosts, after.credits_left) == (before.boosts, before.credits_left)
    gate.use(key, 50, at=MONDAY)
    for _ in range(closings):
        close_ended_weeks(at=MONDAY + timedelta(hours=3))
    assert standing_at(used, MONDAY + timedelta(hours=3)).left == 0


def test_closing_in_the_middle_of_a_week_gives_nothing_back(
    used: Account, key: str, gate: LiveGate
) -> None:
    before = standing_at(used, WEDNESDAY)
    close_ended_weeks(at=WEDNESDAY)
    assert standing_at(used, WEDNESDAY) == before


def test_the_week_after_iso_week_53_is_the_next_one(
    account: Account, key: str, gate: LiveGate
) -> None:
    sunday = datetime(2027, 1, 3, 23, 59, 59, tzinfo=UTC)
    monday = datetime(2027, 1, 4, tzinfo=UTC)
    assert (sunday.isocalendar().week, monday.isocalendar().week) == (53, 1)
    # The 53rd week holds the last days of one year and the first of the next.
    gate.use(key, 20, at=datetime(2026, 12, 28, tzinfo=UTC))
    gate.use(key, 30, at=sunday)
    assert not gate.check(key, at=sunday).allowed
    gate.use(key, 50, at=monday)
    assert not gate.check(key, at=monday).allowed
    close_ended_weeks(at=monday + WEEK)
    number = week.week_of(week.to_ms(sunday))
    assert lines(account) == [(number, 50, 0, 0), (number + 1, 50, 0, 0)]


def test_the_weekly_task_closes_the_week_that_has_just_ended(used: Account) -> None:
    with time_machine.travel(MONDAY + timedelta(seconds=2), tick=False):
        reset_weekly_counters()
    assert lines(used) == [(THIS_WEEK, 50, 30, 20)]


def test_a_chat_of_last_week_given_back_adds_nothing_to_this_one(
    account: Account, key: str, gate: LiveGate
) -> None:
    (late,) = gate.use(key, 1, at=MONDAY - timedelta(hours=1))
    gate.use(key, 10, at=MONDAY)
    assert gate.refund(late, at=MONDAY + timedelta(hours=1))
    assert standing_at(account, MONDAY + timedelta(hours=1)).used == 10
