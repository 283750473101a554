"""The shortcut answers what uvicorn and ASGI would, and leaves everything unusual to them."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from django.conf import settings

from gate.service import limits, shortcut
from gate.store.connection import sync_client
from tests.gate.quota_service import QuotaService
from tests.gate.world import World
from tests.patience import LONGEST_SECONDS


class Line:
    """A connection that sends just the bytes it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, *packets: bytes) -> None:
        for packet in packets:
            self._writer.write(packet)
            await self._writer.drain()
            # Long enough for the server to read each alone.
            await asyncio.sleep(0.005)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer: status, headers, body."""
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), LONGEST_SECONDS)
        first, *lines = head.decode().strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        body = await self._reader.readexactly(int(headers["content-length"]))
        return int(first.split()[1]), headers, body

    async def is_closed(self) -> bool:
        """Whether the server has nothing more to say and hangs up."""
        return await asyncio.wait_for(self._reader.read(1), LONGEST_SECONDS) == b""


@pytest.fixture
def service(world: World) -> QuotaService:
    """The service behind our web server's protocol, with one account on Free."""
    return QuotaService(world, by_shortcut=True)


@pytest.fixture
def ask(service: QuotaService) -> Callable[[Callable[[Line], Awaitable[Any]]], Any]:
    """Tell a story over one connection."""

    def run(story: Callable[[Line], Awaitable[Any]]) -> Any:
        async def tell() -> Any:
            async with service.served() as served, served.connection() as streams:
                return await story(Line(*streams))

        return asyncio.run(tell())

    return run


def check(service: QuotaService, *lines: str, body: bytes | None = None, **members: Any) -> bytes:
    """A check of the world's key in plain words, with more header lines."""
    if body is None:
        body = json.dumps({"key": service.world.key, **members}).encode()
    head = [
        "POST /quota/v1/check HTTP/1.1",
        "host: quota",
        f"authorization: Bearer {service.token}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


def be_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let connections that say nothing end soon."""
    monkeypatch.setattr(limits, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr(limits, "HEAD_SECONDS", 0.2)


OTHER = b"GET /quota/v1/openapi.json HTTP/1.1\r\nhost: quota\r\n\r\n"

Ask = Callable[[Callable[[Line], Awaitable[Any]]], Any]


async def test_a_check_in_plain_words_never_reaches_asgi(service: QuotaService) -> None:
    async with service.served() as served, served.connection() as streams:
        line = Line(*streams)
        await line.send(check(service))  # warms the account up, by ASGI
        await line.answer()
        before = served.app.asgi_requests
        await line.send(check(service))
        status, headers, body = await line.answer()
        by_asgi = served.app.asgi_requests - before
    decision = json.loads(body)
    assert (by_asgi, status, decision["allowed"]) == (0, 200, True)
    assert decision["remaining"]["allowance"] == 48
    assert headers["content-type"] == "application/json"
    assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"])


@pytest.mark.parametrize("at", range(1, 340, 7))
def test_a_check_may_come_in_two_pieces(service: QuotaService, ask: Ask, at: int) -> None:
    async def story(line: Line) -> Any:
        whole = check(service)
        await line.send(whole[:at], whole[at:])
        return (await line.answer())[0], service

    assert ask(story)[0] == 200
    assert service.remaining["allowance"] == 49


def test_checks_sent_without_waiting_are_answered_in_order(service: QuotaService, ask: Ask) -> None:
    async def story(line: Line) -> list[Any]:
        one, two = check(service), check(service, meter="images")
        await line.send(one + two + OTHER + one)
        answers = [await line.answer() for _ in range(4)]
        # And while the first of them is under way.
        sync_client(settings.REDIS_URL).client_pause(200)
        await line.send(one, OTHER, two, OTHER)
        return [*answers, *[await line.answer() for _ in range(4)]]

    bodies = [json.loads(body) for _, _, body in ask(story)]
    paid = [body["paid_by"]["allowance"] if "paid_by" in body else "other" for body in bodies]
    assert paid == [1, 4, "other", 1, 1, "other", 4, "other"]


def test_a_body_of_two_lengths_is_refused(service: QuotaService, ask: Ask) -> None:
    whole = check(service)
    told = re.search(rb"content-length: \d+\r\n", whole)
    assert told is not None

    async def story(line: Line) -> int:
        await line.send(whole.replace(told[0], b"content-length: 5\r\n" + told[0]))
        return (await line.answer())[0]

    assert ask(story) == 400


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("Connection: keep-alive", 200),
        ("X-Anything:  with  spaces \t", 200),
        ("X-Empty:", 200),
        ("TE: trailers", 200),
        ("Content-Length: 5", 400),
        ("Transfer-Encoding: chunked", 400),
        ("X-Folded: one\r\n two", 400),
        ("No colon", 400),
        ("Bad name: x", 400),
        (": no name", 400),
        ("X-Zero: a\0b", 400),
        ("X-Bare: a\nb: c", 400),
        ("Authorization: Bearer another", 401),
    ],
)
def test_odd_header_lines_are_judged_as_by_the_parser(
    service: QuotaService, ask: Ask, line: str, status: int
) -> None:
    async def story(open_line: Line) -> int:
        await open_line.send(check(service, units=0))
        await open_line.answer()
        await open_line.send(check(service, line, units=0))
        return (await open_line.answer())[0]

    assert ask(story) == status


def test_a_body_in_chunks_and_one_that_waits_for_a_word_are_read(
    service: QuotaService, ask: Ask
) -> None:
    body = json.dumps({"key": service.world.key, "units": 3}).encode()
    plain = check(service, body=b"").replace(b"content-length: 0\r\n", b"")

    async def story(line: Line) -> list[Any]:
        chunked = plain[:-2] + b"transfer-encoding: chunked\r\n\r\n"
        await line.send(chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        first = await line.answer()
        await line.send(check(service, "expect: 100-continue", body=body)[: -len(body)])
        told = await line._reader.readuntil(b"\r\n\r\n")
        await line.send(body)
        return [first[0], told, (await line.answer())[0]]

    assert ask(story) == [200, b"HTTP/1.1 100 Continue\r\n\r\n", 200]
    assert service.remaining["allowance"] == 44


def test_a_client_that_asks_for_it_is_hung_up_on(service: QuotaService, ask: Ask) -> None:
    async def story(line: Line) -> Any:
        await line.send(check(service, "connection: close"))
        status, headers, _ = await line.answer()
        return status, headers["connection"], await line.is_closed()

    assert ask(story) == (200, "close", True)


def test_a_body_that_nobody_reads_is_not_taken_for_a_request(
    service: QuotaService, ask: Ask
) -> None:
    """A refused request whose body looks like a check: it must stay a body."""
    hidden = check(service)
    head = b"POST /quota/v1/refund HTTP/1.1\r\nhost: q\r\ncontent-length: %d\r\n\r\n" % len(hidden)

    async def story(line: Line) -> list[int]:
        await line.send(check(service))
        await line.answer()
        await line.send(head)
        refused = (await line.answer())[0]
        await line.send(hidden, OTHER)
        return [refused, (await line.answer())[0]]

    assert ask(story) == [401, 200]
    assert service.remaining["allowance"] == 49


@pytest.mark.parametrize("begun", [b"", b"POST /quota/v1/check HTTP/1.1\r\nhost: q"])
def test_a_connection_that_says_nothing_is_ended(
    service: QuotaService, ask: Ask, begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_quick(monkeypatch)

    async def is_ended(line: Line) -> bool:
        if begun:
            await line.send(begun)
            assert (await line.answer())[0] == 408
        return await line.is_closed()

    async def later(line: Line) -> bool:
        await line.send(check(service))
        await line.answer()
        return await is_ended(line)

    assert ask(is_ended)
    assert ask(later)


def test_a_connection_that_is_used_stays_open(
    service: QuotaService, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_quick(monkeypatch)

    async def story(line: Line) -> int:
        for _ in range(6):
            await line.send(check(service, units=0))
            await line.answer()
            await asyncio.sleep(0.1)
        await line.send(OTHER)
        return (await line.answer())[0]

    assert ask(story) == 200


def test_a_request_behind_another_is_not_silence(
    service: QuotaService, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_quick(monkeypatch)

    async def story(line: Line) -> list[int]:
        await line.send(check(service))
        await line.answer()
        sync_client(settings.REDIS_URL).client_pause(600)
        await line.send(OTHER + check(service))
        return [(await line.answer())[0], (await line.answer())[0]]

    assert ask(story) == [200, 200]


async def test_a_check_under_way_is_answered_before_the_server_stops(service: QuotaService) -> None:
    async with service.served() as served, served.connection() as streams:
        line = Line(*streams)
        await line.send(check(service))  # opens the connection to Valkey
        await line.answer()
        sync_client(settings.REDIS_URL).client_pause(300)
        await line.send(check(service))
        served.shut_down()
        status, headers, _ = await line.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert await line.is_closed()


def test_the_shortcut_does_read_plain_requests(service: QuotaService) -> None:
    request = shortcut.read_request(check(service))
    assert request is not None
    assert (request.method, request.path) == ("POST", "/quota/v1/check")
    assert json.loads(request.body) == {"key": service.world.key}
