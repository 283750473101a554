"""What a check says of itself, for people: its tag and its request id. Neither decides anything."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings

from gate.decision import receipt
from gate.store import hot_state, layout
from gate.store.connection import sync_client
from gate.store.hot_state import Entry
from gate.terms import tags
from tests.gate.quota_service import QuotaService, assert_problem
from tests.gate.world import NOW_MS, PEPPER, World

TAG, REQUEST_ID = "X-Quota-Tag", "X-Quota-Request-Id"
SECRET = "sk_" + "a" * 46
# Any letter, and every sign that means something to a record, but for the one that is refused.
TAGS = ["ann", "łukasz", "team:7,a;b%7C", "x" * 64, "😀" * 64]
NO_TAGS = ["", "x" * 65, "a|b", "a\nb", "ann\n", "a\x1fb", "a\x00", "a\x85b", 7]


@pytest.fixture
def entries(world: World) -> Callable[[], list[Entry]]:
    """The account's charges that wait for the drain."""

    async def read() -> list[Entry]:
        async with world.gate() as open_gate:
            return open_gate.entries()

    return lambda: asyncio.run(read())


@pytest.fixture
def refusals(world: World) -> Callable[[], list[dict[str, Any]]]:
    """What is kept of the account's refusals, one by one, with their notes."""

    def read() -> list[dict[str, Any]]:
        account: Any = sync_client(settings.REDIS_URL).hgetall(
            hot_state.keys_of(world.handle).account
        )
        told = [
            layout.REFUSED.read(line.decode())
            for name, line in sorted(account.items())
            if name.startswith(b"f:")
        ]
        return [{**one, **layout.NOTE.read(one["note"])} for one in told]

    return read


def everything() -> str:
    """All that stands in Valkey, as text."""
    client: Any = sync_client(settings.REDIS_URL)
    texts = []
    for name in client.scan_iter():
        kind = client.type(name)
        reading = {
            b"hash": client.hgetall,
            b"string": client.get,
            b"list": lambda name: client.lrange(name, 0, -1),
            b"stream": client.xrange,
            b"zset": lambda name: client.zrange(name, 0, -1),
        }
        texts.append(f"{name!r} {reading[kind](name)!r}")
    return "\n".join(texts)


# --- a tag's way ------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", TAGS)
def test_a_charge_and_its_refund_bear_the_tag(
    service: QuotaService, entries: Callable[[], list[Entry]], tag: str
) -> None:
    charge_id = service.check(tag=tag).json()["charge_id"]
    assert service.post("refund", {"charge_id": charge_id}).status_code == 200
    charge, refund = entries()
    assert (charge.tag, refund.tag) == (tag, tag)
    assert (charge.allowance, refund.allowance) == (1, -1)


@pytest.mark.parametrize("tag", TAGS)
def test_what_was_settled_and_its_refund_bear_the_tag_of_the_hold(
    service: QuotaService, entries: Callable[[], list[Entry]], tag: str
) -> None:
    charge_id = service.check(tag=tag, units=5, hold_seconds=60).json()["charge_id"]
    assert entries() == []
    service.post("settle", {"charge_id": charge_id, "units": 2, "model": "m"})
    service.post("refund", {"charge_id": charge_id})
    settled, refund = entries()
    assert [(one.tag, one.allowance) for one in (settled, refund)] == [(tag, 2), (tag, -2)]
    assert settled.tokens is not None
    assert settled.request_id == "told"


def test_a_check_of_credits_or_of_a_limited_key_bears_it_too(
    world: World, service: QuotaService, entries: Callable[[], list[Entry]]
) -> None:
    world.grant(keys=(world.key_state(version=2, weekly_cap=9),))
    service.check(tag="ann")
    assert [entry.tag for entry in entries()] == ["ann"]


def test_checks_of_a_batch_have_each_its_own(
    service: QuotaService, entries: Callable[[], list[Entry]]
) -> None:
    key = service.world.key
    checks = [
        {"key": key, "tag": "ann", "request_id": "one"},
        {"key": key},
        {"key": key, "tag": SECRET},
    ]
    decisions = service.post("check/batch", {"checks": checks}).json()["decisions"]
    assert decisions[2]["problem"]["field"] == "tag"
    assert [(one.tag, one.request_id) for one in entries()] == [("ann", "one"), ("", "told")]


@pytest.mark.parametrize("tag", NO_TAGS)
def test_what_cannot_be_a_tag_is_refused_by_name(
    service: QuotaService, entries: Callable[[], list[Entry]], tag: Any
) -> None:
    said = assert_problem(service.check(tag=tag), 400, "invalid_request", "tag")
    assert tags.MUST_BE in said["detail"]
    assert entries() == []


def test_a_secret_is_no_tag_and_stands_nowhere(service: QuotaService) -> None:
    service.check(units=0)
    said = assert_problem(service.check(tag=f"for {SECRET}"), 400, "invalid_request", "tag")
    assert "looks like a secret" in said["detail"]
    assert SECRET not in json.dumps(said) + everything()


def test_a_retry_with_another_tag_is_the_same_charge_with_the_first_one(
    service: QuotaService, entries: Callable[[], list[Entry]]
) -> None:
    first = service.check(request_id="r", tag="ann").json()
    again = service.check(request_id="r", tag="bob").json()
    assert again == first
    service.post("refund", {"charge_id": again["charge_id"]})
    assert [entry.tag for entry in entries()] == ["ann", "ann"]


def test_a_repeated_hold_settles_with_the_first_tag(
    service: QuotaService, entries: Callable[[], list[Entry]]
) -> None:
    for tag in ("ann", "bob"):
        held = service.check(request_id="r", tag=tag, hold_seconds=60).json()
    service.post("settle", {"charge_id": held["charge_id"], "units": 1})
    assert [(entry.tag, entry.request_id) for entry in entries()] == [("ann", "r")]


def test_charges_that_are_alike_but_for_their_tags_are_counted_apart() -> None:
    one = b"AbCd1234|7|chat|2916|1||0|0|1764158400000"
    raw = [
        (f"{number}-0".encode(), {b"e": one, b"n": f"{tag}\x1f\x1f{number}".encode()})
        for number, tag in enumerate(["ann", "bob", "ann", ""])
    ]
    raw.append((b"9-0", {b"e": one}))
    counted = {entry.tag: count for entry, count in hot_state.read_alike(raw)}
    assert counted == {"ann": 2, "bob": 1, "": 2}


def test_a_charge_id_without_a_tag_reads_as_the_release_before_wrote_it(
    service: QuotaService,
) -> None:
    plain = service.check().json()["charge_id"]
    tagged = service.check(tag="ann").json()["charge_id"]
    assert receipt.from_charge_id(plain, [PEPPER]).note == ""
    assert receipt.from_charge_id(tagged, [PEPPER]).note == "ann\x1f\x1f"
    assert len(plain) < len(tagged)


# --- of gateways ------------------------------------------------------------------------------


def test_a_tag_of_a_gateway_counts_with_the_trust_in_its_request_ids(
    service: QuotaService,
    entries: Callable[[], list[Entry]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    service.authorize((TAG, "ann"))
    assert f"{TAG} was ignored" in caplog.text
    service.trust(request_id=True)
    service.authorize((TAG, "bob"), (REQUEST_ID, "order 1"))
    assert [(one.tag, one.request_id) for one in entries()] == [("", "told"), ("bob", "order 1")]


@pytest.mark.parametrize("tag", ["x" * 65, "a|b", SECRET])
def test_a_wrong_tag_of_a_gateway_is_its_operators_fault(
    service: QuotaService, caplog: pytest.LogCaptureFixture, tag: str
) -> None:
    service.trust(request_id=True)
    assert_problem(service.authorize((TAG, tag)), 503, "gateway_misconfigured")
    assert TAG in caplog.text
    assert tag not in caplog.text + everything()


# --- by which id it is found ------------------------------------------------------------------


@pytest.mark.parametrize("request_id", ["order 1", "|a000b421.1_", "100%7C", "r" * 128])
def test_the_request_id_is_recorded_or_else_the_one_of_the_answer(
    service: QuotaService, entries: Callable[[], list[Entry]], request_id: str
) -> None:
    answer = service.check()
    service.check(request_id=request_id)
    held = service.check(request_id=f"{request_id[:100]} held", hold_seconds=60).json()
    service.post("settle", {"charge_id": held["charge_id"], "units": 1})
    assert [entry.request_id for entry in entries()] == [
        answer.headers.get("x-request-id", "told"),
        request_id,
        f"{request_id[:100]} held",
    ]


def test_a_secret_is_recorded_as_no_request_id(
    service: QuotaService, entries: Callable[[], list[Entry]]
) -> None:
    service.check(request_id=SECRET)
    service.check(request_id=f"{SECRET} held", hold_seconds=60)
    service.use_up()
    service.push()
    service.check(request_id=f"refused {SECRET}", units=60)
    assert [entry.request_id for entry in entries()] == ["told"]
    assert SECRET not in everything()


# --- refusals ---------------------------------------------------------------------------------


async def test_every_refusal_of_a_known_key_is_kept_with_what_it_says_of_itself(
    world: World, refusals: Callable[[], list[dict[str, Any]]]
) -> None:
    async with world.gate() as gate:
        await gate.check(units=51, tag="ann", shown_id="one", model="large")
        await gate.check(units=0, meter="images", shown_id="a look")
        world.grant(suspended=True)
        await gate.push()
        await gate.check(shown_id="two")
        world.grant(keys=(world.key_state(version=2, is_active=False),))
        await gate.push()
        await gate.check(units=0, shown_id="a look with a key that ended")
        await gate.check(shown_id="three", meter="a meter|of the caller's")
    assert [(one["reason"], one["request_id"]) for one in refusals()] == [
        ("above_plan_cap", "one"),
        ("suspended", "two"),
        ("invalid_key", "three"),
    ]
    first, _, last = refusals()
    assert (first["tag"], first["model"], first["chats"]) == ("ann", "large", 51)
    assert (first["meter"], first["at_ms"], first["key_id"]) == ("chat", NOW_MS, 7)
    assert (last["meter"], last["chats"]) == ("", 0)


async def test_a_key_that_nobody_knows_leaves_nothing(
    world: World, refusals: Callable[[], list[dict[str, Any]]]
) -> None:
    async with world.gate() as gate:
        await gate.check(units=0)
        world.key = world.key[:-10] + "0" * 10
        await gate.check(shown_id="noise")
    assert refusals() == []


def test_the_longest_note_leaves_room_in_a_charge_id(service: QuotaService) -> None:
    held = service.check(tag="😀" * 64, request_id="%|" * 64, hold_seconds=60).json()
    assert len(held["charge_id"]) < 2_048
    settled = service.post("settle", {"charge_id": held["charge_id"], "units": 1})
    assert settled.json()["settled"]
