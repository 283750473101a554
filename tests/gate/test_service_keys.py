"""POST /quota/v1/check: whose key it is, and what the key is limited to."""

from typing import Any

import pytest

from gate.terms import addresses, key_text
from tests.gate.quota_service import RATE_HEADERS, QuotaService
from tests.gate.world import now_ms


def _invalid_keys(service: QuotaService) -> dict[str, str]:
    return {
        "noise": "hello",
        "of no account": key_text.new_api_key(key_text.new_handle()),
        "of the account, never made": key_text.new_api_key(service.world.handle),
        "with a typing error": service.world.key[:-1] + "?",
        "a service token": service.token,
        "not ASCII": "sk_" + "é" * 46,
    }


def test_what_is_no_key_is_a_decision_that_tells_nothing(service: QuotaService) -> None:
    answers = [
        service.post("check", {"key": key, "meter": meter, "units": units})
        for key in _invalid_keys(service).values()
        for meter in ("chat", "nonsense")
        for units in (0, 1)
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert answer.json() == {"allowed": False, "reason": "invalid_key"}
        assert not RATE_HEADERS & answer.headers.keys()


@pytest.mark.parametrize(
    "limits",
    [{"is_active": False}, {"expires_ms": 1}, {"is_active": False, "weekly_cap": 0}],
)
def test_revoked_and_expired_keys_look_like_unknown_ones(
    service: QuotaService, limits: dict[str, Any]
) -> None:
    stranger = service.post("check", {"key": key_text.new_api_key(key_text.new_handle())})
    service.world.grant(keys=(service.world.key_state(version=2, **limits),))
    answer = service.check()
    assert answer.content == stranger.content
    assert answer.headers == stranger.headers


async def test_a_key_expires_to_the_millisecond(service: QuotaService) -> None:
    at_ms = now_ms()
    service.world.grant(keys=(service.world.key_state(version=2, expires_ms=at_ms + 60_000),))
    async with service.world.gate() as gate:
        assert (await gate.check(at_ms=at_ms + 59_999)).reason == "ok"
        assert (await gate.check(at_ms=at_ms + 60_000)).reason == "invalid_key"


def test_a_key_may_be_limited_to_meters(service: QuotaService) -> None:
    service.world.grant(keys=(service.world.key_state(version=2, scopes=("images", "voice")),))
    body = service.check().json()
    assert (body["allowed"], body["reason"], body["charge_id"]) == (False, "not_permitted", None)
    assert service.check(meter="images").json()["allowed"]
    # Half of a scope's name is not the scope.
    service.world.grant(keys=(service.world.key_state(version=3, scopes=("chats", "cha")),))
    service.push()
    assert service.check().json()["reason"] == "not_permitted"
    assert service.check(units=0).json()["reason"] == "ok"


ADDRESSES = [
    (("192.0.2.0/24",), "192.0.2.255", True),
    (("192.0.2.0/24",), "::ffff:192.0.2.7", True),
    (("192.0.2.0/24",), "192.0.3.0", False),
    (("192.0.2.0/24",), "::192.0.2.7", False),
    (("192.0.2.0/24",), None, False),
    (("192.0.2.7/32",), "192.0.2.7", True),
    (("192.0.2.7/32",), "192.0.2.6", False),
    (("192.0.2.128/25",), "192.0.2.128", True),
    (("192.0.2.128/25",), "192.0.2.127", False),
    (("192.0.2.64/27",), "192.0.2.95", True),
    (("192.0.2.64/27",), "192.0.2.96", False),
    (("0.0.0.0/0",), "203.0.113.9", True),
    (("0.0.0.0/0",), "2001:db8::1", False),
    (("2001:db8::/33",), "2001:db8:7fff::1", True),
    (("2001:db8::/33",), "2001:DB8:8000::1", False),
    (("2001:db8::1/128",), "2001:0db8:0:0:0:0:0:1", True),
    (("::/0",), "192.0.2.1", True),
    (("2001:db8::/32", "192.0.2.0/24"), "192.0.2.1", True),
    ((), None, True),
]


@pytest.mark.parametrize(("networks", "ip", "allowed"), ADDRESSES)
def test_a_key_may_be_bound_to_networks(
    service: QuotaService, networks: tuple[str, ...], ip: str | None, allowed: bool
) -> None:
    bound = tuple(addresses.network_to_hex(network) for network in networks)
    service.world.grant(keys=(service.world.key_state(version=2, addresses=bound),))
    body = service.check(ip=ip).json()
    assert body["allowed"] is allowed
    assert body["reason"] == ("ok" if allowed else "invalid_key")


def test_a_key_may_have_a_weekly_cap_of_its_own(service: QuotaService) -> None:
    service.world.grant(keys=(service.world.key_state(version=2, weekly_cap=5),))
    assert service.check(units=3).json()["allowed"]
    answer = service.check(units=3)
    body = answer.json()
    assert (body["allowed"], body["reason"]) == (False, "key_cap_reached")
    assert body["retry_after"] > 0
    assert body["remaining"]["allowance"] == 47
    assert service.check(units=2).json()["allowed"]
    assert service.check(meter="images").json()["reason"] == "key_cap_reached"


def test_the_rate_headers_know_the_cap_of_the_key(service: QuotaService) -> None:
    service.world.grant(keys=(service.world.key_state(version=2, weekly_cap=5),))
    answer = service.check(units=3)
    assert answer.headers["x-ratelimit-limit"] == "5"
    assert answer.headers["x-ratelimit-remaining"] == "2"
    service.world.grant(plan="pro")
    service.push()
    answer = service.check(units=3)
    assert answer.json()["reason"] == "key_cap_reached"
    assert answer.headers["ratelimit-policy"] == '"week";q=5;w=604800'
    assert answer.headers["ratelimit"].startswith('"week";r=2;t=')
