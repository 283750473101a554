"""One request and its answer over HTTP, in a task of its own.

Where a task is cancelled while httpx gets or closes a connection, its pool counts that connection
as taken for ever. Whoever waits for an answer here may be cancelled at any time, and often; the
task that has the connection is cancelled only while it waits for the head of an answer.
"""

import asyncio
from contextlib import suppress
from typing import Any

import httpx

# Nobody else holds on to a task that outlives whoever was cancelled.
_ending: set[asyncio.Task[None]] = set()


class _NotWanted(Exception):
    """Whoever asked went away before the request was sent."""


class Exchange:
    """Sends a request at once. The answer is read one piece ahead, and no further."""

    def __init__(self, client: httpx.AsyncClient, request: httpx.Request) -> None:
        self._response: httpx.Response | None = None
        # The head comes as an empty piece, and so does the end.
        self._came: asyncio.Queue[bytes | Exception] = asyncio.Queue(maxsize=1)
        self._is_sent = False
        self._is_over = False
        request.extensions["trace"] = self._trace
        self._task = asyncio.create_task(self._run(client, request))

    @property
    def response(self) -> httpx.Response:
        """The head of the answer, once it has begun."""
        assert self._response is not None
        return self._response

    async def begin(self) -> None:
        """Wait for the head of the answer. Raises what httpx raises."""
        await self._next()

    async def read(self) -> bytes:
        """More of the body; empty at its end. Raises what httpx raises."""
        if self._is_over:
            return b""
        piece = await self._next()
        self._is_over = not piece
        return piece

    async def close(self) -> None:
        """Give the connection back, or end it if there is more to come."""
        self._is_over = True
        ending = {self._task}
        if self._response is not None:
            # The task may be about to close the connection. If it waits for room it has some now,
            # and if it waits for the provider it reads from nothing.
            with suppress(asyncio.QueueEmpty):
                self._came.get_nowait()
            ending.add(asyncio.create_task(self._response.aclose()))
        elif self._is_sent:
            self._task.cancel()
        for task in ending:
            _ending.add(task)
            task.add_done_callback(_ending.discard)
        # What was not sent ends by itself before it is.
        if self._is_sent:
            await asyncio.wait(ending)

    async def _next(self) -> bytes:
        came = await self._came.get()
        if isinstance(came, Exception):
            self._is_over = True
            raise came
        return came

    async def _run(self, client: httpx.AsyncClient, request: httpx.Request) -> None:
        last: bytes | Exception = b""
        try:
            self._response = await client.send(request, stream=True)
            await self._came.put(b"")
            async for piece in self._response.aiter_bytes():
                if self._is_over:
                    break
                await self._came.put(piece)
        except Exception as error:  # noqa: BLE001 - whatever it is, who reads the answer gets it
            last = error
        if self._response is not None:
            await self._response.aclose()
        if not self._is_over:
            await self._came.put(last)

    async def _trace(self, event: str, details: Any) -> None:
        if event == "http11.send_request_headers.started":
            if self._is_over:
                raise _NotWanted
            self._is_sent = True
