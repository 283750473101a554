"""Alternating rounds on a site that runs: what scripts/bench prints and writes."""

import json
import os
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmark.arguments import Asked, read_arguments
from benchmark.cast import make_cast, recorded_charges, settle
from benchmark.figures import Measured, Spent, summarise, table
from benchmark.generator import Generator, GeneratorFailed
from benchmark.native import native_program, native_rate
from benchmark.stage import Site, server_name
from benchmark.subjects import FLOORS, SITE, Subject, Target
from config.processes import CannotStart


class Run:
    """Measures every subject in every round, and counts what was charged meanwhile."""

    def __init__(self, asked: Asked, site: Site, target: Target, generator: Generator) -> None:
        self.asked = asked
        self._site = site
        self.measured: Measured = defaultdict(list)
        self.spent: Spent = defaultdict(list)
        self.native: dict[int, list[float]] = defaultdict(list)
        self.answered = 0  # charges that callers were told of
        self.failures = 0
        self._target = target
        self._generator = generator
        self._native_program = native_program()

    def round(self, number: int) -> None:
        """Measure everything once, another subject first in each round."""
        subjects = self.asked.subjects
        first = number % len(subjects)
        for connections in self.asked.connections:
            for subject in (*subjects[first:], *subjects[:first]):
                self._measure(subject, connections)
            if ("script", connections) in self.measured and self._native_program:
                self._measure_native(self._native_program, connections)

    def _measure(self, subject: Subject, connections: int) -> None:
        before = self._processor_seconds(subject)
        sample = self._generator.measure(
            subject.name, connections=connections, seconds=self.asked.seconds
        )
        after = self._processor_seconds(subject)
        self.spent[subject.name, connections].append(
            {name: after[name] - before[name] for name in after}
        )
        self.measured[subject.name, connections].append(sample)
        self.answered += sample.charges
        self.failures += sample.failures
        if sample.failures:
            print(f"✗ {subject.name}: {sample.failures} failed: {sample.first_failure}", flush=True)
        settle()

    def _processor_seconds(self, subject: Subject) -> dict[str, float]:
        processes = {"valkey": "valkey"} if subject.charges else {}
        if subject.application:
            processes["server"] = server_name(subject.application)
        return {name: self._site.processor_seconds(at) for name, at in processes.items()}

    def _measure_native(self, program: str, connections: int) -> None:
        expected = self.measured["script", connections][-1].rate * self.asked.seconds
        before = sum(recorded_charges())
        self.native[connections].append(
            native_rate(program, self._target, connections=connections, calls=int(expected))
        )
        # That program does not say how many of its calls were charges.
        self.answered += sum(recorded_charges()) - before
        settle()


def main() -> int:
    asked = read_arguments()
    began = time.monotonic()
    try:
        with ExitStack() as stack:
            site = Site(Path(os.environ["DATA_DIR"]), int(os.environ["PORT"]))
            ports = {SITE: site.port}
            for application in {subject.application for subject in asked.subjects} - {None, SITE}:
                assert application is not None
                ports[application] = stack.enter_context(site.serving(application))
            target = make_cast(ports)
            run = Run(asked, site, target, stack.enter_context(Generator(target)))
            options = " ".join(site.server_options)
            print(f"{len(target.keys):,} accounts; server options: {options}", flush=True)
            for number in range(asked.rounds):
                run.round(number)
                took = time.monotonic() - began
                print(f"Round {number + 1} of {asked.rounds} done ({took:.0f} s)", flush=True)
            return _report(run, options)
    except (CannotStart, GeneratorFailed) as error:
        print(f"✗ {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _report(run: Run, options: str) -> int:
    floors = [name for name in FLOORS if any(subject == name for subject, _ in run.measured)]
    figures = summarise(run.measured, run.spent, floors=floors)
    rollups, waiting = recorded_charges()
    native = {connections: median(rates) for connections, rates in run.native.items()}
    print(
        f"\n{table(figures, floors=floors)}\n\n"
        f"Medians of {run.asked.rounds} alternating rounds of {run.asked.seconds:g} s, on "
        f"{os.cpu_count()} cores that everything shares. “of” is the rate as a part of the "
        "floor's in the same round, “µs” processor time an answer."
    )
    if native:
        rates = ", ".join(f"{rate:,.0f}/s ({number})" for number, rate in sorted(native.items()))
        print(f"The script with one account under Valkey's own generator (connections): {rates}.")
    exact = run.answered == rollups + waiting
    print(
        f"{'✓' if exact else '✗'} {run.answered:,} charges answered; recorded: "
        f"{rollups:,} in rollups + {waiting:,} in streams = {rollups + waiting:,}"
    )
    if run.asked.json:
        report = {
            "cores": os.cpu_count(),
            "server_options": options,
            "rounds": run.asked.rounds,
            "seconds": run.asked.seconds,
            "figures": [item.as_json() for item in figures],
            "native_per_second": native,
            "charges_answered": run.answered,
            "charges_in_rollups": rollups,
            "charges_in_streams": waiting,
            "failures": run.failures,
        }
        run.asked.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if exact and not run.failures else 1


if __name__ == "__main__":
    sys.exit(main())
