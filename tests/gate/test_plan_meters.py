"""A plan may have some meters only: its keys are refused at the others, whatever their scopes."""

from dataclasses import replace

import pytest

from gate.store.snapshots import PlanSpan
from gate.terms.pace import Pace
from tests.gate.world import NOW_MS, World


def having(world: World, *meters: str, **more: Pace) -> None:
    """The plan “free” has these meters; “plus” has all."""
    world.catalogue = replace(
        world.catalogue,
        version=world.catalogue.version + 1,
        plan_meters={"free": meters},
        paces=more,
    )


async def test_a_key_is_refused_where_its_plan_has_no_such_meter(world: World) -> None:
    having(world, "chat")
    async with world.gate() as gate:
        assert (await gate.check(meter="chat")).allowed
        refused = await gate.check(meter="images")
        assert (refused.allowed, refused.reason) == (False, "not_permitted")
        # Nothing is charged, and waiting does not help.
        assert refused.retry_after is None
        assert (await gate.check(units=0)).answer.used == 1


@pytest.mark.parametrize(
    ("scopes", "told", "may"),
    [
        ((), "chat", {"chat"}),
        (("images", "chat"), "chat", {"chat"}),
        (("images",), ":", set()),
        (("keys:manage",), ":", set()),
    ],
)
async def test_a_key_may_use_what_both_it_and_its_plan_have(
    world: World, scopes: tuple[str, ...], told: str, may: set[str]
) -> None:
    having(world, "chat")
    world.grant(keys=(world.key_state(version=2, scopes=scopes),))
    async with world.gate() as gate:
        look = (await gate.check(units=0)).answer
        assert look.scopes == told
        assert {meter for meter in ("chat", "images") if look.may_use(meter)} == may
        assert {m for m in ("chat", "images") if (await gate.check(meter=m)).allowed} == may


async def test_keys_keep_their_scopes_and_come_back_with_the_plan(world: World) -> None:
    having(world, "chat")
    world.grant(keys=(world.key_state(version=2, scopes=("images",)),))
    async with world.gate() as gate:
        assert (await gate.check(meter="images")).reason == "not_permitted"
        world.grant(plan="plus")
        await gate.push()
        assert (await gate.check(meter="images")).allowed
        assert (await gate.check(meter="chat")).reason == "not_permitted"
        world.grant(plan="free")
        await gate.push()
        assert (await gate.check(meter="images")).reason == "not_permitted"
        having(world)
        await gate.push_catalogue()
        assert (await gate.check(meter="images")).allowed


async def test_the_plan_of_the_moment_decides(world: World) -> None:
    having(world, "chat")
    ends_ms = NOW_MS + 1000
    world.grant(plan="plus", plans=(PlanSpan("plus", ends_ms), PlanSpan("free", None)))
    async with world.gate() as gate:
        assert (await gate.check(meter="images", at_ms=ends_ms - 1)).allowed
        assert (await gate.check(meter="images", at_ms=ends_ms)).reason == "not_permitted"


async def test_a_plan_of_some_meters_limits_nothing_else(world: World) -> None:
    having(world, "chat")
    async with world.gate() as gate:
        answer = (await gate.check()).answer
        assert (answer.room, answer.room_left) == ("", None)


async def test_meters_and_pace_of_a_plan_both_hold(world: World) -> None:
    having(world, "chat", free=Pace(a_minute=1))
    async with world.gate() as gate:
        assert (await gate.check(meter="images")).reason == "not_permitted"
        assert (await gate.check()).allowed
        assert (await gate.check()).reason == "rate_limited"
