"""Keys that may do less than their account: expiry, scopes, addresses, a weekly cap."""

import asyncio
from typing import Any

import pytest

from gate.terms import addresses, week
from tests.gate.world import HOUR_MS, NOW_MS, World


def limited(world: World, **limits: Any) -> None:
    world.grant(keys=(world.key_state(version=2, **limits),))


async def test_an_expired_key_is_as_invalid_as_an_unknown_one(world: World) -> None:
    limited(world, expires_ms=NOW_MS)
    async with world.gate() as gate:
        assert (await gate.check(at_ms=NOW_MS - 1)).allowed
        decision = await gate.check(at_ms=NOW_MS)
        assert decision.reason == "invalid_key"
        assert decision.answer is None


async def test_a_key_with_scopes_may_use_only_those_meters(world: World) -> None:
    limited(world, scopes=("images",))
    async with world.gate() as gate:
        assert (await gate.check(meter="images")).allowed
        assert (await gate.check(meter="chat")).reason == "not_permitted"
        assert (await gate.check(units=0)).reason == "ok"


@pytest.mark.parametrize(
    ("network", "address", "allowed"),
    [
        ("192.0.2.0/24", "192.0.2.255", True),
        ("192.0.2.0/24", "192.0.3.0", False),
        ("192.0.2.0/27", "192.0.2.31", True),
        ("192.0.2.0/27", "192.0.2.32", False),
        ("192.0.2.7/32", "192.0.2.7", True),
        ("192.0.2.7/32", "::ffff:192.0.2.7", True),
        ("0.0.0.0/0", "198.51.100.1", True),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("2001:db8::/33", "2001:db8:7fff::1", True),
        ("2001:db8::/33", "2001:db8:8000::1", False),
        ("::/0", "198.51.100.1", True),
        ("192.0.2.0/24", None, False),
    ],
)
async def test_a_key_bound_to_a_network_works_only_from_there(
    world: World, network: str, address: str | None, allowed: bool
) -> None:
    limited(world, addresses=tuple(map(addresses.network_to_hex, ("203.0.113.9/32", network))))
    told = "" if address is None else addresses.to_hex(address)

    async with world.gate() as gate:
        decision = await gate.check(address=told)
        assert decision.reason == ("ok" if allowed else "invalid_key")


async def test_a_key_may_use_no_more_than_its_own_cap(world: World) -> None:
    limited(world, weekly_cap=5)
    async with world.gate() as gate:
        decisions = await asyncio.gather(*(gate.check() for _ in range(20)))
        assert sum(decision.allowed for decision in decisions) == 5
        refused = await gate.check()
        assert refused.reason == "key_cap_reached"
        assert (refused.answer.key_cap, refused.answer.key_used) == (5, 5)
        assert refused.answer.allowance_left == 45
        assert (await gate.check(at_ms=week.starts_ms(2917))).allowed


async def test_a_key_cap_counts_chats_from_every_source(world: World) -> None:
    world.grant(
        used=49,
        boosts=(world.boost(1, 1, hours=1),),
        credits=100,
        keys=(world.key_state(version=2, weekly_cap=3),),
    )
    async with world.gate() as gate:
        assert [(await gate.check()).reason for _ in range(4)] == [
            "ok",
            "ok",
            "ok",
            "key_cap_reached",
        ]


async def test_a_cold_account_remembers_what_its_keys_used(world: World) -> None:
    limited(world, weekly_cap=5, used=4)
    async with world.gate() as gate:
        assert (await gate.check()).allowed
        assert (await gate.check()).reason == "key_cap_reached"


async def test_a_refund_gives_the_key_its_chats_back(world: World) -> None:
    limited(world, weekly_cap=1)
    async with world.gate() as gate:
        charge = await gate.check()
        await gate.gate.refund(charge_id=charge.charge_id, at_ms=NOW_MS)
        assert (await gate.check()).allowed


async def test_refusals_are_counted_by_hour_and_reason(world: World) -> None:
    limited(world, weekly_cap=0)
    async with world.gate() as gate:
        for _ in range(30):
            await gate.check()
        await gate.check(at_ms=NOW_MS + HOUR_MS)
        assert sorted(gate.refusals().values()) == [1, 30]
