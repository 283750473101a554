"""What a server's answer says of a call: not run, so ask again; or nobody knows, so never again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from redis.exceptions import ClusterDownError, RedisError, ResponseError

from gate.store.connection import HotClient
from gate.store.hot_state import Call, partition_of_call, script

# Said instead of an answer.
CLOSE = b""
SILENCE = b"silence"
OK = b"+ok\r\n"
TRY_AGAIN = b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n"
DOWN = b"-CLUSTERDOWN Hash slot not served\r\n"


class Shard:
    """Something on loopback that answers calls as it is told, and notes them."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.calls: list[str] = []
        self.port = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def moved(self) -> bytes:
        """Says that the slot is here now."""
        return f"-MOVED 3999 127.0.0.1:{self.port}\r\n".encode()

    def ask(self) -> bytes:
        """Says that the key is here already."""
        return f"-ASK 3999 127.0.0.1:{self.port}\r\n".encode()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while command := await _read_command(reader):
                if command == "ASKING":
                    self.calls.append(command)
                    writer.write(b"+OK\r\n")
                elif command not in {"EVALSHA", "EVAL"}:
                    writer.write(b"+OK\r\n")
                else:
                    self.calls.append(command)
                    answer = self.answers.pop(0)
                    if answer == CLOSE:
                        return
                    if answer != SILENCE:
                        writer.write(answer)
        finally:
            writer.close()


async def _read_command(reader: asyncio.StreamReader) -> str:
    """The name of the next command; empty when the client has gone."""
    count = (await reader.readline())[1:]
    words = []
    for _ in range(int(count or 0)):
        length = int((await reader.readline())[1:])
        words.append((await reader.readexactly(length + 2))[:-2])
    return words[0].decode() if words else ""


def _call(handle: str = "x") -> Call:
    return Call(script("put_key"), (f"{{g07}}a:{handle}", "{g07}c"), ())


@asynccontextmanager
async def _client(shards: list[Shard]) -> AsyncIterator[HotClient]:
    """A client of the first shard, while all of them listen."""
    async with AsyncExitStack() as stack:
        for shard in shards:
            await stack.enter_async_context(shard.listening())
        client = HotClient(shards[0].url)
        stack.push_async_callback(client.aclose)
        yield client


async def test_a_moved_partition_is_remembered() -> None:
    first, other = Shard(), Shard(OK, OK)

    async with _client([first, other]) as client:
        first.answers = [other.moved()]
        assert await client.run(_call()) == b"ok"
        assert await client.run(_call()) == b"ok"
    assert first.calls == ["EVALSHA"]
    assert other.calls == ["EVALSHA", "EVALSHA"]


async def test_an_ask_is_followed_once_and_not_remembered() -> None:
    first, other = Shard(), Shard(OK)

    async with _client([first, other]) as client:
        first.answers = [other.ask(), OK]
        assert await client.run(_call()) == b"ok"
        assert await client.run(_call()) == b"ok"
    assert first.calls == ["EVALSHA", "EVALSHA"]
    assert other.calls == ["ASKING", "EVALSHA"]


async def test_what_was_not_run_is_tried_again() -> None:
    shard = Shard(TRY_AGAIN, DOWN, TRY_AGAIN, OK)

    async with _client([shard]) as client:
        assert await client.run(_call()) == b"ok"
    assert shard.calls == ["EVALSHA"] * 4


async def test_a_split_slot_is_asked_for_again_from_its_source() -> None:
    first, other = Shard(), Shard(TRY_AGAIN, OK)

    async with _client([first, other]) as client:
        first.answers = [other.ask(), other.moved()]
        assert await client.run(_call()) == b"ok"
    assert first.calls == ["EVALSHA", "EVALSHA"]
    assert other.calls == ["ASKING", "EVALSHA", "EVALSHA"]


async def test_redirects_end() -> None:
    first, other = Shard(), Shard()

    async with _client([first, other]) as client:
        first.answers = [other.moved()] * 100
        other.answers = [first.moved()] * 100
        with pytest.raises(ClusterDownError):
            await client.run(_call())
    assert len(first.calls) + len(other.calls) < 100


@pytest.mark.parametrize("failure", [CLOSE, SILENCE])
async def test_what_may_have_been_run_is_never_repeated(failure: bytes) -> None:
    shard = Shard(failure, OK)

    async with _client([shard]) as client:
        with pytest.raises((RedisError, OSError)):
            await client.run(_call())
        assert shard.calls == ["EVALSHA"]
        # The next call is another one, and is sent.
        assert await client.run(_call()) == b"ok"


async def test_an_error_of_a_script_is_the_answer() -> None:
    shard = Shard(b"-ERR a charge needs a key\r\n")

    async with _client([shard]) as client:
        with pytest.raises(ResponseError, match="a charge needs a key"):
            await client.run(_call())
    assert shard.calls == ["EVALSHA"]


async def test_a_script_that_is_not_known_is_sent_once_with_its_text() -> None:
    shard = Shard(b"-NOSCRIPT No matching script.\r\n", OK)

    async with _client([shard]) as client:
        assert await client.run(_call()) == b"ok"
    assert shard.calls == ["EVALSHA", "EVAL"]


async def test_an_owner_that_is_gone_is_forgotten() -> None:
    first, other = Shard(), Shard(CLOSE)

    async with _client([first, other]) as client:
        first.answers = [other.moved(), OK]
        with pytest.raises((RedisError, OSError)):
            await client.run(_call())
        assert await client.run(_call()) == b"ok"
    assert first.calls == ["EVALSHA", "EVALSHA"]


async def test_when_the_first_server_is_gone_another_one_is_asked() -> None:
    first, other = Shard(), Shard(OK, OK)
    elsewhere = Call(script("put_key"), ("{g09}a:x", "{g09}c"), ())
    assert partition_of_call(elsewhere) != partition_of_call(_call())

    async with _client([first, other]) as client:
        first.answers = [other.moved(), CLOSE]
        assert await client.run(_call()) == b"ok"
        with pytest.raises((RedisError, OSError)):
            await client.run(elsewhere)
        assert await client.run(elsewhere) == b"ok"
