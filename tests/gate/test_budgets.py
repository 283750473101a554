"""What keys and members may use in a day, a week, a month and in all, beside their account."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from gate.store import snapshots
from gate.store.snapshots import UsedSoFar
from gate.terms import month, week
from gate.terms.budget import DAY_MS, Budget, day_of
from tests.gate.world import HOUR_MS, NOW_MS, OpenGate, World

# A Wednesday noon, in the middle of a month.
TOMORROW_MS = (day_of(NOW_MS) + 1) * DAY_MS
NEXT_WEEK_MS = week.starts_ms(week.week_of(NOW_MS) + 1)
NEXT_MONTH_MS = week.to_ms(month.ends_at(month.month_of(NOW_MS)))
MEMBER = 5


def budget(
    world: World, *, key: Budget | None = None, member: Budget | None = None, **more: Any
) -> None:
    """What the key, and whoever made it, may use."""
    world.grant(
        plan="pro",
        keys=(
            world.key_state(
                version=2,
                budget=key or Budget(),
                member=None if member is None else MEMBER,
                **more,
            ),
        ),
        budgets={} if member is None else {MEMBER: member},
    )
    used_by_nobody(world, member=member is not None)


def used_by_nobody(world: World, *, member: bool, **used: int) -> None:
    """What PostgreSQL says was used by now: nothing, or what is told."""
    of_key = UsedSoFar(
        handle=world.handle,
        epoch=world.epoch,
        drained_id="0-0",
        counts_as=snapshots.used_by_key(7),
        key_ids=(7,),
        day=day_of(NOW_MS),
        week=week.week_of(NOW_MS),
        month=month.month_of(NOW_MS),
        member=MEMBER if member else None,
        **{name: used.get(name, 0) for name in ("in_day", "in_week", "in_month", "in_all")},
    )
    of_member = replace(of_key, counts_as=snapshots.used_by_member(MEMBER), member=None)
    world.used = [of_key, *([of_member] if member else [])]


async def ask(gate: OpenGate, *, at_ms: int = NOW_MS, **more: Any) -> Any:
    return await gate.check(at_ms=at_ms, **more)


@pytest.mark.parametrize(
    ("limits", "passes_ms"),
    [
        (Budget(a_day=3), TOMORROW_MS),
        (Budget(a_month=3), NEXT_MONTH_MS),
        (Budget(in_all=3), 0),
    ],
)
async def test_a_key_uses_so_much_and_says_when_it_goes_on(
    world: World, limits: Budget, passes_ms: int
) -> None:
    budget(world, key=limits)
    async with world.gate() as gate:
        assert (await ask(gate, units=2)).allowed
        refused = await ask(gate, units=2)
        assert (refused.reason, refused.answer.passes_at_ms) == ("key_budget_reached", passes_ms)
        assert (await ask(gate)).allowed
        met = (await ask(gate)).answer.budget_met
        assert (met.by, met.most, met.used) == ("key", 3, 3)
        if passes_ms:
            assert not (await ask(gate, at_ms=passes_ms - 1)).allowed
            assert (await ask(gate, at_ms=passes_ms, units=3)).allowed


async def test_what_takes_more_than_a_budget_never_passes(world: World) -> None:
    budget(world, key=Budget(a_day=3))
    async with world.gate() as gate:
        refused = await ask(gate, units=4)
        assert (refused.reason, refused.retry_after) == ("key_budget_reached", None)


async def test_the_budgets_of_key_and_member_both_hold(world: World) -> None:
    budget(world, key=Budget(a_day=5), member=Budget(a_week=3))
    async with world.gate() as gate:
        assert (await ask(gate, units=3)).allowed
        refused = await ask(gate)
        assert (refused.reason, refused.answer.passes_at_ms) == (
            "member_budget_reached",
            NEXT_WEEK_MS,
        )
        assert (await ask(gate, at_ms=NEXT_WEEK_MS, units=3)).allowed


async def test_of_the_weeks_cap_and_a_budget_the_one_that_ends_last_is_told(world: World) -> None:
    budget(world, key=Budget(a_day=3, in_all=3), weekly_cap=3)
    async with world.gate() as gate:
        assert (await ask(gate, units=3)).allowed
        refused = await ask(gate)
        assert (refused.reason, refused.retry_after) == ("key_budget_reached", None)


async def test_a_day_that_ends_before_the_week_is_not_told_where_both_refuse(world: World) -> None:
    budget(world, key=Budget(a_day=3), weekly_cap=3)
    async with world.gate() as gate:
        assert (await ask(gate, units=3)).allowed
        refused = await ask(gate)
        assert (refused.reason, refused.answer.passes_at_ms) == ("key_cap_reached", NEXT_WEEK_MS)


async def test_a_look_says_what_budgets_leave(world: World) -> None:
    budget(world, key=Budget(a_day=5, in_all=100), member=Budget(a_month=4))
    async with world.gate() as gate:
        assert (await ask(gate, units=0)).answer.chats_left == 4
        await ask(gate, units=3)
        assert (await ask(gate, units=0)).answer.chats_left == 1


async def test_what_comes_back_counts_no_more(world: World) -> None:
    budget(world, key=Budget(a_day=3), member=Budget(a_month=3))
    async with world.gate() as gate:
        charge = await ask(gate, units=3)
        await gate.gate.refund(charge_id=charge.charge_id, at_ms=NOW_MS)
        held = await ask(gate, units=3, hold_seconds=60)
        await gate.gate.settle(charge_id=held.charge_id, units=1, at_ms=NOW_MS)
        assert not (await ask(gate, units=3)).allowed
        assert (await ask(gate, units=2, hold_seconds=60)).allowed
        assert not (await ask(gate)).allowed
        # The hold has run out.
        assert (await ask(gate, units=2, at_ms=NOW_MS + 61_000)).allowed
        assert not (await ask(gate, at_ms=NOW_MS + 61_000)).allowed


async def test_what_was_charged_yesterday_gives_today_nothing(world: World) -> None:
    budget(world, key=Budget(a_day=3))
    async with world.gate() as gate:
        charge = await ask(gate, units=3, at_ms=TOMORROW_MS - HOUR_MS)
        assert (await ask(gate, units=3, at_ms=TOMORROW_MS)).allowed
        await gate.gate.refund(charge_id=charge.charge_id, at_ms=TOMORROW_MS)
        assert not (await ask(gate, at_ms=TOMORROW_MS)).allowed


async def test_what_was_used_before_the_budget_counts(world: World) -> None:
    async with world.gate() as gate:
        # In PostgreSQL already, in the stream, and held.
        await ask(gate, units=2)
        held = await ask(gate, units=3, hold_seconds=600)
        budget(world, key=Budget(a_day=10))
        used_by_nobody(world, member=False, in_day=4)
        await gate.client.run(snapshots.put_key_call(world.handle, world.snapshot.keys[0]))
        assert (await ask(gate, units=0)).answer.budget_left == 1
        assert world.used_counts == 1
        await gate.gate.settle(charge_id=held.charge_id, units=0, at_ms=NOW_MS)
        assert (await ask(gate, units=4)).allowed
        assert not (await ask(gate)).allowed


async def test_a_budget_that_was_taken_away_is_counted_anew_when_it_comes_back(
    world: World,
) -> None:
    budget(world, key=Budget(a_day=3))
    async with world.gate() as gate:
        assert (await ask(gate, units=3)).allowed
        state = world.snapshot.keys[0]
        without = replace(state, version=3, budget=Budget())
        await gate.client.run(snapshots.put_key_call(world.handle, without))
        assert (await ask(gate, units=5)).allowed
        again = replace(state, version=4, budget=Budget(a_day=9))
        await gate.client.run(snapshots.put_key_call(world.handle, again))
        # The stream has all of it.
        assert (await ask(gate, units=0)).answer.budget_left == 1


async def test_nobody_gets_more_by_asking_at_once(world: World) -> None:
    budget(world, key=Budget(in_all=40), member=Budget(a_day=25))
    async with world.gate() as gate:
        said = await asyncio.gather(*(ask(gate) for _ in range(100)))
        assert sum(decision.allowed for decision in said) == 25
        # Once, and perhaps again for what was asked before and answered after.
        assert world.used_counts < 5


async def test_a_cold_account_is_counted_from_what_postgresql_says(world: World) -> None:
    budget(world, key=Budget(in_all=10))
    async with world.gate() as gate:
        assert (await ask(gate, units=3)).allowed
        world.epoch += 1
        used_by_nobody(world, member=False, in_all=9)
        await gate.push_catalogue()
        refused = await ask(gate, units=2)
        # With what waits in the stream.
        assert refused.answer.budget_met.used == 12
