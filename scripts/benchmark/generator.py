"""The load generator: a process of its own that measures what it is told to."""

import asyncio
import multiprocessing
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

import uvloop

from benchmark.chats import CHATS
from benchmark.pages import EXPORT, MIXED, PAGES
from benchmark.sample import Sample
from benchmark.subjects import SUBJECTS
from benchmark.target import Target

_PATIENCE_SECONDS = 60.0


class GeneratorFailed(Exception):
    """The load generator ended or gave no sample; the message is what it said last."""


@dataclass(frozen=True, slots=True)
class _Order:
    """What to measure: with so many connections, or at so many questions a second."""

    subject: str
    target: Target
    seconds: float
    connections: int = 0
    rate: float = 0.0

    async def carry_out(self) -> Sample:
        """The sample that was ordered."""
        subject = next(
            one for one in (*SUBJECTS, *CHATS, EXPORT, MIXED, *PAGES) if one.name == self.subject
        )
        if self.rate:
            return await subject.measure_at(self.target, self.rate, self.seconds)
        return await subject.measure(self.target, self.connections, self.seconds)


class Generator:
    """Measures one subject at a time, in another process."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._pipe.close()
        self._process.join(2.0)
        self._process.kill()

    def measure(self, subject: str, target: Target, *, connections: int, seconds: float) -> Sample:
        """The sample of a subject under so many connections."""
        return self._measured(_Order(subject, target, seconds, connections=connections))

    def measure_at(self, subject: str, target: Target, *, rate: float, seconds: float) -> Sample:
        """The sample of a subject that is asked so many times a second."""
        return self._measured(_Order(subject, target, seconds, rate=rate))

    def _measured(self, order: "_Order") -> Sample:
        subject, seconds = order.subject, order.seconds
        self._pipe.send(order)
        if not self._pipe.poll(seconds + _PATIENCE_SECONDS):
            raise GeneratorFailed(f"{subject}: no sample in time")
        try:
            sample = self._pipe.recv()
        except EOFError:
            raise GeneratorFailed(f"{subject}: the load generator ended") from None
        if not isinstance(sample, Sample):
            raise GeneratorFailed(f"{subject}: {sample}")
        return sample


def _work(pipe: "Connection[Sample | str, _Order]") -> None:
    # Ctrl-C reaches the whole group; the one who started this says when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            order = pipe.recv()
        except EOFError:
            return
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                answer: Sample | str = runner.run(order.carry_out())
        except Exception as error:  # noqa: BLE001 - whatever it is, the other side must know
            answer = f"{type(error).__name__}: {error}"
        pipe.send(answer)
