"""Questions that come at a steady rate, whether the ones before were answered or not.

That is what people live with: a server that halts for a moment does not halt those who come
meanwhile. Each question is timed from when it was due, so that a late answer makes late all who had
to wait for it. Those who ask again only when they were answered (`callers`) would not notice.
"""

import asyncio
import signal
from array import array
from collections import deque
from collections.abc import Sequence
from itertools import cycle
from time import perf_counter

from benchmark.callers import Caller, Load
from benchmark.sample import Sample

# Enough that a question is seldom kept waiting for a connection.
_CONNECTIONS = 128
_WARM_UP_SECONDS = 0.3
# How often we look at the most; an interval timer is exact where those of event loops are not.
_LOOK_EVERY_SECONDS = 0.0001
_PATIENCE_SECONDS = 10.0


async def measure_at(load: Load, *, rate: float, seconds: float) -> Sample:
    """The sample of so many questions a second; only in the main thread, for the timer's signal."""
    turns = cycle(load.questions)
    callers = [await load.connect(turns) for _ in range(_CONNECTIONS)]
    try:
        return await _Schedule(callers, rate=rate, seconds=seconds).run()
    finally:
        for caller in callers:
            caller.close()


class _Schedule:
    """When each question is due, and who of the callers is free to ask it."""

    def __init__(self, callers: Sequence[Caller], *, rate: float, seconds: float) -> None:
        self._free = deque(_Turn(self, caller) for caller in callers)
        self._rate = rate
        self._seconds = seconds
        self._questions = int(rate * (_WARM_UP_SECONDS + seconds))
        self._asked = 0
        self._ended = 0
        self._charges = 0
        self._failures = 0
        self._first_failure = ""
        self._latencies = array("d")
        self._began_at = 0.0
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> Sample:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGALRM, self._look)
        every = max(1 / self._rate, _LOOK_EVERY_SECONDS)
        self._began_at = perf_counter()
        signal.setitimer(signal.ITIMER_REAL, every, every)
        try:
            async with asyncio.timeout(_WARM_UP_SECONDS + self._seconds + _PATIENCE_SECONDS):
                await self._done
        except TimeoutError:
            self._failures += self._questions - self._ended
            self._first_failure = self._first_failure or "no answer"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            loop.remove_signal_handler(signal.SIGALRM)
        return Sample(
            seconds=self._seconds,
            answers=len(self._latencies),
            asked=self._ended - self._failures,
            charges=self._charges,
            failures=self._failures,
            first_failure=self._first_failure,
            latencies=self._latencies,
        )

    def next_due(self) -> float | None:
        """When the next question was due, which is the caller's then; None when none is yet."""
        due_at = self._began_at + self._asked / self._rate
        if self._asked == self._questions or due_at > perf_counter():
            return None
        self._asked += 1
        return due_at

    def answered(self, due_at: float, charges: int) -> None:
        self._charges += charges
        if due_at - self._began_at >= _WARM_UP_SECONDS:
            self._latencies.append(perf_counter() - due_at)
        self._end_one()

    def failed(self, what: str, charges: int) -> None:
        self._charges += charges
        self._failures += 1
        self._first_failure = self._first_failure or what
        self._end_one()

    def is_free(self, turn: "_Turn") -> None:
        self._free.append(turn)

    def _look(self) -> None:
        while self._free and (due_at := self.next_due()) is not None:
            self._free.popleft().ask(due_at)

    def _end_one(self) -> None:
        self._ended += 1
        if self._ended == self._questions and not self._done.done():
            self._done.set_result(None)


class _Turn:
    """What one caller knows of the schedule."""

    def __init__(self, schedule: _Schedule, caller: Caller) -> None:
        self._schedule = schedule
        self._caller = caller
        self._due_at = 0.0

    def ask(self, due_at: float) -> None:
        self._due_at = due_at
        self._caller.begin(self)

    def asks_at(self) -> float:
        return self._due_at

    def answered(self, asked_at: float, charges: int) -> bool:
        self._schedule.answered(asked_at, charges)
        due_at = self._schedule.next_due()
        if due_at is None:
            self._schedule.is_free(self)
            return False
        self._due_at = due_at
        return True

    def failed(self, what: str, charges: int = 0) -> None:
        # Its connection is gone, and the caller with it.
        self._schedule.failed(what, charges)
