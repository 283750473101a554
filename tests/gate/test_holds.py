"""Holds: reserved, settled in part, released by the clock."""

import asyncio

import pytest

from gate.decision.check import CannotExtend, CannotSettle
from gate.store.hot_state import Tokens
from gate.terms import week
from tests.gate.world import NOW_MS, World


def rich(world: World) -> None:
    """3 chats of the allowance left, 2 of a boost, 100 credits."""
    world.grant(used=47, boosts=(world.boost(1, 2, hours=24 * 30),), credits=100)


async def test_a_hold_counts_until_it_is_settled(world: World) -> None:
    async with world.gate() as gate:
        held = await gate.check(units=10, hold_seconds=60)
        assert held.allowed
        assert (await gate.check(units=0)).answer.allowance_left == 40
        assert gate.entries() == []


async def test_settling_keeps_in_the_burn_order_and_gives_the_rest_back(world: World) -> None:
    rich(world)
    async with world.gate() as gate:
        held = await gate.check(units=10, hold_seconds=60)
        kept = await gate.gate.settle(charge_id=held.charge_id, units=4, at_ms=NOW_MS + 1)
        assert (kept.status, kept.allowance, kept.boost, kept.credits) == ("ok", 3, 1, 0)
        answer = (await gate.check(units=0)).answer
        assert (answer.allowance_left, answer.boost_left, answer.credits_left) == (0, 1, 100)
        (entry,) = gate.entries()
        assert (entry.allowance, entry.boosts, entry.credit_chats) == (3, ((1, 1),), 0)


async def test_settling_credits_in_part_keeps_whole_chats(world: World) -> None:
    world.grant(used=50, credits=100)
    async with world.gate() as gate:
        held = await gate.check(units=10, hold_seconds=60)
        kept = await gate.gate.settle(charge_id=held.charge_id, units=3, at_ms=NOW_MS + 1)
        assert kept.credits == 6
        assert (await gate.check(units=0)).answer.credits_left == 94


async def test_a_hold_that_runs_out_is_released_by_the_clock(world: World) -> None:
    rich(world)
    async with world.gate() as gate:
        held = await gate.check(units=10, hold_seconds=60)
        assert (await gate.check(units=0, at_ms=NOW_MS + 59_999)).answer.credits_left == 90
        answer = (await gate.check(units=0, at_ms=NOW_MS + 60_000)).answer
        assert (answer.allowance_left, answer.boost_left, answer.credits_left) == (3, 2, 100)
        with pytest.raises(CannotSettle, match="hold_expired"):
            await gate.gate.settle(charge_id=held.charge_id, units=1, at_ms=NOW_MS + 60_001)
        assert gate.entries() == []


async def test_what_a_hold_releases_is_usable_at_once(world: World) -> None:
    async with world.gate() as gate:
        await gate.check(units=50, hold_seconds=1)
        assert not (await gate.check()).allowed
        assert (await gate.check(at_ms=NOW_MS + 1_000)).allowed


async def test_settling_twice_is_settling_once(world: World) -> None:
    async with world.gate() as gate:
        held = await gate.check(units=10, hold_seconds=60)
        settled = await asyncio.gather(
            *(gate.gate.settle(charge_id=held.charge_id, units=4, at_ms=NOW_MS) for _ in range(10))
        )
        assert sorted(kept.status for kept in settled) == ["already"] * 9 + ["ok"]
        assert {kept.allowance for kept in settled} == {4}
        assert len(gate.entries()) == 1
        with pytest.raises(CannotSettle, match="settled_otherwise"):
            await gate.gate.settle(charge_id=held.charge_id, units=5, at_ms=NOW_MS)


async def test_more_than_was_held_cannot_be_kept(world: World) -> None:
    async with world.gate() as gate:
        held = await gate.check(units=10, hold_seconds=60)
        with pytest.raises(CannotSettle, match="too_much"):
            await gate.gate.settle(charge_id=held.charge_id, units=11, at_ms=NOW_MS)
        kept = await gate.gate.settle(charge_id=held.charge_id, units=10, at_ms=NOW_MS)
        assert kept.allowance == 10


async def test_a_charge_is_nothing_to_settle(world: World) -> None:
    async with world.gate() as gate:
        charge = await gate.check()
        with pytest.raises(CannotSettle, match="not_a_hold"):
            await gate.gate.settle(charge_id=charge.charge_id, units=1)


async def test_an_open_hold_that_is_given_back_is_released(world: World) -> None:
    async with world.gate() as gate:
        held = await gate.check(units=10, hold_seconds=60)
        assert (await gate.gate.refund(charge_id=held.charge_id, at_ms=NOW_MS)).status == "ok"
        assert (await gate.check(units=0)).answer.allowance_left == 50
        with pytest.raises(CannotSettle, match="settled_otherwise"):
            await gate.gate.settle(charge_id=held.charge_id, units=1, at_ms=NOW_MS)
        assert gate.entries() == []


async def test_a_settled_hold_that_is_given_back_returns_what_was_kept(world: World) -> None:
    rich(world)
    async with world.gate() as gate:
        held = await gate.check(units=10, hold_seconds=60)
        await gate.gate.settle(charge_id=held.charge_id, units=6, at_ms=NOW_MS)
        refund = await gate.gate.refund(charge_id=held.charge_id, at_ms=NOW_MS)
        assert (refund.allowance, refund.boost, refund.credits) == (3, 2, 2)
        again = await gate.gate.refund(charge_id=held.charge_id, at_ms=NOW_MS)
        assert again.status == "already"
        answer = (await gate.check(units=0)).answer
        assert (answer.allowance_left, answer.boost_left, answer.credits_left) == (3, 2, 100)
        kept, returned = gate.entries()
        assert kept.allowance + returned.allowance == 0
        assert kept.credits + returned.credits == 0


async def test_a_hold_of_an_ended_week_returns_no_allowance(world: World) -> None:
    async with world.gate() as gate:
        monday = week.starts_ms(2917)
        await gate.check(units=10, hold_seconds=60, at_ms=monday - 1_000)
        await gate.check(units=5, at_ms=monday)
        answer = (await gate.check(units=0, at_ms=monday + 60_000)).answer
        assert answer.allowance_left == 45


async def test_a_hold_counts_against_the_cap_of_its_key(world: World) -> None:
    world.grant(keys=(world.key_state(version=2, weekly_cap=10),))
    async with world.gate() as gate:
        held = await gate.check(units=10, hold_seconds=60)
        assert (await gate.check()).reason == "key_cap_reached"
        await gate.gate.settle(charge_id=held.charge_id, units=4, at_ms=NOW_MS)
        assert (await gate.check(units=6)).allowed
        assert (await gate.check()).reason == "key_cap_reached"


async def test_a_repeated_hold_is_held_once(world: World) -> None:
    async with world.gate() as gate:
        holds = [await gate.check(units=10, hold_seconds=60, request_id="job 1") for _ in range(3)]
        assert len({held.charge_id for held in holds}) == 1
        assert (await gate.check(units=0)).answer.allowance_left == 40


async def test_a_hold_that_is_extended_runs_from_then(world: World) -> None:
    async with world.gate() as gate:
        held = await gate.check(units=10, hold_seconds=60)
        await gate.gate.extend(charge_id=held.charge_id, hold_seconds=60, at_ms=NOW_MS + 59_000)
        assert (await gate.check(units=0, at_ms=NOW_MS + 118_999)).answer.allowance_left == 40
        assert (await gate.check(units=0, at_ms=NOW_MS + 119_000)).answer.allowance_left == 50


async def test_extending_never_makes_a_hold_shorter(world: World) -> None:
    async with world.gate() as gate:
        held = await gate.check(units=10, hold_seconds=60)
        await gate.gate.extend(charge_id=held.charge_id, hold_seconds=1, at_ms=NOW_MS + 1)
        assert (await gate.check(units=0, at_ms=NOW_MS + 59_999)).answer.allowance_left == 40


async def test_a_hold_that_is_over_cannot_be_extended(world: World) -> None:
    async with world.gate() as gate:
        ran_out = await gate.check(units=1, hold_seconds=60)
        settled = await gate.check(units=1, hold_seconds=600)
        given_back = await gate.check(units=1, hold_seconds=600)
        await gate.gate.settle(charge_id=settled.charge_id, units=1, at_ms=NOW_MS)
        await gate.gate.refund(charge_id=given_back.charge_id, at_ms=NOW_MS)
        for decision in (ran_out, settled, given_back):
            with pytest.raises(CannotExtend, match="hold_expired"):
                await gate.gate.extend(
                    charge_id=decision.charge_id, hold_seconds=60, at_ms=NOW_MS + 60_000
                )


async def test_a_charge_and_a_text_cannot_be_extended(world: World) -> None:
    async with world.gate() as gate:
        charged = await gate.check()
        for charge_id, reason in ((charged.charge_id, "not_a_hold"), ("rc_x", "unknown_charge")):
            with pytest.raises(CannotExtend, match=reason):
                await gate.gate.extend(charge_id=charge_id, hold_seconds=60)


async def test_what_an_answer_took_of_a_model_waits_in_the_stream_once(world: World) -> None:
    tokens = Tokens(model="sansxel-chat", tokens_in=12, tokens_out=345)
    async with world.gate() as gate:
        held = await gate.check(units=2, hold_seconds=60)
        for _ in range(2):
            await gate.gate.settle(
                charge_id=held.charge_id, units=2, tokens=tokens, at_ms=NOW_MS + 1
            )
        (entry,) = gate.entries()
        assert entry.tokens == tokens
