"""What scripts/bench measures at a steady rate: nobody who came meanwhile is left out."""

import asyncio

from benchmark.callers import Load, get, over_http
from benchmark.open_loop import measure_at

_HALT_SECONDS = 0.4


class _Halting(asyncio.Protocol):
    """Answers at once, but for a moment in which it answers nobody."""

    begins_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, _: bytes) -> None:
        loop = asyncio.get_running_loop()
        since = loop.time() - self.begins_at
        wait = _HALT_SECONDS - since if 0 <= since < _HALT_SECONDS else 0
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        loop.call_later(wait, self._transport.write, answer)


async def test_whoever_was_due_while_a_server_halted_is_late_and_counted() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Halting, "127.0.0.1", 0)
    load = Load(over_http(server.sockets[0].getsockname()[1]), [get("/")])
    _Halting.begins_at = loop.time() + 0.6

    sample = await measure_at(load, rate=1000, seconds=1.0)
    server.close()

    assert (sample.failures, sample.asked) == (0, 1300)
    # Half of those who were due in it waited for half of it or more: more than have a connection.
    assert sum(one > _HALT_SECONDS / 2 for one in sample.latencies) > 180
