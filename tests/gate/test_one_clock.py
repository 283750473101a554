"""Whatever time a caller's machine believes it is, Valkey's clock decides for everybody.

Here callers are an hour, and eight days, fast or slow: what one of them did to others would show.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from gate.decision import receipt
from gate.decision.check import CannotRefund, CannotSettle
from gate.terms import week
from tests.gate.quota_service import QuotaService
from tests.gate.world import HOUR_MS, PEPPER, World, now_ms

MINUTE_MS = 60_000
WRONG_BY = [timedelta(hours=1), timedelta(hours=-1), timedelta(days=8), timedelta(days=-8)]


@pytest.fixture(params=WRONG_BY, ids=["hour fast", "hour slow", "8 days fast", "8 days slow"])
def wrong(request: pytest.FixtureRequest) -> Iterator[timedelta]:
    """How far the clock of this process is off."""
    off: timedelta = request.param
    with time_machine.travel(timezone.now() + off, tick=True):
        yield off


@pytest.fixture
def right_ms() -> int:
    """What time it is, asked before the clock is set wrong."""
    return now_ms()


async def test_nobody_releases_what_others_hold(
    world: World, right_ms: int, wrong: timedelta
) -> None:
    async with world.gate() as gate:
        # Holds that were taken by the right clock, for half an hour.
        ours, other = [
            await gate.check(at_ms=right_ms, units=10, hold_seconds=1800) for _ in range(2)
        ]
        assert (await gate.check(at_ms=None)).allowed
        assert (await gate.check(at_ms=None, units=0)).answer.allowance_left == 29
        held = await gate.check(at_ms=None, units=5, hold_seconds=60)
        await gate.gate.settle(charge_id=held.charge_id, units=1)
        await gate.gate.refund(charge_id=other.charge_id)
        kept = await gate.gate.settle(charge_id=ours.charge_id, units=7)
        assert (kept.status, kept.allowance) == ("ok", 7)
        assert (await gate.check(at_ms=None, units=0)).answer.used == 9


async def test_a_hold_lasts_as_long_as_was_asked_for(
    world: World, right_ms: int, wrong: timedelta
) -> None:
    async with world.gate() as gate:
        held = await gate.check(at_ms=None, units=10, hold_seconds=600)
        look = await gate.check(at_ms=right_ms + 9 * MINUTE_MS, units=0)
        assert look.answer.allowance_left == 40
        look = await gate.check(at_ms=right_ms + 11 * MINUTE_MS, units=0)
        assert look.answer.allowance_left == 50
        with pytest.raises(CannotSettle, match="hold_expired"):
            await gate.gate.settle(charge_id=held.charge_id, units=1)


async def test_the_week_is_valkeys(world: World, right_ms: int, wrong: timedelta) -> None:
    this_week = week.week_of(right_ms)
    world.grant(used=50, week=this_week)
    async with world.gate() as gate:
        refused = await gate.check(at_ms=None)
        assert (refused.reason, refused.answer.week) == ("quota_exhausted", this_week)
        assert 0 <= refused.answer.at_ms - right_ms < HOUR_MS // 2
        assert refused.retry_after == refused.seconds_to_reset
        seconds = (week.starts_ms(this_week + 1) - right_ms) / 1000
        assert abs(refused.retry_after - seconds) < 1800


async def test_keys_and_boosts_end_by_valkeys_clock(
    world: World, right_ms: int, wrong: timedelta
) -> None:
    boosts = tuple(
        replace(world.boost(number, chats, hours=0), expires_ms=right_ms + minutes * MINUTE_MS)
        for number, chats, minutes in ((1, 3, 30), (2, 5, -30))
    )
    world.grant(boosts=boosts, keys=(world.key_state(version=2, expires_ms=right_ms + HOUR_MS),))
    async with world.gate() as gate:
        look = await gate.check(at_ms=None, units=0)
        assert (look.reason, look.answer.boost_left) == ("ok", 3)
        ended = world.key_state(version=3, expires_ms=right_ms - MINUTE_MS)
        world.grant(keys=(ended,))
        await gate.push()
        assert (await gate.check(at_ms=None)).reason == "invalid_key"


@pytest.mark.parametrize(("hours_ago", "is_too_late"), [(23.5, False), (24.5, True)])
async def test_a_charge_is_given_back_for_a_day_of_valkeys(
    world: World, right_ms: int, wrong: timedelta, hours_ago: float, is_too_late: bool
) -> None:
    """Its mark stays a day: who refunds later than that could do it twice."""
    async with world.gate() as gate:
        charged = await gate.check(at_ms=None)
        paid = receipt.from_charge_id(charged.charge_id, [PEPPER])
        charge_id = receipt.to_charge_id(
            replace(paid, at_ms=right_ms - int(hours_ago * HOUR_MS)), PEPPER
        )
        if is_too_late:
            with pytest.raises(CannotRefund, match="too_late"):
                await gate.gate.refund(charge_id=charge_id)
        else:
            assert (await gate.gate.refund(charge_id=charge_id)).status == "ok"
            assert (await gate.gate.refund(charge_id=charge_id)).status == "already"


def test_the_service_tells_nobodys_time(
    service: QuotaService, right_ms: int, wrong: timedelta
) -> None:
    this_week = week.week_of(right_ms)
    service.world.grant(used=30, week=this_week)
    held = service.check(units=10, hold_seconds=1800).json()
    assert held["resets_at"] == week.ends_at_text(this_week)
    answer = service.authorize()
    assert answer.headers["x-ratelimit-remaining"] == "9"
    assert int(answer.headers["x-ratelimit-reset"]) == week.starts_ms(this_week + 1) // 1000
    assert service.post("settle", {"charge_id": held["charge_id"], "units": 10}).json()["settled"]
    assert service.post("refund", {"charge_id": held["charge_id"]}).json()["refunded"]
