"""One decision: what it takes, from where, and what it leaves alone."""

import asyncio
from dataclasses import replace

import pytest
from django.conf import settings

from gate.decision.check import CannotRefund, RequestIdConflict
from gate.store import snapshots
from gate.store.connection import sync_client
from gate.terms import key_text, week
from tests.gate.world import HOUR_MS, NOW_MS, World

WEEK_MS = week.WEEK_MS


async def _use(open_gate, times: int, **more):  # type: ignore[no-untyped-def]
    return [await open_gate.check(**more) for _ in range(times)]


async def test_the_allowance_pays_fifty_chats_and_not_one_more(world: World) -> None:
    async with world.gate() as gate:
        decisions = await _use(gate, 50)
        assert all(decision.allowed for decision in decisions)
        assert decisions[-1].answer.allowance_left == 0
        refused = await gate.check()
        assert not refused.allowed
        assert refused.reason == "quota_exhausted"
        assert refused.resets_at == week.ends_at(2916)


async def test_concurrent_chats_get_exactly_what_is_there(world: World) -> None:
    world.grant(boosts=(world.boost(1, 30, hours=24),), credits=41)
    async with world.gate() as gate:
        decisions = await asyncio.gather(*(gate.check() for _ in range(300)))
        allowed = [decision for decision in decisions if decision.allowed]
        # 50 of the allowance, 30 of the boost, 20 for 40 credits; one credit is left over.
        assert len(allowed) == 100
        assert sum(d.answer.allowance_taken for d in allowed) == 50
        assert sum(d.answer.boost_taken for d in allowed) == 30
        assert sum(d.answer.credits_taken for d in allowed) == 40
        look = await gate.check(units=0)
        assert look.reason == "ok"
        assert look.answer.credits_left == 1
        assert len(gate.entries()) == 100


async def test_the_boost_that_expires_first_is_used_first(world: World) -> None:
    world.grant(boosts=(world.boost(1, 10, hours=48), world.boost(2, 10, hours=24)), used=50)
    async with world.gate() as gate:
        assert (await gate.check(units=12)).answer.boosts_taken == "2:10,1:2"
        assert (await gate.check(units=0)).answer.left_by_boost == "2:0,1:8"


async def test_a_charge_is_split_over_sources(world: World) -> None:
    world.grant(boosts=(world.boost(1, 2, hours=24),), used=47, credits=100)
    async with world.gate() as gate:
        answer = (await gate.check(units=10)).answer
        assert (answer.allowance_taken, answer.boosts_taken) == (3, "1:2")
        assert answer.credits_taken == 10
        assert (answer.allowance_left, answer.boost_left, answer.credits_left) == (0, 0, 90)


async def test_a_charge_that_does_not_fit_takes_nothing(world: World) -> None:
    world.grant(boosts=(world.boost(1, 2, hours=24),), used=47, credits=9)
    async with world.gate() as gate:
        assert (await gate.check(units=10)).reason == "quota_exhausted"
        answer = (await gate.check(units=0)).answer
        assert (answer.allowance_left, answer.boost_left, answer.credits_left) == (3, 2, 9)
        assert gate.entries() == []


async def test_an_expired_boost_pays_nothing(world: World) -> None:
    world.grant(boosts=(world.boost(1, 10, hours=1),), used=50)
    async with world.gate() as gate:
        assert (await gate.check(at_ms=NOW_MS + HOUR_MS - 1)).allowed
        assert not (await gate.check(at_ms=NOW_MS + HOUR_MS)).allowed


async def test_a_new_week_begins_by_itself(world: World) -> None:
    async with world.gate() as gate:
        await _use(gate, 50)
        last = week.starts_ms(2917) - 1
        assert not (await gate.check(at_ms=last)).allowed
        fresh = await gate.check(at_ms=last + 1)
        assert fresh.allowed
        assert fresh.answer.allowance_left == 49


async def test_a_clock_that_runs_behind_does_not_reopen_the_old_week(world: World) -> None:
    async with world.gate() as gate:
        monday = week.starts_ms(2917)
        await _use(gate, 50, at_ms=monday)
        assert not (await gate.check(at_ms=monday - HOUR_MS)).allowed


async def test_an_unlimited_plan_counts_and_never_refuses(world: World) -> None:
    world.grant(plan="pro")
    async with world.gate() as gate:
        answer = (await gate.check(units=10_000)).answer
        assert answer.cap is None
        assert answer.allowance_left is None
        assert answer.used == 10_000


async def test_a_pack_lifts_the_cap_while_it_is_on(world: World) -> None:
    world.grant(plan="plus", packs=("copilot-pro",), used=1500)
    async with world.gate() as gate:
        assert (await gate.check()).allowed
        world.grant(packs=())
        await gate.push()
        assert not (await gate.check()).allowed


async def test_a_meter_may_cost_more_than_one_chat(world: World) -> None:
    async with world.gate() as gate:
        assert (await gate.check(meter="images", units=2)).answer.allowance_left == 42
        assert (await gate.check(meter="nonsense")).reason == "unknown_meter"


async def test_a_plan_change_counts_for_the_next_chat(world: World) -> None:
    async with world.gate() as gate:
        await gate.check()
        world.catalogue = replace(world.catalogue, version=2, caps={"free": 1, "pro": None})
        await gate.push_catalogue()
        assert not (await gate.check()).allowed


async def test_a_suspended_account_is_refused_and_can_look(world: World) -> None:
    world.grant(suspended=True)
    async with world.gate() as gate:
        decision = await gate.check()
        assert (decision.allowed, decision.reason) == (False, "suspended")
        assert decision.answer.allowance_left == 50


# --- keys -----------------------------------------------------------------------------------


async def test_another_key_of_the_same_account_handle_is_invalid(world: World) -> None:
    async with world.gate() as gate:
        stranger = key_text.new_api_key(world.handle)
        assert (await gate.gate.check(key=stranger)).reason == "invalid_key"


async def test_an_unknown_account_is_asked_for_once(world: World) -> None:
    async with world.gate() as gate:
        unknown = key_text.new_api_key("Unknown0")
        for _ in range(20):
            assert (await gate.gate.check(key=unknown)).reason == "invalid_key"
        assert world.account_loads == 1


async def test_noise_never_reaches_valkey_or_postgresql(world: World) -> None:
    async with world.gate() as gate:
        assert (await gate.gate.check(key="sk_" + "a" * 46)).reason == "invalid_key"
        assert world.account_loads == world.catalogue_loads == 0


async def test_a_revoked_key_is_refused_and_an_older_state_does_not_bring_it_back(
    world: World,
) -> None:
    async with world.gate() as gate:
        assert (await gate.check()).allowed
        revoked = world.key_state(version=2, is_active=False)
        await gate.client.run(snapshots.put_key_call(world.handle, revoked))
        assert (await gate.check()).reason == "invalid_key"
        await gate.push()
        assert (await gate.check()).reason == "invalid_key"


async def test_a_revocation_that_overtakes_the_first_load_holds(world: World) -> None:
    async with world.gate() as gate:
        revoked = world.key_state(version=2, is_active=False)
        await gate.client.run(snapshots.put_key_call(world.handle, revoked))
        # The snapshot was read before the revocation and arrives after it.
        assert (await gate.check()).reason == "invalid_key"


# --- request ids ----------------------------------------------------------------------------


async def test_the_same_request_id_is_charged_once(world: World) -> None:
    async with world.gate() as gate:
        decisions = await asyncio.gather(*(gate.check(request_id="order 1") for _ in range(50)))
        assert len({decision.charge_id for decision in decisions}) == 1
        assert (await gate.check(units=0)).answer.allowance_left == 49


async def test_a_request_id_with_other_content_is_a_conflict(world: World) -> None:
    async with world.gate() as gate:
        await gate.check(request_id="order 1")
        with pytest.raises(RequestIdConflict):
            await gate.check(request_id="order 1", units=2)
        assert (await gate.check(units=0)).answer.allowance_left == 49


async def test_a_refusal_is_not_remembered(world: World) -> None:
    world.grant(used=50)
    async with world.gate() as gate:
        assert not (await gate.check(request_id="order 1")).allowed
        world.grant(credits=2)
        await gate.push()
        assert (await gate.check(request_id="order 1")).allowed


# --- refunds --------------------------------------------------------------------------------


async def test_a_refund_gives_back_what_was_taken_once(world: World) -> None:
    world.grant(boosts=(world.boost(1, 2, hours=24),), used=47, credits=100)
    async with world.gate() as gate:
        charge = await gate.check(units=10)
        refunds = await asyncio.gather(
            *(gate.gate.refund(charge_id=charge.charge_id, at_ms=NOW_MS) for _ in range(10))
        )
        assert sorted(kept.status for kept in refunds) == ["already"] * 9 + ["ok"]
        assert {(kept.allowance, kept.boost, kept.credits) for kept in refunds} == {(3, 2, 10)}
        answer = (await gate.check(units=0)).answer
        assert (answer.allowance_left, answer.boost_left, answer.credits_left) == (3, 2, 100)
        taken, returned = gate.entries()
        assert (returned.allowance, returned.boosts) == (-taken.allowance, ((1, -2),))
        assert (returned.credit_chats, returned.credits) == (-5, -10)


async def test_an_allowance_chat_of_an_ended_week_is_gone(world: World) -> None:
    async with world.gate() as gate:
        last = week.starts_ms(2917) - 1
        charge = await gate.check(at_ms=last)
        await _use(gate, 3, at_ms=last + 1)
        await gate.gate.refund(charge_id=charge.charge_id, at_ms=last + 2)
        answer = (await gate.check(units=0, at_ms=last + 2)).answer
        assert answer.allowance_left == 47


async def test_a_refund_is_possible_for_a_day(world: World) -> None:
    async with world.gate() as gate:
        charge = await gate.check()
        with pytest.raises(CannotRefund, match="too_late"):
            await gate.gate.refund(charge_id=charge.charge_id, at_ms=NOW_MS + 25 * HOUR_MS)
        with pytest.raises(CannotRefund, match="unknown_charge"):
            await gate.gate.refund(charge_id="ch_AAAA")


# --- loading --------------------------------------------------------------------------------


async def test_a_cold_account_is_loaded_once_however_many_wait(world: World) -> None:
    async with world.gate() as gate:
        decisions = await asyncio.gather(*(gate.check() for _ in range(40)))
        assert all(decision.allowed for decision in decisions)
        assert world.account_loads == 1
        assert world.catalogue_loads == 1


async def test_a_cold_account_remembers_what_was_used(world: World) -> None:
    world.grant(
        used=49, credits=10, credits_spent=10, boosts=(world.boost(1, 5, hours=1, spent=5),)
    )
    async with world.gate() as gate:
        assert (await gate.check()).allowed
        assert not (await gate.check()).allowed


async def test_a_projection_erases_nothing_that_was_spent(world: World) -> None:
    async with world.gate() as gate:
        await _use(gate, 20)
        world.grant(credits=100)
        assert await gate.push() == b"stored"
        assert await gate.push() == b"stored"
        answer = (await gate.check(units=0)).answer
        assert (answer.allowance_left, answer.credits_left) == (30, 100)


async def test_an_older_projection_that_comes_late_changes_nothing(world: World) -> None:
    async with world.gate() as gate:
        await gate.check()
        older = world.snapshot
        world.grant(credits=100)
        await gate.push()
        await gate.client.run(snapshots.put_account_call(older))
        assert (await gate.check(units=0)).answer.credits_left == 100


async def test_a_raised_epoch_makes_every_account_load_again(world: World) -> None:
    async with world.gate() as gate:
        await _use(gate, 5)
        world.epoch = 2
        world.grant(used=3)
        await gate.push_catalogue()
        # What PostgreSQL knows counts, not what an older copy of Valkey said.
        assert (await gate.check()).answer.used == 4
        assert world.account_loads == 2


async def test_an_emptied_valkey_is_loaded_again(world: World) -> None:
    async with world.gate() as gate:
        await gate.check()
        sync_client(settings.REDIS_URL).flushall()
        world.grant(used=50)
        assert not (await gate.check()).allowed


async def test_forgotten_scripts_are_sent_again(world: World) -> None:
    async with world.gate() as gate:
        await gate.check()
        sync_client(settings.REDIS_URL).script_flush()
        assert (await gate.check()).allowed
