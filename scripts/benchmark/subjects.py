"""What can be measured. A new subject is a function and a line in SUBJECTS.

Each gets the target and answers with a load, or with a sample; charges that it makes are counted by
the run, which compares them with what was recorded.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from time import perf_counter

from benchmark import node_peers
from benchmark.callers import Load, get, measure, over_http, over_socket, post, with_warm_up
from benchmark.open_loop import measure_at
from benchmark.sample import Sample, Stretch
from benchmark.target import GATE, Target, check_script
from gate.decision.check import Gate
from gate.store.connection import HotClient
from gate.store.snapshots import (
    AccountSnapshot,
    CatalogueSnapshot,
    PartitionState,
)
from gate.terms.reasons import Outcome

HELLO = "benchmark.hello:application"
DJANGO = "benchmark.plain_django:application"
USUAL = "benchmark.usual:application"

BATCH = 100
_ALLOWED = b'"allowed":true'

Measure = Callable[[Target, int, float], Awaitable[Sample]]
MakeLoad = Callable[[Target], Load]


@dataclass(frozen=True, slots=True)
class Subject:
    """Something to measure: a load, or where it is none of questions over connections, a coroutine.

    application: the server that it asks, if any; an ASGI application or one of `node_peers`.
    connections: its own, instead of those that are asked for.
    at_most: connections that it is measured with.
    """

    name: str
    about: str
    load: MakeLoad | None
    application: str | None = None
    by_itself: Measure | None = None
    charges: bool = True
    connections: tuple[int, ...] | None = None
    at_most: int = 4096

    def is_measured_with(self, connections: int, asked: Iterable[int]) -> bool:
        """Whether this number of connections is one of its own, or of those asked for."""
        if self.connections is not None:
            return connections in self.connections
        return connections in asked and connections <= self.at_most

    async def measure(self, target: Target, connections: int, seconds: float) -> Sample:
        """Callers that wait for each answer before they ask again."""
        if self.load is not None:
            return await measure(self.load(target), connections=connections, seconds=seconds)
        assert self.by_itself is not None
        return await self.by_itself(target, connections, seconds)

    async def measure_at(self, target: Target, rate: float, seconds: float) -> Sample:
        """So many questions a second, however soon the answers come."""
        assert self.load is not None
        return await measure_at(self.load(target), rate=rate, seconds=seconds)


def _hello(target: Target) -> Load:
    return Load(over_http(target.ports[HELLO]), [get("/")])


def _check(target: Target) -> Load:
    authorization = f"Bearer {target.service_token}"
    questions = [
        post(
            "/quota/v1/check",
            json.dumps({"key": key, "meter": "chat"}).encode(),
            authorization=authorization,
        )
        for key in target.keys
    ]
    return Load(over_http(target.ports[GATE], mark=_ALLOWED), questions)


def _authorize(target: Target) -> Load:
    questions = [
        get(
            "/quota/v1/authorize",
            authorization=f"Bearer {key}",
            x_quota_service_token=target.service_token,
        )
        for key in target.keys
    ]
    return Load(over_http(target.ports[GATE], mark=b"x-quota-charge: "), questions)


def _batch(target: Target) -> Load:
    keys = cycle(target.keys)
    questions = [
        post(
            "/quota/v1/check/batch",
            json.dumps(
                {"checks": [{"key": key, "meter": "chat"} for key in islice(keys, BATCH)]}
            ).encode(),
            authorization=f"Bearer {target.service_token}",
        )
        for _ in range(max(1, len(target.keys) // BATCH))
    ]
    connect = over_http(target.ports[GATE], mark=_ALLOWED, weight=BATCH)
    return Load(connect, questions, BATCH)


async def _gate(target: Target, connections: int, seconds: float) -> Sample:
    client = HotClient(target.redis_url)
    gate = Gate(
        client=client,
        peppers=target.peppers,
        load_accounts=_no_accounts,
        load_catalogue=_no_catalogue,
        count_used=_count_nothing,
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


async def _no_accounts(handles: Sequence[str]) -> dict[str, AccountSnapshot]:
    raise LookupError(handles)  # every account was loaded before


async def _no_catalogue(partition: int) -> tuple[PartitionState, CatalogueSnapshot]:
    raise LookupError(partition)  # and so was every catalogue


async def _count_nothing(handle: str) -> Sequence[Outcome]:
    raise LookupError(handle)  # none of them has a budget


def _script(target: Target) -> Load:
    questions = [check_script(target, key).packed() for key in target.keys]
    return Load(over_socket(target.redis_socket), questions)


def _pipeline(target: Target) -> Load:
    calls = cycle([check_script(target, key).packed() for key in target.keys])
    questions = [b"".join(islice(calls, BATCH)) for _ in range(max(1, len(target.keys) // BATCH))]
    return Load(over_socket(target.redis_socket, weight=BATCH), questions, BATCH)


def _django(target: Target) -> Load:
    questions = [post("/check", authorization=f"Bearer {key}") for key in target.keys]
    return Load(over_http(target.ports[DJANGO], mark=_ALLOWED), questions)


def _usual(target: Target) -> Load:
    questions = [post("/check", authorization=f"Api-Key {key}") for key in target.usual_keys]
    return Load(over_http(target.ports[USUAL], mark=_ALLOWED), questions)


def _fastify(target: Target) -> Load:
    return _of_node(target, node_peers.COUNTER)


def _fastify_script(target: Target) -> Load:
    return _of_node(target, node_peers.SCRIPT)


def _of_node(target: Target, peer: str) -> Load:
    questions = [get("/check", authorization=f"Bearer {key}") for key in target.keys]
    return Load(over_http(target.ports[peer], mark=_ALLOWED), questions)


CHECK = Subject("check", "POST /quota/v1/check over HTTP", _check, GATE)
SUBJECTS: tuple[Subject, ...] = (
    Subject("hello", "a bare ASGI answer from the same server", _hello, HELLO, charges=False),
    CHECK,
    Subject("authorize", "GET /quota/v1/authorize over HTTP", _authorize, GATE),
    Subject("gate", "Gate.check in the caller's process, without HTTP", None, by_itself=_gate),
    Subject("script", "the check script alone, over Valkey's socket", _script),
    Subject(
        "batch",
        f"POST /quota/v1/check/batch, {BATCH} checks each",
        _batch,
        GATE,
        connections=(1, 4),
    ),
    Subject(
        "pipeline", f"the script alone, {BATCH} calls in one write", _pipeline, connections=(1, 4)
    ),
    Subject("django", "the same script from a plain Django view", _django, DJANGO, at_most=32),
    Subject(
        "usual",
        "Django REST Framework, djangorestframework-api-key and a cache counter",
        _usual,
        USUAL,
        charges=False,
        at_most=32,
    ),
    Subject(
        node_peers.COUNTER,
        "a plain counter by rate-limiter-flexible, fastify and ioredis with auto-pipelining",
        _fastify,
        node_peers.COUNTER,
        charges=False,
    ),
    Subject(
        node_peers.SCRIPT,
        "the check script, behind the same fastify and ioredis",
        _fastify_script,
        node_peers.SCRIPT,
    ),
)
# What the others are compared with.
FLOORS = ("hello", "script", "pipeline", "usual", "fastify", "model")
