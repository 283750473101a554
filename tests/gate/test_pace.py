"""Requests a minute and at the same time: of the key, and of the account by its plan."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings

from gate.store import charges, hot_state, layout, snapshots
from gate.store.connection import sync_client
from gate.terms import key_text
from gate.terms.pace import Pace
from gate.terms.spending import PastAllowance, Spending
from tests.gate.world import NOW_MS, PEPPER, OpenGate, World

# The first millisecond of a second of the clock.
BEGIN_MS = NOW_MS // 1000 * 1000
SECOND_MS = 1000
# When a second has left the minute that is counted.
LEAVES_MS = BEGIN_MS + 61 * SECOND_MS


def pace(world: World, *, key: Pace | None = None, plan: Pace | None = None) -> None:
    """How quickly key and account may ask."""
    world.grant(keys=(world.key_state(version=2, pace=key or Pace()),))
    world.catalogue = replace(world.catalogue, paces={"free": plan or Pace(), "plus": Pace()})


def second_key(world: World, **limits: Any) -> str:
    """Another key of the account."""
    text = key_text.new_api_key(world.handle)
    state = replace(
        world.key_state(), digest=key_text.digest(text, PEPPER)[:22], key_id=8, **limits
    )
    world.grant(keys=(*world.snapshot.keys, state))
    return text


async def ask(gate: OpenGate, *, at_ms: int = BEGIN_MS, **more: Any) -> Any:
    return await gate.check(at_ms=at_ms, **more)


def field(world: World, name: str) -> str | None:
    found: Any = sync_client(settings.REDIS_URL).hget(hot_state.keys_of(world.handle).account, name)
    return None if found is None else found.decode()


# --- a minute ---------------------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["account", "key"])
async def test_so_many_pass_in_a_minute_and_the_rest_say_when(world: World, whose: str) -> None:
    pace(world, **{"key" if whose == "key" else "plan": Pace(a_minute=3)})
    async with world.gate() as gate:
        for after in (0, 20, 40):
            assert (await ask(gate, at_ms=BEGIN_MS + after * SECOND_MS + 250)).allowed
        decision = await ask(gate, at_ms=BEGIN_MS + 50 * SECOND_MS + 300)
        assert (decision.reason, decision.answer.chosen_by) == ("rate_limited", whose)
        # The first leaves at the 61st second: 10.7 s from now.
        assert (decision.retry_after, decision.answer.passes_at_ms) == (11, LEAVES_MS)
        assert not (await ask(gate, at_ms=LEAVES_MS - 1)).allowed
        assert (await ask(gate, at_ms=LEAVES_MS)).allowed
        again = await ask(gate, at_ms=LEAVES_MS + 1)
        assert again.answer.passes_at_ms == LEAVES_MS + 20 * SECOND_MS
    assert gate.refusals() == {
        f"{world.handle}|7|{BEGIN_MS // 3_600_000}|rate_limited": 3,
    }


async def test_never_more_than_that_in_any_sixty_seconds(world: World) -> None:
    """Asked for every 700 ms for five minutes."""
    pace(world, key=Pace(a_minute=7))
    world.grant(plan="pro")
    moments = range(BEGIN_MS, BEGIN_MS + 300 * SECOND_MS, 700)
    async with world.gate() as gate:
        passed = [at_ms for at_ms in moments if (await ask(gate, at_ms=at_ms)).allowed]
    for at_ms in passed:
        assert sum(at_ms <= one <= at_ms + 60 * SECOND_MS for one in passed) <= 7
    # 61 seconds later at the latest the next seven pass.
    assert len(passed) == 7 * 5
    assert len(field(world, "r:7") or "") < 200


async def test_what_is_refused_counts_nothing_and_charges_nothing(world: World) -> None:
    pace(world, key=Pace(a_minute=2))
    world.grant(used=49)
    async with world.gate() as gate:
        # More than there is: refused for that, and the minute is as empty as before.
        assert (await ask(gate, units=5)).reason == "quota_exhausted"
        assert field(world, "r:7") is None
        assert (await ask(gate)).allowed
        for _ in range(3):
            assert (await ask(gate)).reason == "quota_exhausted"
        world.grant(used=0, credits=100)
        await gate.push()
        assert (await ask(gate)).allowed
        for _ in range(3):
            assert (await ask(gate)).reason == "rate_limited"
        look = await ask(gate, units=0)
    assert look.answer.room_left.left == 0
    assert layout.REQUESTS.read(field(world, "r:7") or "")["together"] == 2
    assert (look.answer.used, look.answer.credits_left, len(gate.entries())) == (50, 98, 2)


async def test_a_look_is_not_limited_and_says_what_is_left(world: World) -> None:
    pace(world, key=Pace(a_minute=3, at_once=2), plan=Pace(a_minute=100, at_once=1))
    async with world.gate() as gate:
        look = await ask(gate, units=0)
        assert look.answer.room == "3|3|0|1|0"
        await ask(gate, hold_seconds=60)
        for _ in range(5):
            look = await ask(gate, units=0)
    assert look.allowed
    assert look.answer.room == f"3|2|{LEAVES_MS}|1|1"


async def test_a_look_at_the_account_tells_of_its_plan(world: World) -> None:
    pace(world, key=Pace(a_minute=1), plan=Pace(a_minute=5))
    async with world.gate() as gate:
        await ask(gate)
        look = charges.check_call(
            handle=world.handle, digests=[], meter="", units=0, request_id=None, at_ms=BEGIN_MS
        )
        answer = layout.ANSWER.read_parts(await gate.client.run(look))
    assert layout.ROOM.read(answer["room"]) == {
        "a_minute": 5,
        "left": 4,
        "frees_ms": LEAVES_MS,
        "at_once": None,
        "open": 0,
    }


async def test_the_first_answer_that_comes_again_counts_once(world: World) -> None:
    pace(world, key=Pace(a_minute=1))
    async with world.gate() as gate:
        first = await ask(gate, request_id="once")
        again = await ask(gate, request_id="once")
        assert again.answer.entry_id == first.answer.entry_id
        assert (await ask(gate, request_id="twice")).reason == "rate_limited"
        # A refusal is no answer to keep: the same id passes when there is room.
        assert (await ask(gate, request_id="twice", at_ms=LEAVES_MS)).allowed


async def test_what_is_given_back_or_settled_was_a_request_all_the_same(world: World) -> None:
    pace(world, key=Pace(a_minute=3))
    async with world.gate() as gate:
        charge = await ask(gate)
        await gate.gate.refund(charge_id=charge.charge_id, at_ms=BEGIN_MS)
        for units in (1, 0):
            held = await ask(gate, hold_seconds=60)
            await gate.gate.extend(charge_id=held.charge_id, hold_seconds=90, at_ms=BEGIN_MS)
            await gate.gate.settle(charge_id=held.charge_id, units=units, at_ms=BEGIN_MS)
        assert (await ask(gate)).reason == "rate_limited"


async def test_the_plans_limit_is_for_all_keys_together_and_a_keys_for_it_alone(
    world: World,
) -> None:
    pace(world, key=Pace(a_minute=2), plan=Pace(a_minute=5))
    other = second_key(world)
    async with world.gate() as gate:

        async def ask_with(key: str) -> tuple[str, str]:
            decision = await gate.gate.check(key=key, at_ms=BEGIN_MS)
            assert decision.answer
            return decision.reason, decision.answer.chosen_by

        assert [await ask_with(world.key) for _ in range(3)] == [
            ("ok", ""),
            ("ok", ""),
            ("rate_limited", "key"),
        ]
        assert [await ask_with(other) for _ in range(4)] == [
            ("ok", ""),
            ("ok", ""),
            ("ok", ""),
            ("rate_limited", "account"),
        ]
        # Both are full now: the key is told of what lets it through last.
        assert (await ask_with(world.key))[0] == "rate_limited"


async def test_of_two_full_minutes_the_one_that_ends_last_is_told(world: World) -> None:
    pace(world, key=Pace(a_minute=1), plan=Pace(a_minute=2))
    other = second_key(world)
    async with world.gate() as gate:
        await gate.gate.check(key=other, at_ms=BEGIN_MS)
        await ask(gate, at_ms=BEGIN_MS + 9 * SECOND_MS)
        decision = await ask(gate, at_ms=BEGIN_MS + 10 * SECOND_MS)
        assert decision.answer.chosen_by == "key"
        assert decision.retry_after == 60
        assert not (await ask(gate, at_ms=LEAVES_MS + 9 * SECOND_MS - 1)).allowed
        assert (await ask(gate, at_ms=LEAVES_MS + 9 * SECOND_MS)).allowed


async def test_a_lower_limit_waits_until_enough_have_left(world: World) -> None:
    pace(world, key=Pace(a_minute=10))
    async with world.gate() as gate:
        for after in range(6):
            await ask(gate, at_ms=BEGIN_MS + after * SECOND_MS)
        world.grant(keys=(world.key_state(version=3, pace=Pace(a_minute=3)),))
        await gate.push()
        decision = await ask(gate, at_ms=BEGIN_MS + 6 * SECOND_MS)
        # Six are counted: four must go before a third one fits.
        assert decision.answer.passes_at_ms == LEAVES_MS + 3 * SECOND_MS
        world.grant(keys=(world.key_state(version=4),))
        await gate.push()
        assert (await ask(gate, at_ms=BEGIN_MS + 6 * SECOND_MS)).allowed


async def test_the_limit_goes_with_the_plan_that_counts(world: World) -> None:
    pace(world, plan=Pace(a_minute=1))
    world.grant(packs=("copilot-pro",))
    async with world.gate() as gate:
        assert (await ask(gate)).allowed
        assert (await ask(gate)).reason == "rate_limited"
        world.grant(plan="plus")
        await gate.push()
        assert (await ask(gate)).allowed
        assert (await ask(gate)).answer.cap is None


async def test_a_clock_that_runs_behind_after_a_failover_locks_nobody_out(world: World) -> None:
    pace(world, key=Pace(a_minute=2))
    async with world.gate() as gate:
        await ask(gate)
        # A second that has ended is not reopened, and counts on.
        assert (await ask(gate, at_ms=BEGIN_MS - 5 * SECOND_MS)).allowed
        assert field(world, "r:7") == f"2|{BEGIN_MS // 1000}|2|"
        assert not (await ask(gate, at_ms=BEGIN_MS - 6 * SECOND_MS)).allowed
        # Of one that is an hour behind nobody waits for the hour.
        assert (await ask(gate, at_ms=BEGIN_MS - 3600 * SECOND_MS)).allowed


async def test_a_thousand_at_once_are_exactly_as_many_as_may(world: World) -> None:
    pace(world, key=Pace(a_minute=137), plan=Pace(a_minute=400))
    world.grant(plan="free", credits=10_000)
    other = second_key(world)
    async with world.gate() as gate:
        keys = [world.key, other] * 500
        decisions = await asyncio.gather(
            *(gate.gate.check(key=key, at_ms=BEGIN_MS + at) for at, key in enumerate(keys))
        )
    assert Counter(decision.reason for decision in decisions[::2]) == {
        "ok": 137,
        "rate_limited": 363,
    }
    assert Counter(decision.reason for decision in decisions[1::2]) == {
        "ok": 263,
        "rate_limited": 237,
    }
    assert len(gate.entries()) == 400


# --- at the same time -------------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["account", "key"])
async def test_so_many_are_held_at_once_and_one_that_is_done_makes_room(
    world: World, whose: str
) -> None:
    pace(world, **{"key" if whose == "key" else "plan": Pace(at_once=2)})
    async with world.gate() as gate:
        first = await ask(gate, hold_seconds=60)
        second = await ask(gate, hold_seconds=60)
        decision = await ask(gate, hold_seconds=60)
        assert (decision.reason, decision.answer.chosen_by) == ("too_many_at_once", whose)
        assert decision.retry_after == 1
        # What holds nothing is over at once.
        assert (await ask(gate)).allowed
        await gate.gate.settle(charge_id=first.charge_id, units=1, at_ms=BEGIN_MS)
        third = await ask(gate, hold_seconds=60)
        assert third.allowed
        assert not (await ask(gate, hold_seconds=60)).allowed
        await gate.gate.refund(charge_id=second.charge_id, at_ms=BEGIN_MS)
        assert (await ask(gate, hold_seconds=60)).allowed
        assert not (await ask(gate, hold_seconds=60)).allowed
        # All have run out.
        assert (await ask(gate, hold_seconds=60, at_ms=BEGIN_MS + 60 * SECOND_MS)).allowed
        look = await ask(gate, units=0, at_ms=BEGIN_MS + 60 * SECOND_MS)
    assert (look.answer.room_left.at_once, look.answer.room_left.open) == (2, 1)
    # Three that were kept, and the one that is held; nothing of those refused.
    assert look.answer.used == 3


async def test_a_key_waits_for_its_own_alone(world: World) -> None:
    pace(world, key=Pace(at_once=1), plan=Pace(at_once=5))
    other = second_key(world)
    async with world.gate() as gate:
        for _ in range(3):
            held = await gate.gate.check(key=other, hold_seconds=60, at_ms=BEGIN_MS)
            assert held.allowed
        assert (await ask(gate, hold_seconds=60)).allowed
        refused = await ask(gate, hold_seconds=60)
        assert (refused.reason, refused.answer.chosen_by) == ("too_many_at_once", "key")
        assert (await gate.gate.check(key=other, hold_seconds=60, at_ms=BEGIN_MS)).allowed
        refused = await gate.gate.check(key=other, hold_seconds=60, at_ms=BEGIN_MS)
        assert refused.answer
        assert (refused.reason, refused.answer.chosen_by) == ("too_many_at_once", "account")


async def test_one_that_is_refused_for_others_at_once_counts_in_no_minute(world: World) -> None:
    pace(world, key=Pace(a_minute=2, at_once=1))
    async with world.gate() as gate:
        held = await ask(gate, hold_seconds=60)
        for _ in range(3):
            assert (await ask(gate, hold_seconds=60)).reason == "too_many_at_once"
        await gate.gate.settle(charge_id=held.charge_id, units=1, at_ms=BEGIN_MS)
        assert (await ask(gate, hold_seconds=60)).allowed
        # Full in both ways: told is the one whose end is known.
        assert (await ask(gate, hold_seconds=60)).reason == "rate_limited"


async def test_a_thousand_at_once_hold_exactly_as_many_as_may(world: World) -> None:
    pace(world, key=Pace(at_once=40), plan=Pace(at_once=100))
    world.grant(credits=10_000)
    other = second_key(world)
    async with world.gate() as gate:
        keys = [world.key, other] * 500
        decisions = await asyncio.gather(
            *(gate.gate.check(key=key, hold_seconds=60, at_ms=BEGIN_MS) for key in keys)
        )
    told = Counter(decision.reason for decision in decisions[::2])
    assert told == {"ok": 40, "too_many_at_once": 460}
    told = Counter(decision.reason for decision in decisions[1::2])
    assert told == {"ok": 60, "too_many_at_once": 440}


# --- what is kept of it -----------------------------------------------------------------------


async def test_a_key_without_limits_writes_nothing_of_it(world: World) -> None:
    async with world.gate() as gate:
        decision = await ask(gate)
        held = await ask(gate, hold_seconds=60)
    assert (decision.answer.room, held.answer.room) == ("", "")
    assert field(world, "requests") is None
    assert field(world, "r:7") is None


async def test_a_key_whose_limit_is_projected_alone_goes_by_it(world: World) -> None:
    async with world.gate() as gate:
        assert (await ask(gate)).allowed
        state = world.key_state(version=2, pace=Pace(a_minute=1))
        await gate.client.run(snapshots.put_key_call(world.handle, state))
        assert (await ask(gate)).allowed
        assert (await ask(gate)).reason == "rate_limited"
        lifted = world.key_state(version=3)
        await gate.client.run(snapshots.put_key_call(world.handle, lifted))
        assert (await ask(gate)).allowed


async def test_a_snapshot_that_is_late_does_not_bring_an_older_limit_back(world: World) -> None:
    pace(world, key=Pace(a_minute=1))
    async with world.gate() as gate:
        await ask(gate)
        lifted = world.key_state(version=3)
        await gate.client.run(snapshots.put_key_call(world.handle, lifted))
        world.grant()
        await gate.push()
        assert (await ask(gate)).allowed


async def test_a_limit_that_overtook_a_cold_load_stays(world: World) -> None:
    state = world.key_state(version=5, pace=Pace(a_minute=1))
    async with world.gate() as gate:
        await gate.client.run(snapshots.put_key_call(world.handle, state))
        assert (await ask(gate)).allowed
        assert world.account_loads == 1
        assert (await ask(gate)).reason == "rate_limited"


async def test_it_holds_beside_what_may_be_spent(world: World) -> None:
    stops = Spending(past_allowance=PastAllowance.NOTHING)
    world.grant(used=49, credits=9)
    world.grant(keys=(world.key_state(version=2, spending=stops, pace=Pace(a_minute=5)),))
    async with world.gate() as gate:
        assert (await ask(gate)).answer.room_left.left == 4
        refused = await ask(gate)
    assert (refused.reason, refused.answer.room_left.left) == ("spending_stopped", 4)
