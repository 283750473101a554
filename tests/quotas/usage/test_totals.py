"""Totals and rollups add up to the same, however far totals are made and whatever comes late."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum
from django.utils import timezone

from accounts.models import Account
from quotas.models.used import (
    Cut,
    Grain,
    RefusalRollup,
    RefusalTotal,
    TokenRollup,
    TokenTotal,
    Totalled,
    UsageRollup,
    UsageTotal,
)
from quotas.usage import drain, refusals, totals
from tests.quotas.conftest import WEDNESDAY
from tests.quotas.live_gate import LiveGate
from tests.quotas.usage.test_drain import fund, three_keys
from tests.quotas.usage.test_live import repeated

__all__ = ["three_keys"]

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)
MONDAY = WEDNESDAY.replace(day=3, hour=0)


def start_of(hour: datetime, grain: Grain) -> datetime:
    """When the day or week of an hour begins."""
    since = hour - datetime(1970, 1, 5, tzinfo=UTC)
    return hour - since % timedelta(hours=grain)


def expected_totals(cut: Cut, grain: Grain) -> Counter[tuple[object, ...]]:
    """What totals must say, by the rollups of hours that are totalled."""
    up_to = totals.totalled_up_to()
    assert up_to is not None
    counted: Counter[tuple[object, ...]] = Counter()
    for row in UsageRollup.objects.filter(hour__lt=up_to):
        part = row.key_id if cut is Cut.KEY else 0
        start = start_of(row.hour, grain)
        counted[row.account_id, part, start, row.meter, row.source] += row.chats
    return +counted


def found_totals(cut: Cut, grain: Grain) -> Counter[tuple[object, ...]]:
    found: Counter[tuple[object, ...]] = Counter()
    for row in UsageTotal.objects.filter(cut=cut, grain=grain):
        found[row.account_id, row.part, row.starts_at, row.meter, row.source] += row.chats
    return +found


def totals_agree() -> bool:
    cuts = [(Cut.ACCOUNT, grain) for grain in (Grain.HOUR, Grain.DAY, Grain.WEEK)]
    return all(
        expected_totals(cut, grain) == found_totals(cut, grain)
        for cut, grain in [
            *cuts,
            *((Cut.KEY, grain) for grain in (Grain.DAY, Grain.WEEK, Grain.FOUR_WEEKS)),
        ]
    )


def test_totals_say_what_rollups_say(three_keys: list[str], gate: LiveGate) -> None:
    for number in range(60):
        meter = "images" if number % 3 == 0 else "chat"
        for key in three_keys:
            gate.check(key, at=WEDNESDAY + number * HOUR / 2, meter=meter)
    drain.move_all()
    totals.catch_up(at=WEDNESDAY + 20 * HOUR)
    assert totals_agree()
    assert {row.source for row in UsageTotal.objects.all()} == {"allowance", "boost", "credits"}
    totals.catch_up(at=WEDNESDAY + 100 * HOUR)
    assert totals_agree()
    assert UsageTotal.objects.filter(cut=Cut.ACCOUNT, grain=Grain.WEEK).aggregate(
        chats=Sum("chats"), credits=Sum("credits")
    ) == UsageRollup.objects.aggregate(chats=Sum("chats"), credits=Sum("credits"))


def test_what_comes_late_is_added(account: Account, key: str, gate: LiveGate) -> None:
    fund(account)
    gate.use(key, 5, at=WEDNESDAY)
    kept = gate.check(key, at=WEDNESDAY, units=30)
    drain.move_all()
    totals.catch_up(at=WEDNESDAY + 5 * HOUR)
    gate.use(key, 3, at=WEDNESDAY + HOUR)
    gate.refund(kept, at=WEDNESDAY + 6 * HOUR)
    drain.move_all()
    assert totals_agree()
    whole = UsageTotal.objects.get(cut=Cut.ACCOUNT, grain=Grain.WEEK, source="allowance")
    assert whole.chats == 8


def test_nothing_is_lost_between_a_drain_and_the_totals(
    account: Account, key: str, gate: LiveGate
) -> None:
    fund(account, credits=100_000)
    hours = iter(range(1, 10_000))
    with repeated(lambda: totals.catch_up(at=MONDAY + next(hours) * HOUR / 4)):
        for number in range(40):
            gate.use(key, 3, at=MONDAY + number * HOUR / 3)
            drain.move_all()
    assert totals_agree()


def test_an_hour_says_when_in_it_chats_came(account: Account, key: str, gate: LiveGate) -> None:
    for minute, chats in ((0, 1), (14, 2), (15, 4), (29, 8), (30, 16), (59, 5)):
        gate.use(key, chats, at=WEDNESDAY + timedelta(minutes=minute))
    drain.move_all()
    totals.catch_up(at=WEDNESDAY + 2 * HOUR)
    counts = ("chats", "chats_from_15", "chats_from_30", "chats_from_45")
    assert UsageRollup.objects.values_list(*counts).get() == (36, 33, 21, 5)
    hour = UsageTotal.objects.filter(cut=Cut.ACCOUNT, grain=Grain.HOUR)
    assert hour.values_list(*counts).get() == (36, 33, 21, 5)


def test_members_have_totals_of_their_keys(
    three_keys: list[str], gate: LiveGate, account: Account
) -> None:
    for key in three_keys:
        gate.use(key, 2, at=WEDNESDAY)
    drain.move_all()
    totals.catch_up(at=WEDNESDAY + 2 * HOUR)
    owner = account.memberships.get().user_id
    member = UsageTotal.objects.filter(account=account, cut=Cut.MEMBER, grain=Grain.DAY)
    assert member.values_list("part", "chats").get() == (owner, 4)


def test_refusals_and_tokens_have_totals(account: Account, key: str, gate: LiveGate) -> None:
    gate.use(key, 50, at=WEDNESDAY)
    for _ in range(3):
        assert not gate.check(key, at=WEDNESDAY).allowed
    drain.move_all()
    refusals.move_all()
    TokenRollup.objects.create(
        account=account, key_id=1, meter="chat", model="m", hour=WEDNESDAY,
        chats=4, answers=2, tokens_in=7, tokens_out=9,
    )  # fmt: skip
    totals.catch_up(at=WEDNESDAY + 2 * HOUR)
    TokenRollup.objects.update(tokens_in=10)
    RefusalRollup.objects.update(refusals=4)
    day = RefusalTotal.objects.filter(grain=Grain.DAY).values_list("reason", "refusals")
    assert list(day) == [("quota_exhausted", 4)]
    counts = ("chats", "answers", "tokens_in", "tokens_out")
    tokens = TokenTotal.objects.filter(grain=Grain.DAY).values_list(*counts)
    assert list(tokens) == [(4, 2, 10, 9)]


def test_hours_that_are_folded_are_days_still(account: Account, key: str, gate: LiveGate) -> None:
    gate.use(key, 7, at=WEDNESDAY)
    gate.use(key, 2, at=WEDNESDAY + 30 * HOUR)
    drain.move_all()
    totals.catch_up(at=WEDNESDAY + 50 * HOUR)
    before = found_totals(Cut.KEY, Grain.DAY)
    assert totals.fold(before=WEDNESDAY + 24 * HOUR) == 1
    assert Totalled.objects.get().folded_before == WEDNESDAY.replace(hour=0, day=6)
    assert UsageRollup.objects.get().hour == WEDNESDAY + 30 * HOUR
    assert found_totals(Cut.KEY, Grain.DAY) == before


def test_hours_without_totals_are_never_folded(account: Account, key: str, gate: LiveGate) -> None:
    gate.use(key, 7, at=WEDNESDAY)
    drain.move_all()
    assert totals.fold(before=WEDNESDAY + 100 * HOUR) == 0
    totals.catch_up(at=WEDNESDAY - HOUR)
    assert totals.fold(before=WEDNESDAY + 100 * HOUR) == 0
    assert UsageRollup.objects.count() == 1


def test_a_command_folds_what_is_older_than_it_is_told(account: Account) -> None:
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    for days in (59, 61, 401):
        UsageRollup.objects.create(
            account=account, key_id=1, meter="chat", source="allowance",
            hour=now - timedelta(days=days), chats=1,
        )  # fmt: skip
    told = StringIO()
    call_command("fold_usage", stdout=told)
    assert told.getvalue() == "1 rows of hours are folded into days.\n"
    call_command("fold_usage", days=60, stdout=told)
    assert UsageRollup.objects.count() == 1
    assert UsageTotal.objects.filter(cut=Cut.KEY, grain=Grain.DAY).count() == 3
    with pytest.raises(CommandError, match="--days: at least 60"):
        call_command("fold_usage", days=7)


def test_totals_begin_where_there_is_nothing() -> None:
    assert totals.catch_up(at=WEDNESDAY) == 1
    assert Totalled.objects.get().up_to == WEDNESDAY - HOUR
    assert totals.catch_up(at=WEDNESDAY) == 0
