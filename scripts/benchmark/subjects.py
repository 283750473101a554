"""What can be measured. A new subject is a coroutine and a line in SUBJECTS.

Each gets the stage as it stands and answers with a sample; charges it makes are counted by the
run, which compares them with what was recorded.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import cycle
from time import perf_counter
from urllib.parse import unquote, urlsplit

from benchmark.callers import measure, over_http, over_socket, post, with_warm_up
from benchmark.sample import Sample, Stretch
from gate import digest, hot_state, week
from gate.check import Gate, now_ms
from gate.connection import HotClient
from gate.hot_state import AccountSnapshot, Call, CatalogueSnapshot

SITE = "config.asgi:application"
HELLO = "benchmark.hello:application"


@dataclass(frozen=True, slots=True)
class Target:
    """Where the subjects are, and whose keys to use."""

    ports: dict[str, int]  # by ASGI application
    redis_url: str
    keys: tuple[str, ...]
    service_token: str
    peppers: tuple[digest.Pepper, ...]

    @property
    def redis_socket(self) -> str:
        """The path of Valkey's socket."""
        return unquote(urlsplit(self.redis_url).path)


Measure = Callable[[Target, int, float], Awaitable[Sample]]


@dataclass(frozen=True, slots=True)
class Subject:
    """Something to measure. `application` names the ASGI application that it asks, if any."""

    name: str
    about: str
    measure: Measure
    application: str | None = None
    charges: bool = True


async def _hello(target: Target, connections: int, seconds: float) -> Sample:
    question = b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
    return await measure(
        over_http(target.ports[HELLO]), [question], connections=connections, seconds=seconds
    )


async def _check(target: Target, connections: int, seconds: float) -> Sample:
    questions = [
        post(
            "/quota/v1/check",
            json.dumps({"key": key, "meter": "chat"}).encode(),
            token=target.service_token,
        )
        for key in target.keys
    ]
    return await measure(
        over_http(target.ports[SITE]), questions, connections=connections, seconds=seconds
    )


async def _gate(target: Target, connections: int, seconds: float) -> Sample:
    client = HotClient(target.redis_url)
    gate = Gate(
        client=client,
        peppers=target.peppers,
        load_account=_no_account,
        load_catalogue=_no_catalogue,
    )
    turns = cycle(target.keys)

    async def caller(stretch: Stretch) -> None:
        while True:
            sent_at = perf_counter()
            decision = await gate.check(key=next(turns))
            if not stretch.answered(sent_at, int(decision.allowed)):
                return

    async def run(length: float) -> Sample:
        stretch = Stretch(seconds=length, callers=connections)
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(caller(stretch))
            return await stretch.ended()

    try:
        return await with_warm_up(run, seconds)
    finally:
        await client.aclose()


async def _no_account(handle: str) -> AccountSnapshot | None:
    raise LookupError(handle)  # every account was loaded before


async def _no_catalogue(partition: int) -> tuple[int, CatalogueSnapshot]:
    raise LookupError(partition)  # and so was every catalogue


async def _script(target: Target, connections: int, seconds: float) -> Sample:
    questions = [_packed(check_script(target, key)) for key in target.keys]
    return await measure(
        over_socket(target.redis_socket), questions, connections=connections, seconds=seconds
    )


def check_script(target: Target, key: str) -> Call:
    """The script call that a check of this key makes."""
    at_ms = now_ms()
    return hot_state.check_call(
        handle=digest.handle_of(key),
        digests=digest.digests(key, target.peppers),
        meter="chat",
        units=1,
        request_id=None,
        now_ms=at_ms,
        week=week.week_of(at_ms),
    )


def _packed(call: Call) -> bytes:
    words = ("EVALSHA", call.script.sha, str(len(call.keys)), *call.keys, *map(str, call.args))
    return b"*%d\r\n" % len(words) + b"".join(
        b"$%d\r\n%b\r\n" % (len(word), word) for word in map(str.encode, words)
    )


SUBJECTS: tuple[Subject, ...] = (
    Subject("hello", "a bare ASGI answer from the same server", _hello, HELLO, charges=False),
    Subject("check", "POST /quota/v1/check over HTTP", _check, SITE),
    Subject("gate", "Gate.check in the caller's process, without HTTP", _gate),
    Subject("script", "the check script alone, over Valkey's socket", _script),
)
# What the others are compared with.
FLOORS = ("hello", "script")
