"""Plans that follow one another: the gate switches by Valkey's clock, without being told."""

from typing import Any

import pytest
from django.conf import settings

from gate.store import hot_state
from gate.store.connection import sync_client
from gate.store.snapshots import PlanSpan
from tests.gate.world import HOUR_MS, NOW_MS, World, now_ms

PRO_FOR_AN_HOUR = (PlanSpan("pro", NOW_MS + HOUR_MS), PlanSpan("free", None))


async def test_a_plan_counts_until_the_moment_it_ends(world: World) -> None:
    world.grant(plan="pro", plans=PRO_FOR_AN_HOUR, used=50)
    async with world.gate() as gate:
        before = await gate.check(at_ms=NOW_MS + HOUR_MS - 1)
        after = await gate.check(at_ms=NOW_MS + HOUR_MS)
    assert (before.allowed, before.answer.plan, before.answer.cap) == (True, "pro", None)
    assert (after.reason, after.answer.plan, after.answer.cap) == ("quota_exhausted", "free", 50)
    assert world.account_loads == 1


async def test_each_of_several_plans_has_its_turn(world: World) -> None:
    world.grant(
        plans=(
            PlanSpan("free", NOW_MS + HOUR_MS),
            PlanSpan("plus", NOW_MS + 2 * HOUR_MS),
            PlanSpan("none", None),
        )
    )
    async with world.gate() as gate:
        plans = [(await gate.check(at_ms=NOW_MS + h * HOUR_MS)).answer.plan for h in range(4)]
    assert plans == ["free", "plus", "none", "none"]


async def test_a_plan_that_ends_and_is_followed_by_none_goes_on(world: World) -> None:
    """It cannot be, but an account without a plan would be a free pass or an outage."""
    world.grant(plans=(PlanSpan("plus", NOW_MS - HOUR_MS),))
    async with world.gate() as gate:
        assert (await gate.check()).answer.plan == "plus"


async def test_valkeys_clock_switches(world: World) -> None:
    now = now_ms()
    world.grant(plans=(PlanSpan("pro", now - HOUR_MS), PlanSpan("plus", now + HOUR_MS)))
    async with world.gate() as gate:
        assert (await gate.check(at_ms=None)).answer.plan == "plus"


async def test_a_pack_counts_only_with_the_plan_that_includes_it(world: World) -> None:
    spans = (PlanSpan("plus", NOW_MS + HOUR_MS), PlanSpan("free", None))
    world.grant(plan="plus", plans=spans, packs=("copilot-pro",))
    async with world.gate() as gate:
        assert (await gate.check(at_ms=NOW_MS)).answer.cap is None
        assert (await gate.check(at_ms=NOW_MS + HOUR_MS)).answer.cap == 50


@pytest.mark.parametrize("request_id", [None, "asked-once"])
async def test_a_plain_charge_and_every_other_know_the_same_plan(
    world: World, request_id: str | None
) -> None:
    world.grant(plan="pro", plans=PRO_FOR_AN_HOUR)
    after = {"at_ms": NOW_MS + 2 * HOUR_MS}
    async with world.gate() as gate:
        plain = await gate.check(request_id=request_id, **after)
        looked = await gate.check(units=0, **after)
        held = await gate.check(hold_seconds=60, **after)
    assert {d.answer.plan for d in (plain, looked, held)} == {"free"}


async def test_plans_that_the_next_version_does_not_have_are_forgotten(world: World) -> None:
    world.grant(plan="pro", plans=PRO_FOR_AN_HOUR)
    async with world.gate() as gate:
        await gate.check()
        world.grant(plan="plus", plans=())
        await gate.push()
        assert (await gate.check()).answer.plan == "plus"


async def test_what_a_release_without_dated_plans_writes_later_counts(world: World) -> None:
    """It knows `plan` and leaves `plans` as it was, of another version."""
    world.grant(plan="pro", plans=PRO_FOR_AN_HOUR)
    async with world.gate() as gate:
        await gate.check()
        client: Any = sync_client(settings.REDIS_URL)
        name = hot_state.keys_of(world.handle).account
        client.hset(name, mapping={"version": world.snapshot.version + 1, "plan": "plus"})
        assert (await gate.check()).answer.plan == "plus"
