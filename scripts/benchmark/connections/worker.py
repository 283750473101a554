"""Measures one client in a process of its own: orders come as lines of JSON, and so do answers.

python -m benchmark.connections.worker MODULE PORT < KEYS AND ORDERS
"""

import asyncio
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from importlib import import_module
from itertools import cycle
from typing import Any

import uvloop

from benchmark.connections.ways import Way
from benchmark.hot_accounts import PEPPER
from benchmark.target import Target, check_script
from gate.store.hot_state import Call

# Seconds that a server may take: what our own connection grants, for all of them.
PATIENCE_SECONDS = 0.4
# Whoever was refused does not try again at once.
_PAUSE_SECONDS = 0.02
_WARM_UP_SECONDS = 0.2

Answer = dict[str, Any]


class Measuring:
    """The orders that can be given."""

    def __init__(self, way: Way, calls: Sequence[Call]) -> None:
        self._way = way
        self._calls: Iterator[Call] = cycle(calls)

    async def closed(self, callers: int, seconds: float) -> Answer:
        """So many callers, each of which waits for its answer: calls a second, processor time."""
        await self._called(callers, _WARM_UP_SECONDS)
        before, began = _processor_seconds(), time.monotonic()
        calls = await self._called(callers, seconds)
        took = time.monotonic() - began
        spent = _processor_seconds() - before
        return {"rate": calls / took, "calls": calls, "microseconds": spent / calls * 1e6}

    async def paced(self, rate: float, seconds: float) -> Answer:
        """So many calls a second, each timed in seconds from when it was due."""
        latencies: list[float] = []
        tasks: set[asyncio.Task[None]] = set()
        began = time.monotonic()
        total, begun = int(rate * seconds), 0
        all_begun = asyncio.Event()

        async def one(due_at: float) -> None:
            await self._way.run(next(self._calls))
            latencies.append(time.monotonic() - due_at)

        def look() -> None:
            nonlocal begun
            while begun < total and (due_at := began + begun / rate) <= time.monotonic():
                begun += 1
                task = asyncio.ensure_future(one(due_at))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            if begun == total:
                all_begun.set()

        with _timer(look, every=max(1 / rate, 0.0001)):
            await all_begun.wait()
            await asyncio.gather(*tasks)
        latencies.sort()
        return {
            "p50": latencies[len(latencies) // 2],
            "p99": latencies[int(0.99 * len(latencies))],
            "calls": total,
        }

    async def endured(self, callers: int, seconds: float) -> Answer:
        """Callers who go on whatever happens: when each call began and ended, and how."""
        ends_at = time.monotonic() + seconds
        happened: list[tuple[float, float, str]] = []

        async def caller() -> None:
            while (began := time.monotonic()) < ends_at:
                outcome = ""
                try:
                    await self._way.run(next(self._calls))
                except Exception as error:  # noqa: BLE001 - every library has its own
                    outcome = type(error).__name__
                happened.append((began, time.monotonic(), outcome))
                if outcome:
                    await asyncio.sleep(_PAUSE_SECONDS)

        await asyncio.gather(*(caller() for _ in range(callers)))
        return {"happened": happened}

    async def _called(self, callers: int, seconds: float) -> int:
        ends_at = time.monotonic() + seconds
        counted = 0

        async def caller() -> None:
            nonlocal counted
            while time.monotonic() < ends_at:
                answer = await self._way.run(next(self._calls))
                if answer[0] != b"ok":
                    raise RuntimeError(f"a charge was answered {answer!r:.80}")
                counted += 1

        await asyncio.gather(*(caller() for _ in range(callers)))
        return counted


class _timer:  # noqa: N801 - reads as a statement
    """Calls a function again and again, more exactly than timers of event loops do."""

    def __init__(self, look: Callable[[], None], *, every: float) -> None:
        self._look = look
        self._every = every

    def __enter__(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGALRM, self._look)
        signal.setitimer(signal.ITIMER_REAL, self._every, self._every)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        asyncio.get_running_loop().remove_signal_handler(signal.SIGALRM)


def _processor_seconds() -> float:
    """Of all threads of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _work(module: str, port: int) -> None:
    target = Target(
        ports={},
        redis_url="",
        keys=tuple(json.loads(sys.stdin.readline())),
        service_token="",
        peppers=(PEPPER,),
    )
    way = await import_module(module).connect(port, PATIENCE_SECONDS)
    measuring = Measuring(way, [check_script(target, key) for key in target.keys])
    loop = asyncio.get_running_loop()
    # Libraries print what happens to them: that goes to the log.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        measure: Callable[..., Coroutine[Any, Any, Answer]] = getattr(measuring, order.pop("do"))
        try:
            answer = await measure(**order)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other side must know
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
    await way.close()


if __name__ == "__main__":
    asyncio.Runner(loop_factory=uvloop.new_event_loop).run(_work(sys.argv[1], int(sys.argv[2])))
