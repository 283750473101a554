"""One allowance a week, whoever closes the week, however often, and whatever a clock says."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from gate.decision.check import Decision, Gate
from gate.terms import week
from partitions.models import Partition
from quotas.models.ledger import Boost
from quotas.models.used import UsageRollup, WeekClose
from quotas.usage import closing, drain
from tests.faults.customers import Customer, Used, customer
from tests.patient_gate import patient_gate

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("plans")]

HOUR_MS = 3600 * 1000


async def _use(gate: Gate, buyer: Customer, times: int, *, at_ms: int) -> list[Decision]:
    return [await gate.check(key=buyer.key, at_ms=at_ms) for _ in range(times)]


def _sources(decisions: list[Decision]) -> list[str]:
    """What paid for each: "a"llowance, "b"oost, "c"redits or "-" for a refusal."""
    answers = [decision.answer for decision in decisions]
    return [
        "-"
        if answer is None or answer.status != "ok"
        else "a" * answer.allowance_taken or "b" * answer.boost_taken or "c"
        for answer in answers
    ]


def _paid(decisions: list[Decision]) -> str:
    """The sources in order, each with how often it paid in a row."""
    text = "".join(_sources(decisions))
    parts, start = [], 0
    for at in range(1, len(text) + 1):
        if at == len(text) or text[at] != text[start]:
            parts.append(f"{text[start]}{at - start}")
            start = at
    return " ".join(parts)


def _at_once(act: Callable[[], object], times: int) -> None:
    """Run an act in that many threads, all beginning together."""
    together = threading.Barrier(times)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            together.wait(10)
            act()
        except BaseException as error:  # noqa: BLE001 - raised where the test can see it
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _closed() -> dict[tuple[str, int], Used]:
    return {
        (row.account.handle, row.week): Used(row.allowance, row.boost, row.credits)
        for row in WeekClose.objects.select_related("account")
    }


def test_closing_ten_times_at_once_late_and_again_changes_nobodys_limit() -> None:
    buyers = [customer(boosts=[(10, 21)], credits=11) for _ in range(20)]
    ended = week.week_of(week.to_ms(datetime.now(UTC)))
    last_hour_ms = week.starts_ms(ended + 1) - HOUR_MS

    async def spend(at_ms: int) -> set[str]:
        async with patient_gate() as gate:
            used = await asyncio.gather(*(_use(gate, buyer, 55, at_ms=at_ms) for buyer in buyers))
        return {_paid(decisions) for decisions in used}

    assert asyncio.run(spend(last_hour_ms)) == {"a50 b5"}
    # Nothing is drained: whoever closes first does it, while the others are at it too.
    three_hours_late = week.starts_at(ended + 1) + timedelta(hours=3)
    _at_once(lambda: closing.close_ended_weeks(at=three_hours_late), 10)
    expected = {(buyer.account.handle, ended): Used(50, 5, 0) for buyer in buyers}
    assert _closed() == expected

    assert asyncio.run(spend(last_hour_ms + 2 * HOUR_MS)) == {"a50 b5"}
    _at_once(lambda: closing.close_ended_weeks(at=three_hours_late), 10)
    assert closing.close_ended_weeks(at=three_hours_late + timedelta(days=1)) == 0
    assert _closed() == expected
    # Nobody got another allowance, and what was bought is as it was.
    assert asyncio.run(spend(last_hour_ms + 30 * HOUR_MS)) == {"c5 -50"}
    drain.move_all()
    assert {buyer.drained for buyer in buyers} == {Used(allowance=100, boost=10, credits=10)}


def test_a_week_is_closed_with_what_another_worker_is_draining() -> None:
    buyer = customer()
    ended = week.week_of(week.to_ms(datetime.now(UTC)))

    async def spend(times: int) -> None:
        async with patient_gate() as gate:
            await _use(gate, buyer, times, at_ms=week.starts_ms(ended + 1) - HOUR_MS)

    asyncio.run(spend(30))
    drain.move_all()
    asyncio.run(spend(15))
    at_work, may_end = threading.Event(), threading.Event()

    def drain_slowly() -> None:
        with transaction.atomic():
            Partition.objects.select_for_update().get(pk=buyer.account.partition_index)
            at_work.set()
            may_end.wait(10)
        connection.close()

    other = threading.Thread(target=drain_slowly)
    other.start()
    at_work.wait(10)
    threading.Timer(0.3, may_end.set).start()
    closing.close_ended_weeks(at=week.ends_at(ended))
    other.join()
    assert _closed() == {(buyer.account.handle, ended): Used(allowance=45)}


def test_the_week_after_iso_week_53_is_one_week_and_nobody_has_to_begin_it() -> None:
    """The task never runs: no beat, no worker."""
    buyer = customer(boosts=[(10, 90)], credits=2)
    sunday = datetime(2027, 1, 3, 23, 59, 59, 999_000, tzinfo=UTC)
    monday = sunday + timedelta(milliseconds=1)
    assert (sunday.isocalendar().week, monday.isocalendar().week) == (53, 1)

    async def story() -> list[str]:
        async with patient_gate() as gate:
            return [
                _paid(await _use(gate, buyer, times, at_ms=week.to_ms(at)))
                for at, times in (
                    (sunday - timedelta(days=6), 30),
                    (sunday, 25),
                    (monday, 52),
                    (monday + timedelta(days=6, hours=23, minutes=59), 7),
                    (monday + timedelta(days=7), 1),
                )
            ]

    assert asyncio.run(story()) == ["a30", "a20 b5", "a50 b2", "b3 c1 -3", "a1"]
    drain.move_all()
    used = {
        number: sum(
            UsageRollup.objects.filter(
                source="allowance",
                hour__gte=week.starts_at(number),
                hour__lt=week.ends_at(number),
            ).values_list("chats", flat=True)
        )
        for number in (week.week_of(week.to_ms(sunday)), week.week_of(week.to_ms(monday)))
    }
    assert list(used.values()) == [50, 50]


@pytest.mark.parametrize("minutes", [-60, 60], ids=["an hour behind", "an hour ahead"])
def test_two_processes_an_hour_apart_give_one_allowance_a_week(minutes: int) -> None:
    """One of them is right; the week of an account ends when the first one says so."""
    buyer = customer(boosts=[(30, 21)], credits=20)
    ended = week.week_of(week.to_ms(datetime.now(UTC)))
    ends_ms = week.starts_ms(ended + 1)
    given = {ended: 0, ended + 1: 0}

    async def story() -> None:
        async with patient_gate() as right, patient_gate() as wrong:
            # Every ten minutes from two hours before to two hours after the end of the week.
            for now_ms in range(ends_ms - 2 * HOUR_MS, ends_ms + 2 * HOUR_MS, 10 * 60_000):
                wrong_ms = now_ms + minutes * 60_000
                used = await _use(right, buyer, 3, at_ms=now_ms)
                used += await _use(wrong, buyer, 3, at_ms=wrong_ms)
                for decision in used:
                    assert decision.answer is not None
                    given[decision.answer.week] += decision.answer.allowance_taken

    asyncio.run(story())
    assert given[ended] <= 50
    assert given[ended + 1] == 50
    drain.move_all()
    boost = Boost.objects.get(account=buyer.account)
    closing.close_ended_weeks(at=week.ends_at(ended + 1))
    assert {key[1]: used.allowance for key, used in _closed().items()} == given
    # What was bought paid for what the allowances did not, and for no more.
    rest = 4 * 6 * 6 - sum(given.values())
    assert boost.spent == min(30, rest)
    assert buyer.drained.credits == min(20, 2 * max(0, rest - 30))
