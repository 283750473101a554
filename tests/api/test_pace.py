"""Requests a minute and at the same time, as the public API tells it."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import httpx

from gate.terms.pace import Pace
from tests.api.conftest import Api


def limit(api: Api, **limits: int) -> None:
    state = api.world.key_state(version=2, pace=Pace(**limits))
    api.world.grant(keys=(state,))


def test_a_full_minute_is_refused_with_its_reason_and_its_end(api: Api) -> None:
    limit(api, a_minute=1)
    assert api.chat().status_code == 200
    answer = api.chat()
    body = answer.json()
    assert (answer.status_code, body["code"]) == (429, "rate_limited")
    assert body["error"]["type"] == "rate_limit_error"
    assert 0 < int(answer.headers["retry-after"]) <= 61
    assert "This key may make 1 requests a minute" in body["detail"]
    assert api.used == 1


def test_as_many_are_answered_at_the_same_time_as_may(api: Api) -> None:
    limit(api, at_once=3)
    ask = {"model": "house", "messages": [{"role": "user", "content": "Hi"}]}
    headers = {"Authorization": f"Bearer {api.world.key}"}

    async def story(client: httpx.AsyncClient) -> list[httpx.Response]:
        return await asyncio.gather(
            *(client.post("/api/v1/chat", json=ask, headers=headers) for _ in range(30))
        )

    answers: list[httpx.Response] = api.ask(story)
    told = Counter(answer.status_code for answer in answers)
    # Some were done when others came.
    assert told[200] >= 3
    assert told[200] + told[429] == 30
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.json()["code"] for answer in refused} == {"too_many_at_once"}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert api.used == told[200]
    # All are done: there is room again.
    assert api.chat().status_code == 200


def test_what_is_left_is_told_for_nothing(api: Api) -> None:
    assert api.request(method="GET", path="/api/v1/quota").json()["requests"] == dict.fromkeys(
        ("a_minute", "left", "at_once", "open")
    )
    limit(api, a_minute=5, at_once=2)
    api.world.catalogue = replace(api.world.catalogue, version=2, paces={"free": Pace(a_minute=3)})

    async def told() -> Any:
        async with api.world.gate() as gate:
            await gate.push()
            await gate.push_catalogue()
            await gate.check(at_ms=None)
            await gate.check(at_ms=None, hold_seconds=60)

    asyncio.run(told())
    assert api.request(method="GET", path="/api/v1/quota").json()["requests"] == {
        "a_minute": 3,
        "left": 1,
        "at_once": 2,
        "open": 1,
    }
