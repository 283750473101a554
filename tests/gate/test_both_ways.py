"""Whatever bytes a client sends, the shortcut and ASGI alone judge them alike.

Each story is told to both ways in, over a socket: the same answers, the same charges, the same end
of the connection.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio
from django.conf import settings
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gate.service import limits
from gate.service.guarded import GuardedProtocol
from gate.service.shortcut import ShortcutProtocol
from gate.store import hot_state
from gate.store.connection import sync_client
from tests.gate.quota_service import QuotaService, Served
from tests.gate.world import World

# Differ from one answer to the next, however alike the requests are.
_OF_THE_MOMENT = {"date", "x-request-id", "x-quota-charge", "ratelimit", "x-ratelimit-reset"}


@dataclass(frozen=True)
class Outcome:
    """What came of some bytes: the answers, what was charged, how the connection ended."""

    answers: tuple[tuple[int, tuple[tuple[str, str], ...], bytes], ...]
    charged: int
    end: str
    by_asgi: int

    @property
    def statuses(self) -> list[int]:
        return [status for status, _, _ in self.answers]


class BothWays:
    """The service behind both protocols, on one Valkey."""

    def __init__(self, service: QuotaService, ways: dict[str, Served]) -> None:
        self.service = service
        self.ways = ways

    async def tell(self, *packets: bytes) -> Outcome:
        """What comes of these packets, which must be the same by both ways."""
        outcomes = [await self._tell(way, packets) for way in self.ways.values()]
        alike = [replace(outcome, by_asgi=0) for outcome in outcomes]
        assert alike[0] == alike[1], packets
        return outcomes[0]

    async def _tell(self, way: Served, packets: tuple[bytes, ...]) -> Outcome:
        charged, by_asgi = self._used(), way.app.asgi_requests
        async with way.connection() as (reader, writer):
            end = "closed"
            try:
                for number, packet in enumerate(packets):
                    if number:
                        # The server reads what came before by itself.
                        await asyncio.sleep(0.002)
                    writer.write(packet)
                    await writer.drain()
            except ConnectionError:
                pass
            data = b""
            try:
                async with asyncio.timeout(30):
                    while part := await reader.read(65_536):
                        data += part
            except ConnectionResetError:
                end = "reset"
        return Outcome(
            answers=tuple(answers_in(data)),
            charged=self._used() - charged,
            end=end,
            by_asgi=way.app.asgi_requests - by_asgi,
        )

    def _used(self) -> int:
        name = hot_state.keys_of(self.service.world.handle).account
        return int(sync_client(settings.REDIS_URL).hget(name, "used") or 0)

    # --- requests -----------------------------------------------------------------------------

    def lines(self) -> list[bytes]:
        """The header lines of a check in plain words, but for its length."""
        return [
            b"host: quota",
            b"authorization: Bearer " + self.service.token.encode(),
            b"content-type: application/json",
        ]

    def body(self, **members: Any) -> bytes:
        return json.dumps({"key": self.service.world.key, **members}).encode()

    def check(
        self,
        *lines: bytes,
        first: bytes = b"POST /quota/v1/check HTTP/1.1",
        body: bytes | None = None,
    ) -> bytes:
        """A check in plain words, with more header lines."""
        body = self.body() if body is None else body
        length = b"content-length: %d" % len(body)
        return b"\r\n".join([first, *self.lines(), length, *lines, b"", body])

    def bare(self, *lines: bytes, first: bytes = b"POST /quota/v1/check HTTP/1.1") -> bytes:
        """The head of a check with just these lines besides the token."""
        return b"\r\n".join([first, *self.lines()[1:], *lines, b"", b""])

    def authorize(self, *lines: bytes, first: bytes = b"GET /quota/v1/authorize HTTP/1.1") -> bytes:
        """A gateway's question, with more header lines."""
        return b"\r\n".join(
            [
                first,
                b"host: quota",
                b"authorization: Bearer " + self.service.world.key.encode(),
                b"x-quota-service-token: " + self.service.token.encode(),
                *lines,
                b"",
                b"",
            ]
        )


# A last request, so that the server says all that it has to say and hangs up.
BYE = b"GET /bye HTTP/1.1\r\nhost: quota\r\nconnection: close\r\n\r\n"


def answers_in(data: bytes) -> "list[tuple[int, tuple[tuple[str, str], ...], bytes]]":
    """The answers that a connection brought; what differs by chance is left out."""
    answers = []
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        assert end, head
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        length = int(headers.get("content-length", 0))
        assert len(data) >= length
        body, data = data[:length], data[length:]
        if headers.get("content-type") == "application/json":
            said = json.loads(body)
            if "charge_id" in said:
                said.pop("charge_id")
                headers.pop("content-length")
            body = json.dumps(said, sort_keys=True).encode()
        kept = sorted((name, said) for name, said in headers.items() if name not in _OF_THE_MOMENT)
        answers.append((int(first.split()[1]), tuple(kept), body))
    return answers


@pytest_asyncio.fixture
async def both(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[BothWays]:
    """Both ways to a service with one account without limit."""
    # Only a story that never goes on waits so long.
    for name in ("IDLE_SECONDS", "HEAD_SECONDS", "BODY_STALL_SECONDS"):
        monkeypatch.setattr(limits, name, 0.6)
    world = World()
    world.grant(plan="pro")
    service = QuotaService(world, by_shortcut=True)
    async with service.app() as (app, open_gate), AsyncExitStack() as stack:
        await open_gate.check(units=0)
        ways = {
            protocol.__name__: await stack.enter_async_context(
                Served(app, protocol=protocol).running()
            )
            for protocol in (ShortcutProtocol, GuardedProtocol)
        }
        yield BothWays(service, ways)


async def test_a_plain_check_takes_the_shortcut_in_one_way_only(both: BothWays) -> None:
    by_shortcut, by_asgi = [
        await both._tell(way, (both.check(), BYE)) for way in both.ways.values()
    ]
    assert by_shortcut.statuses == by_asgi.statuses == [200, 404]
    assert by_shortcut.charged == by_asgi.charged == 1
    # The last request goes by ASGI in both.
    assert (by_shortcut.by_asgi, by_asgi.by_asgi) == (1, 2)


CHECK = b"POST /quota/v1/check HTTP/1.1"

# Lines that a plain check has besides its own, and the answer that they make of it.
ODD_LINES: list[tuple[bytes, int]] = [
    (b"x-a: b\t", 200),
    (b"x-a:\t\tb", 200),
    (b"x-a: b \t \t", 200),
    (b"x-a:", 200),
    (b"x-a: \xe9\xff", 200),
    (b"x_a: under", 200),
    (b"te: trailers", 200),
    (b"trailer: x", 200),
    (b"expect: something", 200),
    (b"connection: keep-alive", 200),
    (b"connection: x-a, y", 200),
    (b"upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABk", 200),
    (b"upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13", 200),
    (b"x-a: b\r\n folded", 400),
    (b"x-a: b\r\n\tfolded", 400),
    (b"x-a: b\0c", 400),
    (b"x-a: b\x7fc", 400),
    (b"x-a: b\x01c", 400),
    (b"x-a: b\rc", 400),
    (b"x-a: b\nc: d", 400),
    (b"x-a : b", 400),
    (b"x-a\t: b", 400),
    (b" x-a: b", 400),
    (b"x a: b", 400),
    (b"x\xe9: b", 400),
    (b"x(a): b", 400),
    (b": b", 400),
    (b"no colon", 400),
    (b"host: quota", 400),
    (b"host: other", 400),
    (b"content-length: 5", 400),
    (b"transfer-encoding: chunked", 400),
    (b"transfer-encoding: identity", 400),
    (b"authorization: Bearer another", 401),
    (b"content-type: text/plain", 200),
    (b"expect: 100-continue", 200),
]


@pytest.mark.parametrize(("line", "status"), ODD_LINES)
async def test_a_header_line_is_judged_alike(both: BothWays, line: bytes, status: int) -> None:
    outcome = await both.tell(both.check(line), BYE)
    statuses = [one for one in outcome.statuses if one != 100]
    assert statuses == ([400] if status == 400 else [status, 404])
    assert outcome.charged == (1 if status == 200 else 0)
    assert outcome.end == "closed"


# Lines that say where a body of 4 bytes ends.
LENGTHS: list[tuple[bytes, int]] = [
    (b"content-length: +4", 400),
    (b"content-length: -4", 400),
    (b"content-length: 4 4", 400),
    (b"content-length: 4,4", 400),
    (b"content-length: 4, 4", 400),
    (b"content-length: 0x4", 400),
    (b"content-length: 4.0", 400),
    (b"content-length: \xb2", 400),
    (b"content-length:", 400),
    (b"content-length: 4\r\ncontent-length: 4", 400),
    (b"content-length: 4\r\ncontent-length: 5", 400),
    (b"Content-Length: 4\r\ntransfer-encoding: chunked", 400),
    (b"transfer-encoding: chunked\r\nContent-Length: 4", 400),
    (b"transfer-encoding: chunked\r\ntransfer-encoding: chunked", 400),
    (b"transfer-encoding: gzip, chunked", 400),
    (b"transfer-encoding: chunked, identity", 400),
    (b"transfer-encoding: xchunked", 400),
    (b"transfer-encoding:\x0bchunked", 400),
    (b"transfer_encoding: chunked\r\ncontent-length: 4", 400),
    (b"content-length: 04", 400),
    (b"content-length: 9999999999999999999999", 413),
    (b"content-length: 2621441", 413),
]


@pytest.mark.parametrize(("line", "status"), LENGTHS)
async def test_a_length_is_judged_alike(both: BothWays, line: bytes, status: int) -> None:
    outcome = await both.tell(both.bare(b"host: quota", line) + b"body" + BYE)
    # Where the length is good, “body” is no JSON.
    assert outcome.statuses[0] == status
    assert outcome.charged == 0


HOSTS: list[tuple[tuple[bytes, ...], bytes, int]] = [
    ((), CHECK, 400),
    ((b"host:",), CHECK, 400),
    ((b"host: a b",), CHECK, 400),
    ((b"host: a,b",), CHECK, 200),
    ((b"host: a/b",), CHECK, 400),
    ((b"host: user@a",), CHECK, 400),
    ((b"host: a:port",), CHECK, 400),
    ((b"host: a:123456",), CHECK, 400),
    ((b"host: [::1]:8000",), CHECK, 200),
    ((b"host: [::1",), CHECK, 400),
    ((b"host: quota", b"host: quota"), CHECK, 400),
    ((b"host: quota", b"Host: other"), CHECK, 400),
    ((b"host: quota:80",), b"POST http://QUOTA/quota/v1/check HTTP/1.1", 200),
    ((b"host: quota",), b"POST http://other/quota/v1/check HTTP/1.1", 400),
    ((b"host: quota",), b"POST http://quota:81/quota/v1/check HTTP/1.1", 400),
    ((b"host: quota",), b"POST http://quota@other/quota/v1/check HTTP/1.1", 400),
    ((b"host: quota",), b"POST ftp://quota/quota/v1/check HTTP/1.1", 400),
    ((b"host: quota",), b"POST quota/v1/check HTTP/1.1", 400),
    ((b"host: quota",), b"POST /quota/v1/check#x HTTP/1.1", 400),
    ((b"host: quota",), b"POST /quota/v1/check\xe9 HTTP/1.1", 400),
    ((b"host: quota",), b"POST /quota/v1/check%00 HTTP/1.1", 400),
    ((b"host: quota",), b"POST /quota/v1/check?key=1 HTTP/1.1", 200),
    ((b"host: quota",), b"POST /quota/v1/%63heck HTTP/1.1", 200),
    ((b"host: quota",), b"POST  /quota/v1/check HTTP/1.1", 400),
    ((b"host: quota",), b"POST /quota/v1/check  HTTP/1.1", 400),
    ((b"host: quota",), b"POST /quota/v1/check HTTP/1.1 ", 400),
    ((b"host: quota",), b"POST /quota/v1/check HTTP/1.2", 400),
    ((b"host: quota",), b"POST /quota/v1/check HTTP/2.0", 400),
    ((b"host: quota",), b"POST /quota/v1/check http/1.1", 400),
    ((b"host: quota",), b"POST /quota/v1/check", 400),
    ((b"host: quota",), b"PO ST /quota/v1/check HTTP/1.1", 400),
    ((b"host: quota",), b"post /quota/v1/check HTTP/1.1", 405),
    ((b"host: quota",), b"OPTIONS * HTTP/1.1", 400),
    ((b"host: quota",), b"CONNECT quota:80 HTTP/1.1", 400),
    ((b"host: quota",), b"PRI * HTTP/2.0", 400),
    ((), b"POST /quota/v1/check HTTP/1.0", 200),
    ((b"host: quota", b"host: quota"), b"POST /quota/v1/check HTTP/1.0", 400),
]


@pytest.mark.parametrize(("hosts", "first", "status"), HOSTS)
async def test_a_host_and_a_target_are_judged_alike(
    both: BothWays, hosts: tuple[bytes, ...], first: bytes, status: int
) -> None:
    body = both.body()
    head = both.bare(*hosts, b"content-length: %d" % len(body), first=first)
    outcome = await both.tell(head + body, BYE)
    assert outcome.statuses[0] == status
    assert outcome.charged == (1 if status == 200 else 0)


CHUNKS: list[tuple[bytes, int]] = [
    (b"%x\r\n%b\r\n0\r\n\r\n", 200),
    (b"%X\r\n%b\r\n000\r\n\r\n", 200),
    (b"%x\r\n%b\r\n0\r\nx-trailer: 1\r\n\r\n", 200),
    (b"%x;a=b\r\n%b\r\n0\r\n\r\n", 400),
    (b"%x;\r\n%b\r\n0\r\n\r\n", 400),
    (b"%x \r\n%b\r\n0\r\n\r\n", 400),
    (b" %x\r\n%b\r\n0\r\n\r\n", 400),
    (b"+%x\r\n%b\r\n0\r\n\r\n", 400),
    (b"0x%x\r\n%b\r\n0\r\n\r\n", 400),
    (b"%x\n%b\r\n0\r\n\r\n", 400),
    (b"%x\r\n%b\n0\r\n\r\n", 400),
    (b"%x\r\n%b+\r\n0\r\n\r\n", 400),
    (b"%x\r\n%b\r\n0\r\nno trailer\r\n\r\n", 400),
    (b"%x\r\n%b\r\n0\r\nx: a\nb\r\n\r\n", 400),
    (b"%x\r\n%b\r\nffffffff\r\n", 413),
    (b"%x\r\n%b\r\nfffffffff\r\n", 400),
]


@pytest.mark.parametrize(("chunks", "status"), CHUNKS)
@pytest.mark.parametrize("at", [None, 1, 4, -1, -3])
async def test_chunks_are_judged_alike(
    both: BothWays, chunks: bytes, status: int, at: int | None
) -> None:
    body = both.body()
    head = both.bare(b"host: quota", b"transfer-encoding: chunked")
    sent = chunks % (len(body), body)
    outcome = await both.tell(head + sent[:at], (sent[at:] if at else b"") + BYE)
    assert outcome.statuses == ([200, 404] if status == 200 else [status])
    assert outcome.charged == (1 if status == 200 else 0)


async def test_a_request_cut_at_any_byte_is_answered_alike(both: BothWays) -> None:
    whole = both.check() + both.authorize() + BYE
    for at in range(1, len(whole), 3):
        outcome = await both.tell(whole[:at], whole[at:])
        assert (outcome.statuses, outcome.charged) == ([200, 200, 404], 2), at


@pytest.mark.parametrize("cut", [1, 20, 60, 180, -5, -1])
async def test_what_stalls_is_given_up_alike(both: BothWays, cut: int) -> None:
    whole = both.check()
    outcome = await both.tell(both.check(), whole[:cut])
    assert (outcome.statuses, outcome.charged) == ([200, 408], 1)
    assert ("connection", "close") in outcome.answers[-1][1]


async def test_a_good_request_is_answered_before_the_bad_one_behind_it(both: BothWays) -> None:
    for bad in (b"no request\r\n\r\n", b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"):
        outcome = await both.tell(both.check() + both.check() + bad + both.check())
        assert (outcome.statuses, outcome.charged) == ([200, 200, 400], 2)


async def test_an_early_answer_leaves_the_body_a_body(both: BothWays) -> None:
    """A refused request whose body looks like a check is not two requests."""
    hidden = both.check()
    for head in (
        b"POST /nothing HTTP/1.1\r\nhost: q\r\ncontent-length: %d\r\n\r\n" % len(hidden),
        b"GET /quota/v1/authorize HTTP/1.1\r\nhost: q\r\ncontent-length: %d\r\n\r\n" % len(hidden),
    ):
        outcomes = [
            await both.tell(head + hidden + BYE),
            await both.tell(head, hidden, BYE),
            await both.tell(head, hidden[:90], hidden[90:] + BYE),
        ]
        assert [outcome.charged for outcome in outcomes] == [0, 0, 0]
        assert {tuple(outcome.statuses) for outcome in outcomes} == {(outcomes[0].statuses[0], 404)}


# --- whatever comes ---------------------------------------------------------------------------

_pieces = st.sampled_from(
    [
        b"",
        b" ",
        b"\t",
        b"\r",
        b"\n",
        b"\r\n",
        b"\0",
        b":",
        b"a: b\r\n",
        b"host: quota\r\n",
        b"content-length: 0\r\n",
        b"transfer-encoding: chunked\r\n",
        b"connection: close\r\n",
        b"expect: 100-continue\r\n",
        b"upgrade: h2c\r\nconnection: upgrade\r\n",
        b"HTTP/1.0",
        b"%41",
        b"?a=b",
        b"#",
        b"x" * 300,
    ]
)


@given(data=st.data())
@hypothesis_settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_whatever_comes_is_judged_alike(both: BothWays, data: st.DataObject) -> None:
    """Good requests, with pieces put in, bytes taken out, cut into packets, several at once."""
    kinds = [both.check(), both.authorize(), both.check(body=both.body(units=2)), BYE]
    chosen = data.draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=3))
    sent = b"".join(chosen)
    for _ in range(data.draw(st.integers(0, 2))):
        at = data.draw(st.integers(0, len(sent)))
        gone = data.draw(st.integers(0, 3))
        sent = sent[:at] + data.draw(_pieces) + sent[at + gone :]
    sent += BYE
    cuts = data.draw(st.lists(st.integers(1, len(sent)), max_size=2).map(sorted))
    packets = [
        part
        for start, end in itertools.pairwise([0, *cuts, len(sent)])
        if (part := sent[start:end])
    ]
    outcome = await both.tell(*packets)
    # A gateway whose own token is damaged is told so; nothing else is a fault of ours.
    at_fault = ("x-quota-reason", "gateway_misconfigured")
    assert not [
        status
        for status, headers, _ in outcome.answers
        if status >= 500 and at_fault not in headers
    ]
