"""How our web server reads requests: those about quota take a shortcut, all others go to ASGI.

    uvicorn --http gate.service.shortcut:ShortcutProtocol config.asgi:application

A check that arrives whole, in plain words, is read, sent to Valkey and answered in callbacks of
the connection: no task, no ASGI messages, no second thread (docs/decisions/0009). Whatever is in
the least unusual is left to `guarded`, whose reader of heads is the shortcut's own too, and
reaches the same service as an ASGI request. The application offers the shortcut with an attribute
`quota_service`.
"""

import asyncio
from functools import lru_cache, partial
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from gate.service.faces import Asked
from gate.service.guarded import GuardedProtocol
from gate.service.heads import read_head
from gate.service.http import Problem, Request, Response, request_id_of
from gate.service.service import QuotaService

_MAYBE = (b"POST /quota/v1/check ", b"GET /quota/v1/authorize", b"POST /quota/v1/authorize")


class ShortcutProtocol(GuardedProtocol):
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
        # Whether a check is under way, and whether its answer is the last one.
        self._is_asking = False
        self._is_closing = False

    def data_received(self, data: bytes) -> None:
        if data.startswith(_MAYBE) and self._service is not None and self._is_free():
            request = read_request(data)
            if request is not None and self._send(self._service, request):
                return
        super().data_received(data)

    def _is_free(self) -> bool:
        """Whether the next byte begins a request that may be answered at once."""
        return not (
            self._is_asking
            or self._unread
            or self._body is not None
            or self._is_surplus
            or self.is_over
            or self.flow.write_paused
            or (self.cycle is not None and not self.cycle.response_complete)
        )

    @property
    def _is_answering(self) -> bool:
        return self._is_asking or super()._is_answering

    def _send(self, service: QuotaService, request: Request) -> bool:
        """Begin to answer; False, and nothing is done, where ASGI has to."""
        request_id = request_id_of(request.headers)
        request.shown_id = request_id.decode("ascii")
        sent = service.send(request)
        if sent is None:
            return False
        self._since = None
        if isinstance(sent, Response):
            self._answer(sent, request_id)
            return True
        assert sent.pending is not None
        assert sent.pending.reply is not None
        self._is_asking = True
        replied = partial(self._on_reply, service, sent, request_id)
        sent.pending.reply.add_done_callback(replied)
        return True

    def _on_reply(
        self, service: QuotaService, asked: Asked, request_id: bytes, _: "asyncio.Future[Any]"
    ) -> None:
        response = service.answer_by_reply(asked)
        if response is not None:
            self._answer(response, request_id)
            return
        task = self.loop.create_task(self._on_answer(service, asked, request_id))
        # The server waits for these when it is stopped.
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _on_answer(self, service: QuotaService, asked: Asked, request_id: bytes) -> None:
        self._answer(await service.await_answer(asked), request_id)

    def _answer(self, response: Response, request_id: bytes) -> None:
        self._is_asking = False
        self.was_answered = True
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.write(response, request_id, is_last=self._is_closing)
        if self._is_closing:
            self.hang_up()
            return
        self._since = self.loop.time()
        if self._unread or self.flow.read_paused:
            held, self._unread = self._unread, b""
            self.flow.resume_reading()
            if held:
                self.data_received(held)

    def shutdown(self) -> None:
        """Called when the server stops: answer what is under way, then close."""
        if self._is_asking:
            self._is_closing = True
        else:
            super().shutdown()


def read_request(data: bytes) -> Request | None:
    """The request that `data` is, no more and no less; None where that is not sure."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return None
    try:
        # The heads of one API server are all alike; those of a gateway hold customers' keys.
        said = _read_known_head(head) if head.startswith(_MAYBE[0]) else read_head(head)
    except Problem:
        return None
    if not said.is_plain or said.length != len(body):
        return None
    return Request(said.method, said.path, said.headers, body)


_read_known_head = lru_cache(maxsize=256)(read_head)
