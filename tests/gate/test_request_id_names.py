"""No text of a caller becomes part of a name in Valkey, and an upgrade charges nobody twice."""

from typing import Any

from django.conf import settings

from gate.store import hot_state
from gate.store.charges import check_call
from gate.store.connection import sync_client
from gate.terms import key_text
from tests.gate.world import World

KEY = key_text._with_checksum("sk_AbCd1234" + "Zx9" * 10 + "Zx")


def _names() -> str:
    found: Any = sync_client(settings.REDIS_URL).keys("*")
    return b" ".join(found).decode()


async def test_a_request_id_is_part_of_no_name(world: World) -> None:
    async with world.gate() as gate:
        for request_id in ("my-own-id", KEY, "{g99}c", "an:other", "x" * 128):
            first = await gate.check(request_id=request_id)
            again = await gate.check(request_id=request_id)
            assert (first.allowed, again.charge_id) == (True, first.charge_id)
            assert request_id not in _names()
    assert len(gate.entries()) == 5


async def test_a_meter_is_part_of_no_name(world: World) -> None:
    async with world.gate() as gate:
        decision = await gate.check(meter=KEY, request_id="one")
        assert decision.reason == "unknown_meter"
    assert KEY not in _names()
    names = hot_state.keys_of(world.handle)
    assert KEY.encode() not in b"".join(sync_client(settings.REDIS_URL).hkeys(names.account))  # type: ignore[arg-type]


async def test_what_the_first_release_remembers_is_not_charged_again(world: World) -> None:
    async with world.gate() as gate:
        first = await gate.check(request_id="before-the-upgrade")
        names = hot_state.keys_of(world.handle)
        client = sync_client(settings.REDIS_URL)
        # As release 0.1.0 left it.
        client.rename(
            names.replay("before-the-upgrade"), f"{names.prefix}r:{world.handle}:before-the-upgrade"
        )
        again = await gate.check(request_id="before-the-upgrade")
    assert again.charge_id == first.charge_id
    assert len(gate.entries()) == 1


def test_a_key_as_a_request_id_is_not_even_looked_for_in_clear() -> None:
    call = check_call(
        handle="AbCd1234",
        digests=["d"],
        meter="chat",
        units=1,
        request_id=f"mine-{KEY}",
    )
    assert KEY not in " ".join(call.keys)
