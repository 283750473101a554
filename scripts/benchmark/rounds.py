"""Alternating rounds on a site that runs: what scripts/bench prints and writes."""

import os
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from benchmark import beside
from benchmark.arguments import Asked, read_arguments
from benchmark.backlog import Drained, measure_drain
from benchmark.cast import recorded_charges, settle
from benchmark.chats import MODEL
from benchmark.compared import install, serve
from benchmark.figures import Measured, Spent
from benchmark.generator import Generator, GeneratorFailed
from benchmark.growth import Growth, measure_growth
from benchmark.half_rate import BARE, half_rates
from benchmark.machine import Listening, Machine
from benchmark.native import native_program, native_rate
from benchmark.report import report
from benchmark.sample import Sample
from benchmark.stage import Site, server_name
from benchmark.subjects import HELLO, Subject
from benchmark.target import Target
from dev.processes import CannotStart
from gate.service import serving

# The worker finishes what beat gave it before the drain is ours alone.
_WORKER_IDLE_SECONDS = 3.0
_DRAINS = 3
_WARM_CONNECTIONS = 16
_WARM_SECONDS = 2.0
_BESIDE_SECONDS = 6.0
_PAGES_ROUNDS = 3
_PAGES_SECONDS = 2.0


class Run:
    """Measures every subject in every round, and counts what was charged meanwhile."""

    def __init__(
        self,
        asked: Asked,
        subjects: tuple[Subject, ...],
        site: Site,
        target: Target,
        generator: Generator,
    ) -> None:
        self.asked = asked
        self.site = site
        self.measured: Measured = defaultdict(list)
        self.spent: Spent = defaultdict(list)
        self.native: dict[int, list[float]] = defaultdict(list)
        self.half_rates: dict[str, float] = {}
        self.at_half_rate: dict[str, list[tuple[Sample, Sample]]] = defaultdict(list)
        self.drains: list[Drained] = []
        self.growth: Growth | None = None
        self.beside: dict[str, list[beside.Beside]] = {}
        self.pages: list[beside.PageRate] = []
        self.answered = 0  # charges that callers were told of
        self.failures = 0
        self._subjects = subjects
        self._target = target
        self._generator = generator
        self._native_program = native_program()

    def warm_up(self) -> None:
        """Ask every server for a while, because some compile what they run again and again."""
        for subject in self._subjects:
            if subject.application:
                sample = self._generator.measure(
                    subject.name, self._target, connections=_WARM_CONNECTIONS, seconds=_WARM_SECONDS
                )
                self._counted(subject, sample)

    def round(self, number: int) -> None:
        """Measure everything once, another subject first in each round."""
        first = number % len(self._subjects)
        turn = (*self._subjects[first:], *self._subjects[:first])
        own = {one for subject in turn for one in subject.connections or ()}
        for connections in sorted({*self.asked.connections, *own}):
            for subject in turn:
                if subject.is_measured_with(connections, self.asked.connections):
                    self._measure(subject, connections)
            if ("script", connections) in self.measured and self._native_program:
                self._measure_native(self._native_program, connections)
        if self.asked.backlog and number < _DRAINS:
            self._measure_drain()

    def half_round(self, number: int) -> None:
        """Measure what has a highest rate at half of it, and bare answers at the same rate."""
        self.half_rates = self.half_rates or half_rates(self.measured)
        by_name = {subject.name: subject for subject in self._subjects}
        for name, rate in self.half_rates.items():
            samples = {
                subject: self._counted(
                    by_name[subject],
                    self._generator.measure_at(
                        subject, self._target, rate=rate, seconds=self.asked.seconds
                    ),
                )
                for subject in (name, BARE)[:: 1 if number % 2 else -1]
            }
            self.at_half_rate[name].append((samples[name], samples[BARE]))

    def measure_beside(self) -> None:
        """Measure checks beside pages and beside the drain, and pages by themselves."""
        self.pages = beside.measure_pages(
            self._target,
            self._generator,
            rounds=_PAGES_ROUNDS,
            seconds=_PAGES_SECONDS,
            counted=self._counted,
        )
        self.beside = beside.measure_beside(
            self.site,
            self._target,
            self._generator,
            rounds=self.asked.beside,
            seconds=_BESIDE_SECONDS,
            counted=self._counted,
        )

    def grow(self) -> None:
        """Measure how things change with accounts, keys and entries, on Valkeys beside the site."""
        self.growth = measure_growth(
            self._generator,
            self.site,
            rounds=self.asked.rounds,
            seconds=self.asked.seconds,
            is_long=self.asked.growth,
        )

    def _measure(self, subject: Subject, connections: int) -> None:
        before = self._processor_seconds(subject)
        sample = self._generator.measure(
            subject.name, self._target, connections=connections, seconds=self.asked.seconds
        )
        after = self._processor_seconds(subject)
        self.spent[subject.name, connections].append(
            {name: after[name] - before[name] for name in after}
        )
        self.measured[subject.name, connections].append(sample)
        self._counted(subject, sample)

    def _counted(self, subject: Subject, sample: Sample) -> Sample:
        """A sample, once its charges are counted and drained."""
        if subject.charges:
            self.answered += sample.charges
        self.failures += sample.failures
        if sample.failures:
            print(f"✗ {subject.name}: {sample.failures} failed: {sample.first_failure}", flush=True)
        settle()
        return sample

    def _processor_seconds(self, subject: Subject) -> dict[str, float]:
        processes = {} if subject.application in {HELLO, MODEL} else {"valkey": "valkey"}
        if subject.application:
            processes["server"] = server_name(subject.application)
        return {name: self.site.processor_seconds(at) for name, at in processes.items()}

    def _measure_native(self, program: str, connections: int) -> None:
        expected = self.measured["script", connections][-1].rate * self.asked.seconds
        before = sum(recorded_charges())
        self.native[connections].append(
            native_rate(program, self._target, connections=connections, calls=int(expected))
        )
        # That program does not say how many of its calls were charges.
        self.answered += sum(recorded_charges()) - before
        settle()

    def _measure_drain(self) -> None:
        with self.site.paused("beat"):
            time.sleep(_WORKER_IDLE_SECONDS)
            drained = measure_drain(self._target, self.asked.backlog, drain=settle)
        self.drains.append(drained)
        self.answered += drained.entries


def main() -> int:
    asked = read_arguments()
    began = time.monotonic()
    # Whoever started us has started everything else.
    listening = Listening(os.getppid())
    try:
        with ExitStack() as stack:
            site = Site(
                Path(os.environ["DATA_DIR"]),
                int(os.environ["PORT"]),
                int(os.environ["GATE_PORT"]),
            )
            compared = install(asked.subjects, site)
            target = serve(compared, site, stack)
            run = Run(asked, compared.subjects, site, target, stack.enter_context(Generator()))
            options = " ".join(serving.as_words())
            machine = Machine.here(target.redis_url)
            print(machine, flush=True)
            print(f"{len(target.keys):,} accounts; server options: {options}", flush=True)
            run.warm_up()
            for number in range(0 if asked.only_beside else asked.rounds):
                run.round(number)
                took = time.monotonic() - began
                print(f"Round {number + 1} of {asked.rounds} done ({took:.0f} s)", flush=True)
            for number in range(0 if asked.only_beside else asked.rounds):
                run.half_round(number)
            if asked.beside:
                run.measure_beside()
            if (asked.growth or asked.backlog) and not asked.only_beside:
                run.grow()
            return report(run, options, machine, listening.noise())
    except (CannotStart, GeneratorFailed) as error:
        print(f"✗ {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
