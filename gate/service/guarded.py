"""One connection to a client, guarded: what it may send, and how long it may take, has limits.

    uvicorn --http gate.guarded:GuardedProtocol application

uvicorn's own parser is not used. It sets no bound on heads, waits for bodies for ever, drops what
follows an offered upgrade, and answers a bad request before the good one in front of it. Here
`heads` and `bodies` read what comes in, one request at a time, `limits` says how much of it, and
uvicorn runs the application (docs/decisions/0010).
"""

import asyncio
from collections.abc import Iterable
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from gate.service import heads, limits
from gate.service.bodies import Body, body_of
from gate.service.crowd import crowd_of
from gate.service.heads import Head
from gate.service.http import Problem, Response, problem_response, request_id_of


class GuardedProtocol(HttpToolsProtocol):
    """One connection; every request on it is an ASGI request, one after the other."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.parser = None  # type: ignore[assignment]
        self.was_answered = False
        self._crowd = crowd_of(server_state)
        # What came and was not looked at: part of a head, or what follows a request under way.
        self._unread = b""
        # The body of the request under way, until all of it is here.
        self._body: Body | None = None
        self._body_since = 0.0
        self._body_size = 0
        # Since when it is the client's turn; None while a request that is whole is answered.
        self._since: float | None = None
        # Bytes that the client had not taken when we looked last, and since when it took none.
        self._unsent = 0
        self._unsent_since = 0.0
        self._was_forgiven = False
        # After the last answer nothing is read any more; so many bytes were thrown away.
        self._is_over = False
        self._thrown_away = 0
        self._is_surplus = False
        self._watch: asyncio.TimerHandle | None = None

    # --- what the crowd asks ------------------------------------------------------------------

    @property
    def waits_since(self) -> float | None:
        """See `crowd.Waiting`."""
        return None if self._is_begun else self._since

    def give_way(self) -> None:
        """See `crowd.Waiting`."""
        if self.transport.get_write_buffer_size():
            # What it does not read, it would keep the connection for.
            self.transport.abort()
            return
        if self._unread or self._body is not None:
            self._end_with(_too_many())
        self.transport.close()

    # --- connections --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        self._watch = self.loop.call_later(limits.IDLE_SECONDS, self._look)
        self._crowd.join(self, at=self._since)
        self._is_surplus = self._crowd.is_too_large
        if self._crowd.is_full:
            self._end_with(_too_many())
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.leave(self)
        self._forget_body()
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    # --- reading ------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            self._throw_away(data)
            return
        try:
            if self._body is not None:
                data = self._read_body(self._body, data)
            if data:
                self._keep(data)
            self._read_on()
        except Problem as problem:
            self._end_with(problem)

    def _keep(self, data: bytes) -> None:
        if not self._unread and not self._is_answering:
            self._since = self.loop.time()
        self._unread += data
        if self._is_answering and len(self._unread) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()

    @property
    def _is_begun(self) -> bool:
        """Whether an answer has been begun and is not complete."""
        return self._is_answering and (self._body is None or self.cycle.response_started)

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _read_on(self) -> None:
        """Begin with the next request, if it is its turn and all of its head is here."""
        while self._unread and self._body is None and not self._is_answering and not self._is_over:
            if not self._was_forgiven and b"\r\n".startswith(self._unread[:2]):
                # One empty line before a request is forgiven (RFC 9112 §2.2).
                if self._unread == b"\r":
                    return
                self._unread, self._was_forgiven = self._unread[2:], True
                continue
            end = self._unread.find(b"\r\n\r\n")
            window = self._unread[: limits.HEAD_BYTES + 1 if end < 0 else end]
            heads.look_at_beginning(window[: limits.HEAD_BYTES])
            if end < 0:
                if len(window) > limits.HEAD_BYTES:
                    raise heads.too_large()
                return
            head = heads.read_head(window)
            data, self._unread = self._unread[end + 4 :], b""
            self._begin(head, data)

    def _begin(self, head: Head, data: bytes) -> None:
        self._was_forgiven = False
        if self._is_surplus and head.path not in limits.PROBES:
            self._is_surplus = not self._crowd.make_room(at=self.loop.time())
            if self._is_surplus:
                self._end_with(_too_many())
                self.transport.close()
                return
        body = body_of(head)
        self._since = self._body_since = self.loop.time()
        cycle = self.cycle = self._new_cycle(head)
        if not body.is_complete:
            self._body = body
            self._unread = self._read_body(body, data) if data else b""
        else:
            self._since = None
            cycle.more_body = False
            cycle.message_event.set()
            self._unread = data
        self._start_asgi_task(cycle, self.app)

    def _new_cycle(self, head: Head) -> "_Cycle":
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": head.version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": head.method,
            "root_path": self.root_path,
            "path": self.root_path + head.path,
            "raw_path": self.root_path.encode("ascii") + head.raw_path,
            "query_string": head.query,
            "headers": list(head.headers),
            "state": self.app_state.copy(),
            "extensions": {} if head.version == "1.0" else {"http.response.trailers": {}},
        }
        return _Cycle(
            scope=cast(Any, scope),
            transport=cast(asyncio.Transport, _Outlet(self)),
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=head.expects_continue,
            keep_alive=head.is_persistent,
            on_response=self.on_response_complete,
        )

    def _read_body(self, body: Body, data: bytes) -> bytes:
        """Take what belongs to the body; what comes after it."""
        mine, rest = body.read(data)
        cycle = self.cycle
        self._since = self.loop.time()
        if mine and not cycle.response_complete:
            self._count_body(len(mine))
            cycle.body += mine
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
        if body.is_complete:
            self._forget_body()
            self._since = self._since if cycle.response_complete else None
            cycle.more_body = False
        cycle.message_event.set()
        return rest

    def _count_body(self, size: int) -> None:
        self._body_size += size
        self._crowd.body_bytes += size
        if self._crowd.body_bytes > limits.BODIES_BYTES:
            raise _too_many()

    def _forget_body(self) -> None:
        self._body = None
        self._crowd.body_bytes -= self._body_size
        self._body_size = 0

    # --- answering ----------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self.was_answered = True
        self._since = self.loop.time()
        if self.is_over:
            return
        self.flow.resume_reading()
        try:
            self._read_on()
        except Problem as problem:
            self._end_with(problem)

    def _end_with(self, problem: Problem) -> None:
        """The last answer on this connection; an answer that has begun is broken off instead."""
        if self.is_over:
            return
        if self._body is not None and not self._is_answering:
            # It was answered before its body was complete.
            self.hang_up()
            return
        if self._is_answering:
            cycle = self.cycle
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.abort()
                return
        self.write(problem_response(problem), request_id_of([]), is_last=True)
        self.hang_up()

    def write(self, response: Response, request_id: bytes, *, is_last: bool) -> None:
        """Write a whole answer."""
        parts = [STATUS_LINE[response.status]]
        for name, value in (*self.server_state.default_headers, *response.headers):
            parts += (name, b": ", value, b"\r\n")
        if is_last:
            parts.append(b"connection: close\r\n")
        parts += (b"x-request-id: ", request_id, b"\r\n\r\n", response.body)
        self.transport.write(b"".join(parts))

    @property
    def is_over(self) -> bool:
        """Whether nothing more is answered here."""
        return self._is_over or self.transport.is_closing()

    def hang_up(self) -> None:
        """End the connection once the client had time to read what was written last."""
        if self.is_over:
            return
        self._is_over = True
        self._unread = b""
        self._forget_body()
        self._since = self.loop.time()
        if self._watch is not None:
            self._watch.cancel()
        self._watch = self.loop.call_later(limits.LINGER_SECONDS, self._look)
        if self.transport.can_write_eof():
            self.flow.resume_reading()
            # A connection that is closed with something unread takes its last answer back.
            self.transport.write_eof()
        else:
            self.transport.close()

    def _throw_away(self, data: bytes) -> None:
        self._thrown_away += len(data)
        if self._thrown_away > limits.LINGER_BYTES:
            self.transport.abort()

    def shutdown(self) -> None:
        if not self.is_over:
            super().shutdown()

    # --- clients that take too long -----------------------------------------------------------

    def _look(self) -> None:
        """Look whether something is overdue, and when to look again."""
        now = self.loop.time()
        due = self._due(now)
        if now < due:
            self._watch = self.loop.call_at(due, self._look)
            return
        self._watch = None
        if self._is_over or self._unsent:
            self.transport.abort()
        elif self._body is not None and self._is_answering:
            self._end_with(_too_slow("body"))
        elif self._unread:
            self._end_with(_too_slow("head"))
        else:
            self.hang_up()

    def _due(self, now: float) -> float:
        """When what is waited for now is overdue, or when to look again at the latest."""
        unsent = self.transport.get_write_buffer_size()
        if unsent:
            return self._unsent_due(unsent, now)
        self._unsent = 0
        if self._is_over:
            return (self._since or now) + limits.LINGER_SECONDS
        if self._is_begun or self._since is None:
            return now + limits.IDLE_SECONDS
        if self._body is not None:
            return self._body_due(now)
        return self._since + (limits.HEAD_SECONDS if self._unread else limits.IDLE_SECONDS)

    def _unsent_due(self, unsent: int, now: float) -> float:
        if unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
            if self._is_over:
                self._since = now
        due = self._unsent_since + limits.UNREAD_SECONDS
        # It may be taken soon, and then something else is waited for.
        return due if now >= due else min(due, now + limits.LINGER_SECONDS)

    def _body_due(self, now: float) -> float:
        if self.flow.read_paused:
            # It is the application that takes its time.
            self._since = self._body_since = now
        assert self._since is not None
        honest = self._body_since + self._body_size / limits.BODY_BYTES_PER_SECOND
        return min(self._since, honest) + limits.BODY_STALL_SECONDS


class _Cycle(RequestResponseCycle):
    """A request and its answer."""

    _ends_by_closing = False
    _ends_in_trailers = False

    async def send(self, message: Any) -> None:
        if self.waiting_for_100_continue and self.more_body:
            # Answered before it was told to go on: whether the body still comes, only the
            # client knows.
            self.keep_alive = False
        if message["type"] == "http.response.start":
            self._choose_end(message)
        elif message["type"] == "http.response.trailers":
            self._end(message["headers"])
            return
        elif self._ends_by_closing:
            # There is no length to keep to.
            self.expected_content_length = len(message.get("body", b""))
        elif self._ends_in_trailers:
            message = {**message, "more_body": True}
        await super().send(message)

    def _choose_end(self, start: Any) -> None:
        """How the client will know where the body ends."""
        has_length = any(name.lower() == b"content-length" for name, _ in start["headers"])
        if self.scope["http_version"] == "1.0" and not has_length:
            # There are no chunks in HTTP/1.0.
            self.chunked_encoding = False
            self.keep_alive = False
            self._ends_by_closing = True
        else:
            self._ends_in_trailers = bool(start.get("trailers")) and not has_length

    def _end(self, trailers: Iterable[tuple[bytes, bytes]]) -> None:
        """End an answer in chunks with headers behind it, as uvicorn ends one without."""
        if self.disconnected or self.response_complete:
            return
        lines = (part for name, value in trailers for part in (name, b": ", value, b"\r\n"))
        if self.scope["method"] != "HEAD":
            self.transport.write(b"".join((b"0\r\n", *lines, b"\r\n")))
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


class _Outlet:
    """What an application may do with a connection: a transport, as far as uvicorn needs one."""

    def __init__(self, protocol: GuardedProtocol) -> None:
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        self._protocol.transport.write(data)

    def is_closing(self) -> bool:
        return self._protocol.is_over

    def close(self) -> None:
        self._protocol.hang_up()


def _too_many() -> Problem:
    return Problem(
        503,
        "too_busy",
        "There are too many connections; try again in a moment.",
        headers=[(b"retry-after", b"1")],
    )


def _too_slow(part: str) -> Problem:
    return Problem(408, "timed_out", f"The {part} of the request did not arrive in time.")
