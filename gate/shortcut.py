"""How our web server reads requests: those about quota take a shortcut, all others go to ASGI.

    uvicorn --http gate.shortcut:ShortcutProtocol config.asgi:application

A check that arrives whole, in plain words, is read, sent to Valkey and answered in callbacks of
the connection: no task, no ASGI messages, no second thread (docs/decisions/0009). Whatever is in
the least unusual is left to uvicorn and its parser, and reaches the same service as an ASGI
request. The application offers the shortcut with an attribute `quota_service`.
"""

import asyncio
import re
from functools import lru_cache, partial
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from gate.faces import Asked
from gate.http import Headers, Request, Response, request_id_of
from gate.service import QuotaService

# How long a connection may be open without a request: before the first, between two, and in the
# middle of the head of one. uvicorn itself only ends those that are silent between two.
_QUIET_SECONDS = 15.0

_MAYBE = (b"POST /quota/v1/check ", b"GET /quota/v1/authorize", b"POST /quota/v1/authorize")
_HEAD_LIMIT = 8 * 1024
_REQUEST_LINE = re.compile(rb"(GET|POST) (/[!-$&-~]*) HTTP/1\.1")  # nothing that is escaped
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*)")
# What may make a request end elsewhere than it seems, or asks for more than one answer.
_UNUSUAL = {b"transfer-encoding", b"expect", b"upgrade", b"te", b"trailer"}

# Method, path, headers and length of the body.
_Head = tuple[str, str, Headers, int]


class ShortcutProtocol(HttpToolsProtocol):
    """One connection to a client."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._service: QuotaService | None = getattr(self.app, "quota_service", None)
        # Whether uvicorn's parser is in the middle of a request.
        self._is_parsing = False
        self._is_asking = False
        self._is_closing = False
        # What came while a check was under way.
        self._held = b""
        self._quiet_since: float | None = None
        self._watch: asyncio.TimerHandle | None = None

    # --- the shortcut -------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._is_asking:
            self.flow.pause_reading()
            self._held += data
            return
        if data.startswith(_MAYBE) and self._service is not None and self._is_free():
            request = read_request(data)
            if request is not None and self._begin(self._service, request):
                return
        super().data_received(data)

    def _is_free(self) -> bool:
        """Whether the next byte begins a request that may be answered at once."""
        is_answered = self.cycle is None or self.cycle.response_complete
        return is_answered and not self._is_parsing and not self.flow.write_paused

    def _begin(self, service: QuotaService, request: Request) -> bool:
        """Begin to answer; False, and nothing is done, where ASGI has to."""
        begun = service.begin(request)
        if begun is None:
            return False
        request_id = request_id_of(request.headers)
        self._quiet_since = None
        self._unset_keepalive_if_required()
        if isinstance(begun, Response):
            self._answer(begun, request_id)
            return True
        assert begun.pending is not None
        assert begun.pending.begun is not None
        self._is_asking = True
        begun.pending.begun.add_done_callback(partial(self._end, service, begun, request_id))
        return True

    def _end(
        self, service: QuotaService, asked: Asked, request_id: bytes, _: "asyncio.Future[Any]"
    ) -> None:
        response = service.end(asked)
        if response is not None:
            self._answer(response, request_id)
            return
        task = self.loop.create_task(self._finish(service, asked, request_id))
        # The server waits for these when it is stopped.
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _finish(self, service: QuotaService, asked: Asked, request_id: bytes) -> None:
        self._answer(await service.finish(asked), request_id)

    def _answer(self, response: Response, request_id: bytes) -> None:
        self._is_asking = False
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        parts = [STATUS_LINE[response.status]]
        for name, value in (*self.server_state.default_headers, *response.headers):
            parts += (name, b": ", value, b"\r\n")
        if self._is_closing:
            parts.append(b"connection: close\r\n")
        parts += (b"x-request-id: ", request_id, b"\r\n\r\n", response.body)
        self.transport.write(b"".join(parts))
        if self._is_closing:
            self.transport.close()
            return
        self._quiet_since = self.loop.time()
        if self._held or self.flow.read_paused:
            held, self._held = self._held, b""
            self.flow.resume_reading()
            if held:
                self.data_received(held)

    def shutdown(self) -> None:
        """Called when the server stops: answer what is under way, then close."""
        if self._is_asking:
            self._is_closing = True
        else:
            super().shutdown()

    # --- connections that say nothing ---------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._quiet_since = self.loop.time()
        self._watch = self.loop.call_later(_QUIET_SECONDS, self._end_if_quiet)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def _end_if_quiet(self) -> None:
        since = self.loop.time() if self._quiet_since is None else self._quiet_since
        due = since + _QUIET_SECONDS
        if self.loop.time() >= due:
            self.transport.close()
        else:
            self._watch = self.loop.call_at(due, self._end_if_quiet)

    # --- what uvicorn's parser says -----------------------------------------------------------

    def on_message_begin(self) -> None:
        self._is_parsing = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._quiet_since = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_parsing = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # Another request may have been waiting behind this one.
        if self.cycle.response_complete:
            self._quiet_since = self.loop.time()


def read_request(data: bytes) -> Request | None:
    """The request that `data` is, no more and no less; None where a real parser has to look."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end or len(head) > _HEAD_LIMIT:
        return None
    # The heads of one API server are all alike; those of a gateway hold customers' keys.
    parsed = _read_known_head(head) if head.startswith(_MAYBE[0]) else _read_head(head)
    if parsed is None:
        return None
    method, path, headers, length = parsed
    if length != len(body):
        return None
    return Request(method, path, headers, body)


def _read_head(head: bytes) -> _Head | None:
    lines = head.split(b"\r\n")
    first = _REQUEST_LINE.fullmatch(lines[0])
    if first is None:
        return None
    headers: Headers = []
    length: int | None = None
    for line in lines[1:]:
        header = _HEADER.fullmatch(line)
        if header is None:
            return None
        name, value = header[1].lower(), header[2].rstrip(b" \t")
        if name in _UNUSUAL or (name == b"connection" and value.lower() != b"keep-alive"):
            return None
        if name == b"content-length":
            if length is not None or not value.isdigit() or len(value) > 9:
                return None
            length = int(value)
        headers.append((name, value))
    path = first[2].partition(b"?")[0].decode()
    return first[1].decode(), path, headers, length or 0


_read_known_head = lru_cache(maxsize=256)(_read_head)
