"""What a client may send and how long it may take, on any connection: pages, API or quota."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
import pytest_asyncio
from uvicorn.config import Config
from uvicorn.server import ServerState

from gate.service import limits
from gate.service.guarded import GuardedProtocol
from gate.service.http import ClientGone, Receive, Scope, Send, read_body

MANY = 10 * limits.BODY_BYTES


class App:
    """Says what it read; some paths answer early, late, or with much."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.gone = 0
        self.let_go = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        body = b""
        if scope["path"] == "/much":
            await answer(send, b"." * 2**20, times=24)
            return
        if scope["path"] == "/stream":
            await answer(send, b".", until=self.let_go)
            return
        if scope["path"] == "/trailing":
            await answer_with_trailers(send)
            return
        if scope["path"] != "/early":
            try:
                body = await read_body(receive, MANY)
            except ClientGone:
                self.gone += 1
                return
        if scope["path"] == "/late":
            await self.let_go.wait()
        await answer(send, json.dumps([scope["path"], len(body)]).encode())


async def answer(
    send: Send, part: bytes, *, times: int = 1, until: asyncio.Event | None = None
) -> None:
    headers = [] if until else [(b"content-length", b"%d" % (len(part) * times))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while until is not None and not until.is_set():
        await send({"type": "http.response.body", "body": part, "more_body": True})
        await asyncio.sleep(0.02)
    for left in range(times - 1, -1, -1):
        await send({"type": "http.response.body", "body": part, "more_body": left > 0})


async def answer_with_trailers(send: Send) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"trailer", b"x-why")],
            "trailers": True,
        }
    )
    await send({"type": "http.response.body", "body": b"ab", "more_body": True})
    await send({"type": "http.response.body", "body": b"c"})
    await send({"type": "http.response.trailers", "headers": [(b"x-why", b"done")]})


class Line(asyncio.Protocol):
    """A connection that sends just the bytes it is told, and keeps what it gets to the end."""

    def __init__(self) -> None:
        self.data = b""
        self.is_closed = False
        self._something = asyncio.Event()
        self._may_send = asyncio.Event()
        self._may_send.set()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        self._something.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        self._something.set()
        self._may_send.set()

    def pause_writing(self) -> None:
        self._may_send.clear()

    def resume_writing(self) -> None:
        self._may_send.set()

    async def send(self, data: bytes) -> None:
        """Send, and wait until there is room for more. ConnectionError when nobody listens."""
        self.transport.write(data)
        await self._may_send.wait()
        if self.is_closed:
            raise ConnectionError

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """The next answer: status, headers, and what its JSON says."""
        while (whole := self._whole_answer()) is None:
            assert not self.is_closed, self.data
            await self._more()
        first, headers, body = whole
        return int(first.split()[1]), headers, json.loads(body)

    def _whole_answer(self) -> tuple[str, dict[str, str], bytes] | None:
        head, end, rest = self.data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if end)
        length = int(headers.get("content-length", 0))
        if not end or len(rest) < length:
            return None
        self.data = rest[length:]
        return first, headers, rest[:length]

    async def refusal(self) -> tuple[int, str]:
        """Status and code of the last answer, after which the server hangs up."""
        status, headers, problem = await self.answer()
        assert headers["content-type"] == "application/problem+json"
        assert headers["connection"] == "close"
        assert "x-request-id" in headers
        assert problem["status"] == status
        assert problem["title"] != "Error"
        assert await self.until_closed() == b""
        return status, problem["code"]

    async def until_closed(self) -> bytes:
        """What comes until the server hangs up."""
        while not self.is_closed:
            await self._more()
        return self.data

    async def _more(self) -> None:
        self._something.clear()
        async with asyncio.timeout(30):
            await self._something.wait()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110 - nobody tells when it is
            await asyncio.sleep(0.005)


class Server:
    """Guarded connections to an application."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.state = ServerState()
        self._config = Config(app, interface="asgi3", proxy_headers=False, log_config=None)
        self._stack = AsyncExitStack()
        self._port = 0

    def protocol(self) -> GuardedProtocol:
        return GuardedProtocol(self._config, self.state, {})

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self.protocol, "127.0.0.1", 0)
        self._stack.callback(server.close)
        self._port = server.sockets[0].getsockname()[1]

    async def line(self) -> Line:
        """A new connection."""
        loop = asyncio.get_running_loop()
        transport, line = await loop.create_connection(Line, "127.0.0.1", self._port)
        self._stack.callback(transport.close)
        return line

    async def until_connections(self, count: int) -> None:
        """Wait until so many are open."""
        await until(lambda: len(self.state.connections) == count)

    async def stop(self) -> None:
        self.app.let_go.set()
        await self._stack.aclose()
        for connection in list(self.state.connections):
            connection.transport.abort()
        await self.until_connections(0)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    """An application behind guarded connections."""
    server = Server(App())
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nobody is waited for longer than a moment."""
    for name in ("IDLE", "HEAD", "BODY_STALL", "UNREAD", "LINGER"):
        monkeypatch.setattr(limits, f"{name}_SECONDS", 0.3)
    return monkeypatch


def head(path: str = "/", *lines: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: here", *lines, "", ""]).encode()


# --- how much ---------------------------------------------------------------------------------


async def test_a_head_without_end_is_refused_long_before_it_ends(server: Server) -> None:
    line = await server.line()
    await line.send(head()[:-2] + b"x: ")
    with suppress(ConnectionError):
        # 200 MB, if anybody took them.
        for _ in range(3_200):
            await line.send(b"y" * 2**16)
    assert await line.refusal() == (431, "head_too_large")
    assert server.app.paths == []


async def test_a_head_of_many_lines_is_refused(server: Server) -> None:
    line = await server.line()
    await line.send(head("/", *["a: b"] * 10_000))
    assert await line.refusal() == (431, "head_too_large")


async def test_a_body_that_says_how_large_it_is_is_refused_at_once(server: Server) -> None:
    line = await server.line()
    await line.send(head("/", f"content-length: {limits.BODY_BYTES + 1}", "expect: 100-continue"))
    assert await line.refusal() == (413, "too_large")
    assert server.app.paths == []


async def test_a_body_in_chunks_is_refused_when_it_is_too_large(server: Server) -> None:
    line = await server.line()
    await line.send(head("/", "transfer-encoding: chunked"))
    with suppress(ConnectionError):
        for _ in range(1_000):
            await line.send(b"10000\r\n" + b"y" * 2**16 + b"\r\n")
    assert await line.refusal() == (413, "too_large")
    assert (server.app.paths, server.app.gone) == (["/"], 1)


async def test_a_body_as_large_as_it_may_be_is_read(server: Server) -> None:
    size = limits.BODY_BYTES
    for lines, sent in (
        ([f"content-length: {size}"], b"y" * size),
        (["transfer-encoding: chunked"], b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"y" * size)),
    ):
        line = await server.line()
        await line.send(head("/", *lines) + sent)
        assert (await line.answer())[2] == ["/", size]


async def test_bodies_together_are_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODIES_BYTES", 3_200)
    lines = [await server.line() for _ in range(3)]
    for number, line in enumerate(lines):
        await line.send(head(f"/{number}", "content-length: 2000") + b"y" * 1_100)
    assert await lines[2].refusal() == (503, "too_busy")
    for number, line in enumerate(lines[:2]):
        # What is complete is counted no more.
        await line.send(b"y" * 900)
        assert (await line.answer())[2] == [f"/{number}", 2_000]


# --- how long ---------------------------------------------------------------------------------


async def test_who_says_nothing_is_left_without_a_word(
    server: Server, soon: pytest.MonkeyPatch
) -> None:
    line = await server.line()
    assert await line.until_closed() == b""


@pytest.mark.parametrize("sent", [b"P", b"POST / HTTP/1.1\r\nhost: here\r\n"])
async def test_a_head_that_stalls_is_given_up(
    server: Server, soon: pytest.MonkeyPatch, sent: bytes
) -> None:
    line = await server.line()
    await line.send(sent)
    assert await line.refusal() == (408, "timed_out")


async def test_a_head_byte_by_byte_is_given_up(server: Server, soon: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, the whole does not."""
    line = await server.line()
    with suppress(ConnectionError):
        for byte in head("/", "x: " + "y" * 500):
            await line.send(bytes([byte]))
            await asyncio.sleep(0.02)
    assert await line.refusal() == (408, "timed_out")


@pytest.mark.parametrize("coding", ["content-length: 100", "transfer-encoding: chunked"])
async def test_a_body_that_stalls_is_given_up(
    server: Server, soon: pytest.MonkeyPatch, coding: str
) -> None:
    line = await server.line()
    await line.send(head("/", coding) + b"4\r\nbody\r\n")
    assert await line.refusal() == (408, "timed_out")
    assert server.app.gone == 1


async def test_a_body_that_trickles_is_given_up(server: Server, soon: pytest.MonkeyPatch) -> None:
    """Never silent for long, and never done."""
    line = await server.line()
    await line.send(head("/", "content-length: 2000000"))
    sent = 0
    with suppress(ConnectionError):
        while sent < 1_000:
            await line.send(b"y")
            sent += 1
            await asyncio.sleep(0.02)
    assert sent < 1_000
    assert await line.refusal() == (408, "timed_out")


async def test_a_slow_honest_upload_goes_on(server: Server, soon: pytest.MonkeyPatch) -> None:
    soon.setattr(limits, "BODY_STALL_SECONDS", 2.0)
    line = await server.line()
    await line.send(head("/", "content-length: 120000"))
    for _ in range(60):
        # Three seconds, at 40,000 bytes a second.
        await line.send(b"y" * 2_000)
        await asyncio.sleep(0.05)
    assert (await line.answer())[2] == ["/", 120_000]


async def test_an_answer_that_takes_its_time_is_no_stall(
    server: Server, soon: pytest.MonkeyPatch
) -> None:
    late, stream = await server.line(), await server.line()
    await late.send(head("/late"))
    await stream.send(head("/stream"))
    await asyncio.sleep(1.5)
    server.app.let_go.set()
    assert (await late.answer())[2] == ["/late", 0]
    # The end of the last chunk: it was not broken off.
    assert (await stream.until_closed()).endswith(b"0\r\n\r\n")


async def test_a_stream_runs_beside_a_body_that_stalls(
    server: Server, soon: pytest.MonkeyPatch
) -> None:
    """What is answered before it is asked whole may still be a good answer."""
    line = await server.line()
    await line.send(head("/stream", "content-length: 100") + b"y")
    await asyncio.sleep(1.5)
    server.app.let_go.set()
    assert (await line.until_closed()).endswith(b"0\r\n\r\n")


async def test_who_does_not_read_the_answer_is_left(
    server: Server, soon: pytest.MonkeyPatch
) -> None:
    line = await server.line()
    line.transport.pause_reading()
    await line.send(head("/much"))
    await server.until_connections(1)
    await server.until_connections(0)


async def test_a_large_last_answer_is_read_to_its_end_however_slowly(
    server: Server, soon: pytest.MonkeyPatch
) -> None:
    line = await server.line()
    await line.send(head("/much", "connection: close"))
    size = 0
    while not line.is_closed:
        line.transport.pause_reading()
        await asyncio.sleep(0.02)
        size, line.data = size + len(line.data), b""
        line.transport.resume_reading()
        await line._more()
    assert size + len(line.data) > 24 * 2**20


# --- early answers, offers, order -------------------------------------------------------------


async def test_an_early_answer_is_read_by_a_client_that_sends_first(server: Server) -> None:
    line = await server.line()
    line.transport.pause_reading()
    await line.send(head("/early", "content-length: 1000000", "connection: close"))
    for _ in range(50):
        await line.send(b"y" * 10_000)
        await asyncio.sleep(0.005)
    line.transport.resume_reading()
    assert (await line.answer())[2] == ["/early", 0]


async def test_after_an_early_answer_the_rest_of_the_body_is_dropped(server: Server) -> None:
    line = await server.line()
    await line.send(head("/early", "content-length: 1000000"))
    assert (await line.answer())[2] == ["/early", 0]
    await line.send(b"y" * 1_000_000 + head("/next"))
    assert (await line.answer())[2] == ["/next", 0]


async def test_a_bad_rest_after_an_early_answer_gets_no_second_one(server: Server) -> None:
    line = await server.line()
    await line.send(head("/early", "transfer-encoding: chunked"))
    assert (await line.answer())[2] == ["/early", 0]
    await line.send(b"no size\r\n")
    assert await line.until_closed() == b""


async def test_who_was_refused_before_it_was_told_to_go_on_is_left(server: Server) -> None:
    """Whether the body still comes after all, nobody can know."""
    line = await server.line()
    await line.send(head("/early", "content-length: 9", "expect: 100-continue"))
    _, headers, said = await line.answer()
    assert (headers["connection"], said) == ("close", ["/early", 0])
    assert await line.until_closed() == b""


@pytest.mark.parametrize(
    "offer",
    [
        ["connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQ"],
        ["connection: Upgrade", "upgrade: websocket", "sec-websocket-key: dGhlIHNhbXBsZQ=="],
        ["connection: upgrade", "upgrade: TLS/1.0"],
        ["upgrade: h2c"],
    ],
)
@pytest.mark.parametrize("is_split", [False, True])
async def test_an_offered_upgrade_changes_nothing(
    server: Server, offer: list[str], *, is_split: bool
) -> None:
    line = await server.line()
    await line.send(head("/a", *offer, "content-length: 4"))
    if is_split:
        await asyncio.sleep(0.02)
    await line.send(b"body" + head("/b", *offer, "transfer-encoding: chunked"))
    await line.send(b"4\r\nbody\r\n0\r\n\r\n" + head("/c", *offer, method="GET"))
    assert [(await line.answer())[2] for _ in range(3)] == [["/a", 4], ["/b", 4], ["/c", 0]]


async def test_a_bad_request_is_refused_after_the_good_one_in_front_of_it(server: Server) -> None:
    line = await server.line()
    await line.send(head("/late") + b"no request\r\n\r\n")
    await asyncio.sleep(0.05)
    server.app.let_go.set()
    assert (await line.answer())[2] == ["/late", 0]
    assert await line.refusal() == (400, "malformed_request")


async def test_many_requests_at_once_are_answered_in_order(server: Server) -> None:
    line = await server.line()
    sending = asyncio.ensure_future(
        line.send(b"".join(head(f"/{number}", "x: " + "y" * 200) for number in range(2_000)))
    )
    assert [(await line.answer())[2][0] for _ in range(2_000)] == [f"/{n}" for n in range(2_000)]
    await sending


# --- how many ---------------------------------------------------------------------------------


# --- where an answer ends -----------------------------------------------------------------------


async def test_an_answer_of_unknown_length_to_http_1_0_ends_with_the_connection(
    server: Server,
) -> None:
    line = await server.line()
    server.app.let_go.set()
    await line.send(b"GET /stream HTTP/1.0\r\nhost: here\r\n\r\n")
    answered, _, body = (await line.until_closed()).partition(b"\r\n\r\n")
    assert answered.startswith(b"HTTP/1.1 200")
    assert b"chunked" not in answered
    assert body == b"."


async def test_headers_behind_an_answer_are_sent_and_the_connection_goes_on(
    server: Server,
) -> None:
    line = await server.line()
    await line.send(head("/trailing") + head("/early"))
    end = b"2\r\nab\r\n1\r\nc\r\n0\r\nx-why: done\r\n\r\n"
    await until(lambda: b"/early" in line.data)
    first, _, second = line.data.partition(end)
    assert first.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 200")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Ten connections, and two more for probes."""
    monkeypatch.setattr(limits, "CONNECTIONS", 10)
    monkeypatch.setattr(limits, "ROOM_FOR_PROBES", 2)
    monkeypatch.setattr(limits, "GIVE_WAY_AFTER_SECONDS", 0.0)
    return monkeypatch


async def test_who_waits_longest_gives_way(server: Server, few: pytest.MonkeyPatch) -> None:
    stalled = []
    for number in range(10):
        line = await server.line()
        await line.send(head(f"/{number}", "content-length: 9") + b"y")
        stalled.append(line)
        await until(lambda: f"/{number}" in server.app.paths)  # noqa: B023 - waited for here
    new = await server.line()
    await new.send(head("/new"))
    assert (await new.answer())[2] == ["/new", 0]
    assert b"too_busy" in await stalled[0].until_closed()
    await stalled[9].send(b"y" * 8)
    assert (await stalled[9].answer())[2] == ["/9", 9]


async def test_who_never_asked_goes_before_who_did(server: Server, few: pytest.MonkeyPatch) -> None:
    known = await server.line()
    await known.send(head("/known"))
    await known.answer()
    silent = [await server.line() for _ in range(9)]
    await server.until_connections(10)
    await (await server.line()).send(head("/new"))
    assert await silent[0].until_closed() == b""
    await known.send(head("/again"))
    assert (await known.answer())[2] == ["/again", 0]


async def test_probes_get_in_beside_those_who_say_nothing(
    server: Server, few: pytest.MonkeyPatch
) -> None:
    for _ in range(30):
        await server.line()
    for path in ("/healthz", "/other"):
        probe = await server.line()
        await probe.send(head(path, method="GET"))
        assert (await probe.answer())[2] == [path, 0]


async def test_who_is_being_answered_never_gives_way_and_probes_get_in(
    server: Server, few: pytest.MonkeyPatch
) -> None:
    busy = [await server.line() for _ in range(10)]
    for line in busy:
        await line.send(head("/late"))
    await until(lambda: len(server.app.paths) == 10)
    few.setattr(limits, "GIVE_WAY_AFTER_SECONDS", 60.0)
    for path in ("/healthz", "/readyz"):
        probe = await server.line()
        await probe.send(head(path, "connection: close", method="GET"))
        assert (await probe.answer())[2] == [path, 0]
        await probe.until_closed()
    other = await server.line()
    await other.send(head("/other"))
    assert await other.refusal() == (503, "too_busy")
    await server.until_connections(10)
    full = [await server.line() for _ in range(2)]
    await server.until_connections(12)
    # Nobody reads what this one asks.
    assert await (await server.line()).refusal() == (503, "too_busy")
    server.app.let_go.set()
    assert [(await line.answer())[0] for line in busy] == [200] * 10
    assert [line.is_closed for line in full] == [False, False]
