"""One measured stretch of load: when it ends, and what was answered in it."""

import asyncio
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from time import perf_counter


@dataclass(frozen=True, slots=True)
class Sample:
    """What a stretch gave. `charges` counts late answers too: they were charged all the same.

    An answer is one decision; a batch is as many answers as it has decisions, and one latency.
    """

    seconds: float
    answers: int
    asked: int  # with those of the warm-up and those that came late
    charges: int
    failures: int
    first_failure: str
    latencies: "array[float]" = field(repr=False)  # seconds

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds

    def quantile(self, part: float) -> float:
        """The latency in seconds that `part` of the answers stayed within."""
        return quantile(self.latencies, part)


def quantile(values: Iterable[float], part: float) -> float:
    """The value that `part` of them stay within; of few, the highest stands for p99."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


class Stretch:
    """Shared by the callers of one stretch: each asks again until it ends, then is waited for."""

    def __init__(self, *, seconds: float, callers: int, weight: int = 1) -> None:
        self.seconds = seconds
        self._weight = weight  # decisions in one answer
        self.began_at = perf_counter()
        self.ends_at = self.began_at + seconds
        self._callers = callers
        self._answers = 0
        self._charges = 0
        self._failures = 0
        self._first_failure = ""
        self._latencies = array("d")
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def asks_at(self) -> float:
        """The moment that the question which is asked now is timed from."""
        return perf_counter()

    def answered(self, asked_at: float, charges: int) -> bool:
        """Count an answer; whether to ask again."""
        now = perf_counter()
        self._latencies.append(now - asked_at)
        self._charges += charges
        if now < self.ends_at:
            self._answers += self._weight
            return True
        self._leave()
        return False

    def failed(self, what: str, charges: int = 0) -> None:
        """Count an answer that is none, or a connection that ended; its caller is done."""
        self._failures += 1
        self._charges += charges
        self._first_failure = self._first_failure or what
        self._leave()

    def _leave(self) -> None:
        self._callers -= 1
        if self._callers == 0 and not self._done.done():
            self._done.set_result(None)

    async def ended(self, *, patience: float = 10.0) -> Sample:
        """The sample, once every caller has its last answer."""
        try:
            async with asyncio.timeout(self.seconds + patience):
                await self._done
        except TimeoutError:
            self._failures += self._callers
            self._first_failure = self._first_failure or "no answer"
        return Sample(
            seconds=self.seconds,
            answers=self._answers,
            asked=len(self._latencies) * self._weight,
            charges=self._charges,
            failures=self._failures,
            first_failure=self._first_failure,
            latencies=self._latencies,
        )
