"""A server that plays a behaviour: exact bytes, with exact cuts, over real HTTP."""

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tests.api.behaving.behaviour import Act, Behaviour
from tests.api.behaving.behaviours import BEHAVIOURS
from tests.patience import LONGEST_SECONDS

_HEARTBEAT_SECONDS = 0.02


class BehavingServer:
    """Answers every request as `behaviour` says, and remembers what it was asked.

    gone: set when whoever asked went away before the answer was complete.
    """

    def __init__(self) -> None:
        self.behaviour: Behaviour = BEHAVIOURS["plain"]
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.gone = threading.Event()
        self.url = ""
        self.connections = 0

    @contextmanager
    def running(self) -> Iterator["BehavingServer"]:
        """Serve on a free port of loopback, in a thread of its own."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()

        async def start() -> asyncio.Server:
            return await asyncio.start_server(self._answer_all, "127.0.0.1", 0)

        async def stop() -> None:
            server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        server = asyncio.run_coroutine_threadsafe(start(), loop).result(LONGEST_SECONDS)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(stop(), loop).result(LONGEST_SECONDS)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with suppress(asyncio.IncompleteReadError):
                asked = await self._read(reader)
                await self._answer(asked, reader, writer)
        except ConnectionError:
            self.gone.set()
        except asyncio.CancelledError:
            # The server ends; asyncio would print it.
            pass
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> dict[str, Any]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        self.paths.append(lines[0].split(" ")[1])
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        asked: dict[str, Any] = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.requests.append(asked)
        return asked

    async def _answer(
        self,
        asked: dict[str, Any],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        behaviour = self.behaviour
        status, steps = behaviour.status, behaviour.steps
        if behaviour.refuses:
            is_refused = behaviour.refuses in asked
            status, steps = (status, (behaviour.error,)) if is_refused else (200, steps)
        headers = {"Content-Type": "text/event-stream", "Connection": "close", **behaviour.headers}
        if behaviour.is_chunked:
            headers["Transfer-Encoding"] = "chunked"
        lines = [f"HTTP/1.1 {status} Whatever", *(f"{n}: {v}" for n, v in headers.items())]
        writer.write("\r\n".join((*lines, "", "")).encode())
        left = asyncio.create_task(_until_gone(reader))
        for step in steps:
            if step is Act.RESET:
                await self._reset(writer)
                return
            if isinstance(step, Act):
                await self._wait_until_gone(step, left, writer)
                return
            sent = b"%x\r\n%b\r\n" % (len(step), step) if behaviour.is_chunked else step
            writer.write(sent)
            await writer.drain()
            # A piece of its own for whoever reads.
            await asyncio.sleep(0.001)
            if left.done():
                self.gone.set()
                return
        if behaviour.is_chunked:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        left.cancel()

    async def _wait_until_gone(
        self, act: Act, left: "asyncio.Task[None]", writer: asyncio.StreamWriter
    ) -> None:
        while not left.done():
            if act is Act.HEARTBEAT:
                writer.write(b": still here\n\n")
                await writer.drain()
            await asyncio.wait({left}, timeout=_HEARTBEAT_SECONDS)
        self.gone.set()

    async def _reset(self, writer: asyncio.StreamWriter) -> None:
        # What was sent must be read first: a reset throws away what waits.
        await asyncio.sleep(0.05)
        connection: socket.socket = writer.get_extra_info("socket")
        if writer.transport.is_closing():
            raise ConnectionResetError
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


async def _until_gone(reader: asyncio.StreamReader) -> None:
    """Return when whoever asked has closed the connection, in whatever way."""
    with suppress(ConnectionError):
        await reader.read()
