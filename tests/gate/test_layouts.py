"""Records outlive the release that wrote them, in both directions, and can grow."""

import asyncio
import itertools
import json
from collections import Counter
from dataclasses import fields, replace
from typing import Any

import pytest
from django.conf import settings

from gate.decision.receipt import Receipt
from gate.store import hot_state, layout, snapshots
from gate.store.charges import Answer
from gate.store.connection import sync_client
from gate.store.expanding import expand
from gate.store.hot_state import Call, Script
from gate.store.layout import CannotExpand
from gate.store.snapshots import FormerSecret
from gate.terms import addresses, key_text
from gate.terms.pace import Pace
from tests.gate.layouts.keep import FOLDER, declared
from tests.gate.world import HOUR_MS, NOW_MS, OpenGate, World

# What releases wrote: hashes, strings, a stream and holds of one account.
RELEASES = sorted(path.stem for path in FOLDER.glob("*.json") if not path.stem.endswith(".fields"))
HOME = addresses.to_hex("192.0.2.7")


@pytest.fixture(params=RELEASES)
def kept(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The records of one release."""
    found: dict[str, Any] = json.loads((FOLDER / f"{request.param}.json").read_text())
    return found


@pytest.fixture
def old(kept: dict[str, Any], world: World) -> World:
    """The world of that release, with its records in Valkey."""
    client = sync_client(settings.REDIS_URL)
    for name, written in kept["hashes"].items():
        client.hset(name, mapping=written)
    for name, content in kept["strings"].items():
        client.set(name, content)
    for name, entry_id, written in kept["stream"]:
        client.xadd(name, written, id=entry_id)
    for name, hold_id, until_ms in kept["holds"]:
        client.zadd(name, {hold_id: until_ms})
    world.handle, world.key = kept["handle"], kept["key"]
    return world


# --- what an earlier release wrote, read by today's code --------------------------------------


async def test_its_key_charges_on(old: World) -> None:
    async with old.gate() as gate:
        decision = await gate.check(units=3)
    # What was left of the allowance and boosts: 50 of 50 used, 4 and 15 chats in boosts.
    assert (decision.allowed, decision.answer.boosts_taken) == (True, "1:3")
    assert (decision.answer.boost_left, decision.answer.key_used) == (16, 17)
    assert old.account_loads == 0


async def test_its_bound_key_is_limited_as_it_was(old: World, kept: dict[str, Any]) -> None:
    old.key = kept["bound_key"]
    async with old.gate() as gate:
        assert (await gate.check(address=HOME)).allowed
        assert (await gate.check(address=addresses.to_hex("198.51.100.1"))).reason == "invalid_key"
        assert (await gate.check(address=HOME, meter="voice")).reason == "unknown_meter"
        assert (await gate.check(address=HOME, units=40)).reason == "key_cap_reached"
        assert (await gate.check(address=HOME, at_ms=NOW_MS + HOUR_MS)).reason == "invalid_key"


async def test_a_repeated_request_id_is_answered_though_the_record_is_shorter(
    old: World, kept: dict[str, Any]
) -> None:
    async with old.gate() as gate:
        again = await gate.check(units=8, request_id="told once")
    assert again.answer.entry_id == kept["stream"][0][1]
    assert (again.answer.allowance_taken, again.answer.wanted) == (6, 0)


async def test_its_charge_ids_settle_and_refund(old: World, kept: dict[str, Any]) -> None:
    ids = kept["charge_ids"]
    async with old.gate() as open_gate:
        gate = open_gate.gate
        settled = await gate.settle(charge_id=ids["open_hold"], units=1, at_ms=NOW_MS)
        assert (settled.status, settled.boost) == ("ok", 1)
        again = await gate.settle(charge_id=ids["settled"], units=4, at_ms=NOW_MS)
        assert (again.status, again.boost) == ("already", 4)
        refunded = await gate.refund(charge_id=ids["charge"], at_ms=NOW_MS)
        assert (refunded.status, refunded.allowance, refunded.boost) == ("ok", 6, 2)
        twice = await gate.refund(charge_id=ids["refunded"], at_ms=NOW_MS)
        assert (twice.status, twice.boost) == ("already", 1)


async def test_its_stream_is_read(old: World) -> None:
    async with old.gate() as gate:
        charge, settlement, _, refund = gate.entries()
    assert (charge.allowance, charge.boosts, charge.mark) == (6, ((1, 2),), None)
    assert settlement.mark is not None
    assert settlement.mark.content == "settled|0|1:4|0|0|4"
    assert refund.boosts == ((1, -1),)


# --- what today's code writes, read by an earlier release -------------------------------------


def _old_script(kept: dict[str, Any], name: str) -> Script:
    text = (FOLDER / kept["release"] / f"{name}.lua").read_text()
    return Script(text=text, sha="0" * 40)


def _ask(script: Script, names: list[str], *args: str | int) -> list[Any]:
    answer: list[Any] = hot_state.run(
        sync_client(settings.REDIS_URL), Call(script, tuple(names), args)
    )
    return answer


def _old_check(
    kept: dict[str, Any], world: World, *, units: int, address: str = "", key: str = ""
) -> list[Any]:
    names = hot_state.keys_of(world.handle)
    return _ask(
        _old_script(kept, "check"),
        [names.account, names.catalogue, names.stream, names.refusals, names.holds],
        *(NOW_MS, 2916, "chat", units, world.handle, HOUR_MS, "", address, 0, ""),
        snapshots.hot_digests([key_text.digest(key or world.key, world_pepper(kept))])[0],
    )


def world_pepper(kept: dict[str, Any]) -> key_text.Pepper:
    return key_text.Pepper(pepper_id="1", secret=kept["pepper"].encode())


async def test_todays_account_key_and_hold_serve_the_release_before(
    world: World, kept: dict[str, Any]
) -> None:
    world.grant(boosts=(world.boost(1, 10, hours=24),), credits=9, used=45)
    async with world.gate() as gate:
        await gate.check(units=0)
        hold = await gate.check(units=7, hold_seconds=3600)
        answer = _old_check(kept, world, units=2)
        assert (answer[0], answer[10]) == (b"ok", b"1:2")
        names = hot_state.keys_of(world.handle)
        of_a_hold = [names.account, names.catalogue, names.stream, "x", names.holds]
        settled = _ask(
            _old_script(kept, "settle"),
            of_a_hold,
            *(world.handle, hold.answer.entry_id, 6, 10_000, 2916, NOW_MS),
        )
    assert settled == [b"ok", 5, b"1:1", 0, 0]
    assert [entry.boosts for entry in gate.entries()] == [((1, 2),), ((1, 1),)]


async def test_todays_bound_key_is_bound_for_the_release_before(
    world: World, kept: dict[str, Any]
) -> None:
    network = addresses.network_to_hex("192.0.2.0/24")
    key = world.key_state(weekly_cap=3, scopes=("chat",), addresses=(network,))
    world.grant(keys=(key,))
    async with world.gate() as gate:
        await gate.check(units=0, address=HOME)
    assert _old_check(kept, world, units=3, address=HOME)[0] == b"ok"
    assert _old_check(kept, world, units=1, address=HOME)[0] == b"key_cap_reached"
    assert _old_check(kept, world, units=1)[0] == b"not_permitted"


async def test_a_key_that_may_ask_slowly_is_read_by_the_release_before_which_limits_nothing(
    world: World, kept: dict[str, Any]
) -> None:
    world.grant(keys=(world.key_state(version=2, pace=Pace(a_minute=1, at_once=1)),))
    world.catalogue = replace(world.catalogue, paces={"free": Pace(a_minute=1)})
    async with world.gate() as gate:
        assert (await gate.check(hold_seconds=60)).allowed
        assert (await gate.check()).reason == "rate_limited"
        assert [_old_check(kept, world, units=1)[0] for _ in range(2)] == [b"ok", b"ok"]
        # And what it charged leaves today's counts as they were.
        again = await gate.check(units=0)
    assert (again.answer.used, again.answer.room_left.left) == (3, 0)


async def test_a_key_that_the_release_before_changed_keeps_how_quickly_it_may_ask(
    world: World, kept: dict[str, Any]
) -> None:
    state = world.key_state(version=2, pace=Pace(a_minute=1))
    world.grant(keys=(state,))
    names = hot_state.keys_of(world.handle)
    async with world.gate() as gate:
        await gate.check()
        newer = replace(state, version=3).record
        _ask(
            _old_script(kept, "put_key"),
            [names.account, names.catalogue],
            *(state.digest, newer, HOUR_MS, 0),
        )
        assert (await gate.check()).reason == "rate_limited"


async def test_a_rotated_key_is_read_by_the_release_before_which_counts_its_secrets_apart(
    world: World, kept: dict[str, Any]
) -> None:
    state = world.key_state(weekly_cap=3)
    former = FormerSecret(digest=state.digest, is_active=True, ends_ms=NOW_MS + HOUR_MS)
    world_key_before, world.key = world.key, key_text.new_api_key(world.handle)
    digest = world.key_state().digest
    rotated = replace(state, digest=digest, version=2, first_digest=state.digest, former=former)
    world.grant(keys=(rotated,))
    async with world.gate() as gate:
        assert (await gate.check()).allowed
        assert _old_check(kept, world, units=3)[0] == b"ok"
        world.key = world_key_before
        assert _old_check(kept, world, units=2)[0] == b"ok"
        # It knows when a key ends.
        ended = replace(former, ends_ms=NOW_MS)
        call = snapshots.put_key_call(world.handle, replace(rotated, version=3, former=ended))
        await gate.client.run(call)
        assert _old_check(kept, world, units=1)[0] == b"invalid_key"
        ended = replace(former, is_active=False)
        call = snapshots.put_key_call(world.handle, replace(rotated, version=4, former=ended))
        await gate.client.run(call)
        assert _old_check(kept, world, units=1)[0] == b"invalid_key"


# --- both at once ------------------------------------------------------------------------------

ASKED_OF_EACH, CALLERS = 150, 4


async def test_two_releases_charge_one_account_exactly_while_its_key_is_changed(
    world: World, kept: dict[str, Any]
) -> None:
    world.catalogue = replace(world.catalogue, caps={"free": 300})
    state, former_key = world.key_state(), world.key
    world.key = key_text.new_api_key(world.handle)
    former = FormerSecret(digest=state.digest, is_active=True, ends_ms=NOW_MS + HOUR_MS)
    rotated = replace(
        state, digest=world.key_state().digest, first_digest=state.digest, former=former
    )
    boost = world.boost(1, 200, hours=24)
    world.grant(keys=(rotated,), boosts=(boost,), credits=200)
    there_is = 300 + 200 + 200 // world.catalogue.credits_per_chat
    is_done = asyncio.Event()

    def ask_the_release_before() -> list[str]:
        asked = range(ASKED_OF_EACH)
        return [_old_check(kept, world, units=1, key=former_key)[0].decode() for _ in asked]

    async def ask_today(gate: OpenGate) -> list[str]:
        return [str((await gate.check()).reason) for _ in range(ASKED_OF_EACH)]

    async def change_the_key(gate: OpenGate) -> None:
        for version in itertools.count(2):
            limits = Pace(a_minute=10**6) if version % 2 else Pace()
            changed = replace(rotated, version=version, pace=limits)
            await gate.client.run(snapshots.put_key_call(world.handle, changed))
            if is_done.is_set():
                return

    async with world.gate() as gate:
        assert (await gate.check(units=0)).allowed
        changes = asyncio.create_task(change_the_key(gate))
        said = await asyncio.gather(
            *(asyncio.to_thread(ask_the_release_before) for _ in range(CALLERS)),
            *(ask_today(gate) for _ in range(CALLERS)),
        )
        is_done.set()
        await changes
    told = Counter(itertools.chain.from_iterable(said))
    assert told == {"ok": there_is, "quota_exhausted": 2 * CALLERS * ASKED_OF_EACH - there_is}
    assert sum(entry.chats for entry in gate.entries()) == there_is


# --- a field more -----------------------------------------------------------------------------


async def _with_one_more(open_gate: OpenGate, field: str, separator: str) -> None:
    """What a later release would have written into a field of the account."""
    name = hot_state.keys_of(open_gate.world.handle).account
    client = sync_client(settings.REDIS_URL)
    record: Any = client.hget(name, field)
    client.hset(name, field, record.decode() + separator + "new")


async def test_a_key_with_a_field_more_is_still_that_key(world: World) -> None:
    async with world.gate() as gate:
        assert (await gate.check()).allowed
        await _with_one_more(gate, f"k:{world.key_state().digest}", "|")
        await _with_one_more(gate, f"u:{world.key_state().digest}", ":")
        decision = await gate.check()
    assert (decision.allowed, decision.answer.key_used) == (True, 2)


async def test_a_hold_and_a_boost_with_a_field_more_are_still_what_they_were(world: World) -> None:
    world.grant(boosts=(world.boost(1, 10, hours=24), world.boost(2, 5, hours=48)), used=50)
    async with world.gate() as gate:
        hold = await gate.check(units=12, hold_seconds=60)
        await _with_one_more(gate, f"h:{hold.answer.entry_id}", "|")
        name = hot_state.keys_of(world.handle).account
        client = sync_client(settings.REDIS_URL)
        boosts: Any = client.hget(name, "boosts")
        client.hset(name, "boosts", boosts.decode().replace(";", ",9;") + ",9")
        kept = await gate.gate.settle(charge_id=hold.charge_id, units=11, at_ms=NOW_MS)
        look = await gate.check(units=0)
    assert (kept.boost, look.answer.boost_left) == (11, 4)


def test_entries_with_a_field_more_are_counted_as_before() -> None:
    one = b"AbCd1234|7|chat|2916|1||0|0|1764158400000|new"
    raw = [(b"1-0", {b"e": one}), (b"2-0", {b"e": one.replace(b"00000|new", b"00001|new")})]
    ((entry, count),) = hot_state.read_alike(raw)
    assert (entry.allowance, entry.at_ms, count) == (1, 1764158400001, 2)


# --- the declaration itself -------------------------------------------------------------------


def test_fields_are_only_appended_and_each_change_is_kept() -> None:
    released = sorted(FOLDER.glob("*.fields.json"), key=lambda path: path.stem)
    for path in released:
        for name, known in json.loads(path.read_text()).items():
            assert declared()[name][: len(known)] == known, (path.stem, name)
    assert json.loads(released[-1].read_text()) == declared(), (
        "A record changed: python -m tests.gate.layouts.keep RELEASE"
    )


@pytest.mark.parametrize(
    ("lua", "sentence"),
    [
        ("return ARGS.mater", "there is no mater"),
        ("return NAMES.accounts", "there is no accounts"),
        ("for i = FIRST.digest, 3 do end", "there is no digest"),
        ("local key_id, key_version = MATCH.key(x)", "is not how"),
        ("print(MATCH.key(x))", "must be assigned"),
        ("local taken_id, chats = EACH.taken(x)", "is not how"),
        ("return ANSWER{state = 1}", "answer has no"),
        ("return TEXT.entry{handle = f(1, 2), hours = 3}", "entry has no"),
        ("return ACCOUNT.uses", "account has no uses"),
        ("return NOTHING{handle = 1}", "there is no record"),
        ("return KEPT{status = (1", "not closed"),
    ],
)
def test_a_script_that_names_what_is_not_declared_is_not_loaded(lua: str, sentence: str) -> None:
    with pytest.raises(CannotExpand, match=sentence):
        expand(lua, script="check")


def test_fields_are_named_in_any_order_and_written_in_the_declared_one() -> None:
    lua = expand("return TEXT.taken{chats = f({1, 2}), id = g(3)}", script="check")
    assert lua == "return (g(3) .. ':' .. f({1, 2}))"


def test_a_record_says_what_it_lacks_by_its_defaults() -> None:
    assert layout.MARK.read("refunded|1|2:3|4|5")["units"] is None
    assert layout.KEY.read("1|2|active||")["addresses"] == ""
    assert layout.ANSWER.read_parts([b"ok", 7])["key_cap"] is None
    written = layout.KEY.write(version=1, id=2, state="active", weekly_cap=0)
    assert written == "1|2|active||0||"
    with pytest.raises(TypeError, match="no \\['until'\\]"):
        layout.KEY.write(until=3)


@pytest.mark.parametrize(
    ("made_of", "record"), [(Answer, layout.ANSWER), (Receipt, layout.RECEIPT)]
)
def test_what_is_made_of_a_record_has_its_order(made_of: Any, record: layout.Record) -> None:
    assert [one.name for one in fields(made_of)] == [one.name for one in record.fields]
