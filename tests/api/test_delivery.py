"""Answers on their way over a real connection: who leaves, who waits, and what it costs."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from django.conf import settings

from api import delivery
from gate.store import hot_state
from gate.store.connection import sync_client
from gate.store.hot_state import Tokens
from tests.api.conftest import Api
from tests.patience import LONGEST_SECONDS

HELLO = {"messages": [{"role": "user", "content": "Hello!"}]}


@asynccontextmanager
async def streaming(api: Api, address: str, path: str = "chat") -> AsyncIterator[httpx.Response]:
    """An answer under way; leaving the block closes the connection."""
    async with (
        httpx.AsyncClient(timeout=LONGEST_SECONDS) as client,
        client.stream(
            "POST",
            f"{address}/api/v1/{path}",
            json={**HELLO, "stream": True},
            headers={"Authorization": f"Bearer {api.world.key}"},
        ) as answer,
    ):
        yield answer


async def until_used(api: Api, chats: int) -> None:
    """Wait until so many are counted, holds included."""
    async with asyncio.timeout(LONGEST_SECONDS):
        while await api.count_used() != chats:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


async def asked(api: Api) -> None:
    """Wait until the model was asked."""
    async with asyncio.timeout(LONGEST_SECONDS):
        while not api.model_server.requests:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


async def waiting(
    client: httpx.AsyncClient, api: Api, address: str
) -> "asyncio.Task[httpx.Response]":
    """A request for a whole answer, which the model is at."""
    asking = asyncio.create_task(
        client.post(
            f"{address}/api/v1/chat",
            json=HELLO,
            headers={"Authorization": f"Bearer {api.world.key}"},
        )
    )
    await asked(api)
    return asking


async def test_a_piece_arrives_before_the_next_one_is_made(api: Api) -> None:
    api.model_server.go_on.clear()
    async with api.server() as address, streaming(api, address) as answer:
        pieces = answer.aiter_text()
        assert await anext(pieces) == "Hel"
        api.model_server.go_on.set()
        assert "".join([piece async for piece in pieces]) == "lo, wörld"
    assert await api.count_used() == 1


async def test_who_leaves_before_the_first_piece_pays_nothing(api: Api) -> None:
    api.model_server.begin.clear()
    async with api.server() as address:
        leaving = asyncio.create_task(_first_piece(api, address))
        await asked(api)
        assert await api.count_used() == 1
        leaving.cancel()
        await until_used(api, 0)
        # And the model is left alone, though it is silent.
        api.model_server.begin.set()


async def _first_piece(api: Api, address: str) -> None:
    async with streaming(api, address) as answer:
        await anext(answer.aiter_bytes())


async def test_who_leaves_in_the_middle_pays(api: Api) -> None:
    api.model_server.go_on.clear()
    async with api.server() as address:
        async with streaming(api, address) as answer:
            await anext(answer.aiter_bytes())
        # The server notices while the model is silent.
        async with asyncio.timeout(LONGEST_SECONDS):
            while _is_held(api):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
        api.model_server.go_on.set()
    assert await api.count_used() == 1
    assert await asyncio.to_thread(api.model_server.cut_off.wait, LONGEST_SECONDS)


def _is_held(api: Api) -> bool:
    holds = hot_state.keys_of(api.world.handle).holds
    return bool(sync_client(settings.REDIS_URL).zcard(holds))


async def test_an_answer_that_takes_longer_than_its_hold_is_held_on(api: Api) -> None:
    api.hold_seconds = 3
    api.model_server.go_on.clear()
    async with api.server() as address, streaming(api, address) as answer:
        pieces = answer.aiter_text()
        await anext(pieces)
        await asyncio.sleep(5)
        assert await api.count_used() == 1
        api.model_server.go_on.set()
        assert "".join([piece async for piece in pieces]) == "lo, wörld"
    assert await api.count_used() == 1


async def test_who_leaves_before_a_whole_answer_pays_nothing(api: Api) -> None:
    api.model_server.go_on.clear()
    async with api.server() as address:
        async with httpx.AsyncClient() as client:
            asking = await waiting(client, api, address)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        await until_used(api, 0)


async def test_who_waits_for_a_whole_answer_is_told_that_the_server_stops(api: Api) -> None:
    api.model_server.go_on.clear()
    async with httpx.AsyncClient(timeout=LONGEST_SECONDS) as client:
        async with api.server() as address:
            asking = await waiting(client, api, address)
        answer = await asking
    assert (answer.status_code, answer.json()["code"]) == (503, "stopping")
    assert "It was not counted." in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) > 0
    assert await api.count_used() == 0


async def test_a_stream_that_is_cut_when_the_server_stops_is_given_back(api: Api) -> None:
    api.model_server.go_on.clear()
    has_begun = asyncio.Event()
    async with api.server() as address:
        reading = asyncio.create_task(_to_the_end(api, address, has_begun))
        await has_begun.wait()
    with pytest.raises(httpx.RemoteProtocolError):
        await reading
    assert await api.count_used() == 0


async def _to_the_end(api: Api, address: str, has_begun: asyncio.Event) -> None:
    async with streaming(api, address) as answer:
        async for _ in answer.aiter_bytes():
            has_begun.set()


@pytest.mark.parametrize("ending", ["cut", "error", "nonsense"])
async def test_a_text_that_breaks_off_is_cut_and_given_back(api: Api, ending: str) -> None:
    api.model_server.ending = ending
    async with api.server() as address:
        with pytest.raises(httpx.RemoteProtocolError):
            async with streaming(api, address) as answer:
                await answer.aread()
        await until_used(api, 0)


async def test_events_that_break_off_say_so_and_are_given_back(api: Api) -> None:
    api.model_server.ending = "cut"
    async with api.server() as address:
        async with streaming(api, address, "chat/completions") as answer:
            said = (await answer.aread()).decode()
        await until_used(api, 0)
    assert '"code":"model_failed"' in said
    assert "[DONE]" not in said


async def test_a_silent_stream_of_events_is_kept_alive(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_ALIVE_EVERY_SECONDS", 0.05)
    api.model_server.go_on.clear()
    async with api.server() as address, streaming(api, address, "chat/completions") as answer:
        lines = answer.aiter_lines()
        async for line in lines:
            if line.startswith(":"):
                break
        api.model_server.go_on.set()
        rest = [line async for line in lines]
    assert rest[-2] == "data: [DONE]"


async def test_why_a_text_ended_stands_behind_it_for_who_takes_trailers(api: Api) -> None:
    async with api.server() as address:
        whole = await _raw(address, api, "TE: trailers")
        without = await _raw(address, api, "Accept: */*")
    assert b"trailer: x-finish-reason" in whole
    assert whole.endswith(b"0\r\nx-finish-reason: stop\r\n\r\n")
    assert without.endswith(b"0\r\n\r\n")
    assert b"trailer" not in without


async def test_an_answer_to_http_1_0_has_no_chunks(api: Api) -> None:
    async with api.server() as address:
        whole = await _raw(address, api, "Accept: */*", version="1.0")
    head, _, body = whole.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert body.decode() == "Hello, wörld"


async def _raw(address: str, api: Api, line: str, *, version: str = "1.1") -> bytes:
    """What comes over the connection for one streamed chat."""
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = b'{"messages": [{"role": "user", "content": "Hi"}], "stream": true}'
    head = (
        f"POST /api/v1/chat HTTP/{version}\r\nHost: {host}\r\nConnection: close\r\n"
        f"Authorization: Bearer {api.world.key}\r\nContent-Length: {len(body)}\r\n{line}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    async with asyncio.timeout(LONGEST_SECONDS):
        came = await reader.read()
    writer.close()
    assert re.match(rb"HTTP/1.1 200", came)
    return came


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("status", "answered", "code"),
    [
        (400, 400, "invalid_request"),
        (401, 502, "model_failed"),
        (404, 502, "model_failed"),
        (429, 503, "model_busy"),
        (500, 502, "model_failed"),
        (503, 503, "model_busy"),
    ],
)
def test_a_model_that_refuses_costs_nothing(  # noqa: PLR0917 - a table
    api: Api, status: int, answered: int, code: str, stream: bool, caplog: Any
) -> None:
    api.model_server.status = status
    answer = api.chat(stream=stream)
    assert (answer.status_code, answer.json()["code"]) == (answered, code)
    assert "It was not counted." in answer.json()["detail"]
    assert ("retry-after" in answer.headers) == (answered == 503)
    assert ("set up wrongly" in caplog.text) == (status in {401, 404})
    assert api.used == 0


@pytest.mark.parametrize("path", ["chat", "chat/completions"])
@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_with_nothing_in_it_is_no_answer(api: Api, stream: bool, path: str) -> None:
    api.model_server.pieces = []
    answer = api.request(path=f"/api/v1/{path}", json={**HELLO, "stream": stream})
    if answer.status_code == 200:
        assert '"code":"model_failed"' in answer.text
    else:
        assert answer.json()["code"] == "model_failed"
    assert api.used == 0


def test_only_calls_of_tools_are_nothing_to_a_text(api: Api) -> None:
    api.model_server.calls = [("weather", "{}")]
    assert api.chat().status_code == 502
    assert api.used == 0


@pytest.mark.parametrize("stream", [True, False])
def test_a_refusal_in_words_is_an_answer(api: Api, stream: bool) -> None:
    api.model_server.refusal = "I will not say that."
    text = api.chat(stream=stream)
    assert (text.text if stream else text.json()["text"]) == "I will not say that."
    message = api.complete().json()["choices"][0]["message"]
    assert (message["content"], message["refusal"]) == (None, "I will not say that.")
    assert api.used == 2


def test_what_an_answer_took_of_its_model_is_told(api: Api) -> None:
    api.chat()
    (entry,) = api.entries()
    assert (entry.meter, entry.tokens) == ("chat", Tokens("house", tokens_in=3, tokens_out=4))


def test_a_model_that_is_not_there_is_502_and_costs_nothing(api: Api) -> None:
    api.model_server.url = "http://127.0.0.1:9/v1"
    assert api.chat().status_code == 502
    assert api.used == 0
