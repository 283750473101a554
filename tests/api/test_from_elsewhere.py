"""The public API from an address that a key is not bound to: as if the key were unknown."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from gate.service.sightings import Sighting
from gate.terms import addresses, key_text
from tests.api.conftest import Api
from tests.patience import LONGEST_SECONDS

BODIES: list[dict[str, Any]] = [
    {"json": {"messages": [{"role": "user", "content": "Hello!"}]}},
    {"json": {"messages": []}},
    {"content": b"{"},
    {"content": b"", "headers": {"Content-Type": "text/plain"}},
]


def bind(api: Api, network: str) -> None:
    bound = (addresses.network_to_hex(network),)
    api.world.grant(keys=(api.world.key_state(version=2, addresses=bound),))


@pytest.mark.parametrize("body", BODIES, ids=["good", "wrong member", "no JSON", "wrong type"])
def test_a_chat_answers_as_of_an_unknown_key_whatever_the_body(
    api: Api, body: dict[str, Any]
) -> None:
    bind(api, "192.0.2.0/24")
    unknown = api.request(key=key_text.new_api_key(api.world.handle), **body)
    answer = api.request(**body)
    assert answer.status_code == 401
    assert (answer.content, answer.headers) == (unknown.content, unknown.headers)


@pytest.mark.parametrize("body", BODIES[1:], ids=["wrong member", "no JSON", "wrong type"])
def test_where_the_key_is_known_a_bad_body_is_told(api: Api, body: dict[str, Any]) -> None:
    bind(api, "127.0.0.0/8")
    assert api.request(**body).status_code in {400, 415}


def test_the_owner_of_a_key_sees_what_was_refused(api: Api) -> None:
    bind(api, "192.0.2.0/24")
    assert api.chat().status_code == 401
    assert api.refusals() == ["wrong_address"]


def test_the_owner_of_a_suspended_account_sees_what_was_refused(api: Api) -> None:
    api.world.grant(suspended=True)
    assert api.chat().status_code == 403
    assert api.refusals() == ["suspended"]


def test_the_quota_answers_as_of_an_unknown_key(api: Api) -> None:
    bind(api, "192.0.2.0/24")
    asked = {"method": "GET", "path": "/api/v1/quota"}
    unknown = api.request(key=key_text.new_api_key(api.world.handle), **asked)
    answer = api.request(**asked)
    assert answer.status_code == 401
    assert (answer.content, answer.headers) == (unknown.content, unknown.headers)


def test_where_a_key_is_used_from_is_noticed_and_with_what_client(api: Api) -> None:
    api.trusted_proxies = 1
    seen: list[Sighting] = []

    async def record(some: Sequence[Sighting]) -> None:
        seen.extend(some)

    async def story(client: httpx.AsyncClient) -> None:
        headers = {
            "Authorization": f"Bearer {api.world.key}",
            "X-Forwarded-For": "192.0.2.9",
            "User-Agent": "openai-python/1",
        }
        assert (await client.get("/api/v1/quota", headers=headers)).status_code == 200
        async with asyncio.timeout(LONGEST_SECONDS):
            while not seen:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)

    api.record_sightings = record
    api.ask(story)
    (one,) = seen
    assert (one.key_id, str(addresses.from_hex(one.address))) == (7, "192.0.2.9")
    assert one.client == "openai-python/1"


def test_an_address_with_a_port_is_the_address(api: Api) -> None:
    bind(api, "192.0.2.0/24")
    api.trusted_proxies = 1
    assert api.chat(headers={"X-Forwarded-For": "192.0.2.9:50123"}).status_code == 200
    assert api.chat(headers={"X-Forwarded-For": "203.0.113.1, 192.0.2.9"}).status_code == 200
    assert api.chat(headers={"X-Forwarded-For": "192.0.2.9, 203.0.113.1:1"}).status_code == 401
