"""A caller of the quota-check service: one connection, one request at a time."""

import asyncio
import json
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

# A connection that breaks or an answer that takes longer than this counts as no answer.
GIVES_UP_AFTER_SECONDS = 10.0
RETRIES_AFTER_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, and how long it took."""

    status: int
    body: dict[str, Any]
    seconds: float

    @property
    def is_granted(self) -> bool:
        """Whether the request may go through."""
        return self.status == 200 and bool(self.body["allowed"])


class Caller:
    """Keeps a connection to one process of the service; opens it again when it broke."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self._token = token
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def post(self, path: str, body: dict[str, Any]) -> Reply:
        """The answer to one request. OSError when there is none."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(GIVES_UP_AFTER_SECONDS):
                status, answer = await self._exchange(path, json.dumps(body).encode())
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            await self._close()
            raise OSError(f"no answer: {type(error).__name__}") from error
        return Reply(status=status, body=answer, seconds=time.monotonic() - began)

    async def check(self, key: str, **more: Any) -> Reply:
        """One decision."""
        return await self.post("/quota/v1/check", {"key": key, **more})

    async def check_until_decided(self, key: str, *, request_id: str, **more: Any) -> list[Reply]:
        """Every answer up to the first decision: 503 is asked again under the same request id."""
        replies: list[Reply] = []
        while not replies or replies[-1].status == 503:
            if replies:
                await asyncio.sleep(RETRIES_AFTER_SECONDS)
            replies.append(await self.check(key, request_id=request_id, **more))
        return replies

    async def check_many(self, checks: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """The decisions of one batch."""
        reply = await self.post("/quota/v1/check/batch", {"checks": list(checks)})
        assert reply.status == 200, reply
        decisions: list[dict[str, Any]] = reply.body["decisions"]
        return decisions

    async def _exchange(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self._streams
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self._token}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split("\r\n")[0])
        answer = await reader.readexactly(length)
        return int(head.split()[1]), json.loads(answer)

    async def _close(self) -> None:
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
