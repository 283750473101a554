"""A key that was given another secret: both are one key, and the former ends when it was said."""

from dataclasses import replace
from typing import Any

from django.conf import settings

from gate.store import hot_state, snapshots
from gate.store.connection import sync_client
from gate.store.snapshots import FormerSecret, KeyState
from gate.terms import key_text
from gate.terms.pace import Pace
from gate.terms.spending import Spending
from tests.gate.world import HOUR_MS, NOW_MS, PEPPER, OpenGate, World

DAY_MS = 24 * HOUR_MS


def digest_of(text: str) -> str:
    return key_text.digest(text, PEPPER)[:22]


def rotated(
    world: World, *, ends_ms: int = NOW_MS + DAY_MS, is_active: bool = True, **limits: Any
) -> KeyState:
    """The state of the key with another secret, which the world shows from now on."""
    state = world.snapshot.keys[0]
    former = FormerSecret(digest=state.digest, is_active=is_active, ends_ms=ends_ms)
    world.key = key_text.new_api_key(world.handle)
    return replace(
        state,
        digest=digest_of(world.key),
        version=state.version + 1,
        first_digest=state.counted_as,
        former=former,
        **limits,
    )


async def put(gate: OpenGate, state: KeyState) -> None:
    """PostgreSQL says it, and the gate is told."""
    gate.world.grant(keys=(state,))
    await gate.client.run(snapshots.put_key_call(gate.world.handle, state))


async def ask(gate: OpenGate, text: str, *, at_ms: int = NOW_MS, **more: Any) -> Any:
    return await gate.gate.check(key=text, at_ms=at_ms, **{"units": 1, **more})


async def test_both_work_until_the_former_ends_to_the_millisecond(world: World) -> None:
    old = world.key
    async with world.gate() as gate:
        assert (await ask(gate, old)).allowed
        await put(gate, rotated(world))
        assert (await ask(gate, world.key)).allowed
        assert (await ask(gate, old, at_ms=NOW_MS + DAY_MS - 1)).allowed
        for at_ms in (NOW_MS + DAY_MS, NOW_MS + 365 * DAY_MS):
            assert (await ask(gate, old, at_ms=at_ms)).reason == "invalid_key"
        assert (await ask(gate, world.key, at_ms=NOW_MS + DAY_MS)).allowed


async def test_a_former_secret_lasts_no_longer_than_its_key(world: World) -> None:
    old = world.key
    async with world.gate() as gate:
        await put(gate, rotated(world, expires_ms=NOW_MS + HOUR_MS))
        assert (await ask(gate, old, at_ms=NOW_MS + HOUR_MS - 1)).allowed
        assert (await ask(gate, old, at_ms=NOW_MS + HOUR_MS)).reason == "invalid_key"


async def test_one_that_was_ended_is_refused_whatever_clock_valkey_has(world: World) -> None:
    old = world.key
    async with world.gate() as gate:
        state = rotated(world)
        await put(gate, state)
        ended = replace(state.former, is_active=False)  # type: ignore[type-var]
        await put(gate, replace(state, version=state.version + 1, former=ended))
        assert (await ask(gate, old, at_ms=NOW_MS - DAY_MS)).reason == "invalid_key"
        assert (await ask(gate, world.key)).allowed


async def test_what_both_use_is_one_cap_and_goes_on_where_it_was(world: World) -> None:
    world.grant(keys=(world.key_state(version=2, weekly_cap=5),))
    old = world.key
    async with world.gate() as gate:
        assert (await ask(gate, old, units=2)).allowed
        await put(gate, rotated(world))
        new = await ask(gate, world.key, units=2)
        assert (new.allowed, new.answer.key_used) == (True, 4)
        assert (await ask(gate, old, units=2)).reason == "key_cap_reached"
        last = await ask(gate, old)
        assert (last.allowed, last.answer.key_used) == (True, 5)
        assert (await ask(gate, world.key)).reason == "key_cap_reached"


async def test_a_plain_charge_counts_both_together_too(world: World) -> None:
    old = world.key
    async with world.gate() as gate:
        await ask(gate, old, units=2)
        await put(gate, rotated(world))
        used = [(await ask(gate, text)).answer.key_used for text in (world.key, old, world.key)]
    assert used == [3, 4, 5]


async def test_what_the_former_charged_comes_back_to_the_same_count(world: World) -> None:
    world.grant(keys=(world.key_state(version=2, weekly_cap=5),))
    old = world.key
    async with world.gate() as gate:
        charge = await ask(gate, old, units=2)
        hold = await ask(gate, old, units=3, hold_seconds=60)
        await put(gate, rotated(world))
        assert (await ask(gate, world.key)).reason == "key_cap_reached"
        await gate.gate.refund(charge_id=charge.charge_id, at_ms=NOW_MS)
        await gate.gate.settle(charge_id=hold.charge_id, units=1, at_ms=NOW_MS)
        look = await ask(gate, world.key, units=0)
    assert look.answer.key_used == 1


async def test_pace_and_ceilings_are_of_both_together(world: World) -> None:
    pace = Pace(a_minute=3, at_once=1)
    world.grant(
        keys=(world.key_state(version=2, pace=pace, spending=Spending(credits_a_week=4)),),
        used=50,
        credits=100,
    )
    old = world.key
    async with world.gate() as gate:
        assert (await ask(gate, old, hold_seconds=60)).allowed
        await put(gate, rotated(world))
        held = await ask(gate, world.key, hold_seconds=60)
        assert held.reason == "too_many_at_once"
        assert (await ask(gate, world.key)).allowed
        for text in (old, world.key):
            assert (await ask(gate, text)).reason == "credit_ceiling_week"
        look = await ask(gate, old, units=0)
        assert look.answer.room_left.left == 1


async def test_it_is_loaded_with_both_and_what_they_used(world: World) -> None:
    old = world.key
    state = rotated(world, weekly_cap=5, used=4)
    world.grant(keys=(state,))
    async with world.gate() as gate:
        assert (await ask(gate, old)).answer.key_used == 5
        assert (await ask(gate, world.key)).reason == "key_cap_reached"
        assert (await ask(gate, old, at_ms=NOW_MS + DAY_MS)).reason == "invalid_key"


async def test_a_second_rotation_leaves_no_way_back_to_the_first_secret(world: World) -> None:
    first = world.key
    async with world.gate() as gate:
        await ask(gate, first)
        state = rotated(world)
        second = world.key
        await put(gate, state)
        ended = replace(state.former, is_active=False)  # type: ignore[type-var]
        await put(gate, replace(state, version=state.version + 1, former=ended))
        await put(gate, rotated(world))
        assert (await ask(gate, first)).reason == "invalid_key"
        assert [(await ask(gate, text)).answer.key_used for text in (second, world.key)] == [2, 3]


async def test_an_older_copy_of_valkey_brings_no_earlier_secret_back(world: World) -> None:
    first = world.key
    async with world.gate() as gate:
        await ask(gate, first)
        name = hot_state.keys_of(world.handle).account
        client = sync_client(settings.REDIS_URL)
        copy: Any = client.hgetall(name)
        for _ in range(2):
            await put(gate, rotated(world))
        client.delete(name)
        client.hset(name, mapping=copy)
        world.epoch = 2
        await gate.push_catalogue()
        assert (await ask(gate, first)).reason == "invalid_key"
        assert (await ask(gate, world.key)).allowed


async def test_a_snapshot_from_before_the_rotation_changes_nothing_of_it(world: World) -> None:
    old, before = world.key, world.snapshot
    async with world.gate() as gate:
        # The account is cold: only the key overtook its snapshot.
        await put(gate, rotated(world, is_active=False))
        world.snapshot = before
        assert (await ask(gate, world.key)).allowed
        assert (await ask(gate, old)).reason == "invalid_key"


async def test_one_that_overtook_a_snapshot_is_still_counted_as_one_key(
    world: World,
) -> None:
    old, before = world.key, world.snapshot
    async with world.gate() as gate:
        await put(gate, rotated(world))
        world.snapshot = before
        used = [(await ask(gate, text)).answer.key_used for text in (old, world.key)]
    assert used == [1, 2]


async def test_what_revokes_the_current_secret_alone_revokes_both(world: World) -> None:
    old = world.key
    async with world.gate() as gate:
        state = rotated(world)
        await put(gate, state)
        assert (await ask(gate, old)).allowed
        # As a release does that knows one secret.
        name = hot_state.keys_of(world.handle).account
        revoked = replace(state, version=state.version + 1, is_active=False).record
        sync_client(settings.REDIS_URL).hset(name, f"k:{state.digest}", revoked)
        for text in (old, world.key):
            assert (await ask(gate, text)).reason == "invalid_key"


async def test_keys_that_were_never_rotated_have_nothing_more(world: World) -> None:
    async with world.gate() as gate:
        await put(gate, world.key_state(version=2))
        await ask(gate, world.key)
        fields: Any = sync_client(settings.REDIS_URL).hkeys(hot_state.keys_of(world.handle).account)
    assert not [field for field in fields if field.startswith(b"o:")]
