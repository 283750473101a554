"""A key that is bound to addresses is unknown everywhere else; only its owner can find out."""

from typing import Any

import pytest

from gate.terms import addresses, key_text
from tests.gate.quota_service import QuotaService
from tests.gate.world import World

HERE, ELSEWHERE = "192.0.2.9", "198.51.100.9"


def bind(world: World, **limits: Any) -> None:
    """Bind the key to one network."""
    network = (addresses.network_to_hex("192.0.2.0/24"),)
    world.grant(keys=(world.key_state(version=2, addresses=network, **limits),))


@pytest.mark.parametrize("ip", [ELSEWHERE, "2001:db8::1", None])
@pytest.mark.parametrize(
    "asked",
    [{}, {"units": 0}, {"meter": "nonsense"}, {"units": 10_000}, {"hold_seconds": 60}],
    ids=["charge", "look", "wrong meter", "too much", "hold"],
)
def test_from_elsewhere_a_check_answers_as_of_an_unknown_key(
    service: QuotaService, ip: str | None, asked: dict[str, Any]
) -> None:
    bind(service.world)
    unknown = key_text.new_api_key(service.world.handle)
    expected = service.post("check", {"key": unknown, "ip": ip, **asked})
    answer = service.check(ip=ip, **asked)
    assert answer.json() == {"allowed": False, "reason": "invalid_key"}
    assert (answer.content, answer.headers) == (expected.content, expected.headers)
    assert service.check(ip=HERE, units=0).json()["remaining"]["allowance"] == 50


@pytest.mark.parametrize("changed", [{"suspended": True}, {"used": 50}])
def test_from_elsewhere_nothing_of_the_account_shows(
    service: QuotaService, changed: dict[str, Any]
) -> None:
    bind(service.world, weekly_cap=0, scopes=("images",))
    service.world.grant(**changed)
    assert service.check(ip=ELSEWHERE).json() == {"allowed": False, "reason": "invalid_key"}


def test_from_elsewhere_a_request_id_opens_nothing(service: QuotaService) -> None:
    bind(service.world)
    assert service.check(ip=HERE, request_id="order 1").json()["allowed"]
    answer = service.check(ip=ELSEWHERE, request_id="order 1")
    assert answer.json() == {"allowed": False, "reason": "invalid_key"}


def test_a_gateway_answers_401_from_elsewhere(service: QuotaService) -> None:
    bind(service.world)
    unknown = service.authorize(key=key_text.new_api_key(service.world.handle))
    answer = service.authorize()
    assert answer.status_code == 401
    assert (answer.content, answer.headers) == (unknown.content, unknown.headers)


async def test_the_owner_can_find_out(world: World) -> None:
    bind(world)
    async with world.gate() as gate:
        for units in (0, 1, 3):
            await gate.check(units=units, address=addresses.to_hex(ELSEWHERE))
        await gate.check()
        ((name, count),) = gate.refusals().items()
        assert name.startswith(f"{world.handle}|7|")
        assert name.endswith("|wrong_address")
        assert count == 4
