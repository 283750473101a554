"""What a run found: the table, the aims beside it, and the same as JSON."""

import json
from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmark import backlog, beside, growth, half_rate, overhead
from benchmark.aims import aims, highest_check_rate
from benchmark.cast import recorded_charges
from benchmark.figures import summarise, table
from benchmark.machine import Machine, Noise
from benchmark.subjects import FLOORS

if TYPE_CHECKING:
    from benchmark.rounds import Run


def report(run: "Run", options: str, machine: Machine, noise: Noise | None) -> int:
    """Print and write what was measured; 0 when nothing failed and every charge was recorded."""
    floors = [name for name in FLOORS if any(subject == name for subject, _ in run.measured)]
    figures = summarise(run.measured, run.spent, floors=floors)
    rollups, waiting = recorded_charges()
    halves = half_rate.summarise(run.at_half_rate, run.half_rates)
    native = {connections: median(rates) for connections, rates in run.native.items()}
    if figures:
        print(
            f"\n{table(figures, floors=floors)}\n\n"
            f"Medians of {run.asked.rounds} alternating rounds of {run.asked.seconds:g} s, on "
            f"{machine.cores} cores that everything shares. “of” is the rate as a part of the "
            "floor's in the same round, “µs” processor time an answer. In batches every check "
            "counts as an answer, and milliseconds are the batch's."
        )
    if native:
        rates = ", ".join(f"{rate:,.0f}/s ({number})" for number, rate in sorted(native.items()))
        print(f"The script with one account under Valkey's own generator (connections): {rates}.")
    over_model = overhead.summarise(run.measured)
    if over_model:
        print(
            f"\n{overhead.table(over_model)}\n\n"
            "The model server thinks for no time, so these ratios are the worst that there can be. "
            "Each is taken within a round; “rate” is a part of the model server's own."
        )
    for line in _besides(run, halves):
        print(line)
    judged = aims(figures, run.drains, run.growth, highest=highest_check_rate(run.measured))
    if run.beside:
        print(f"\n{beside.table(run.beside, run.pages)}\n")
        judged += beside.aims_of(run.beside)
    for aim in judged:
        print(aim)
    print(f"{machine}.", *(() if noise is None else (noise,)))
    exact = run.answered == rollups + waiting
    print(
        f"{'✓' if exact else '✗'} {run.answered:,} charges answered; recorded: "
        f"{rollups:,} in rollups + {waiting:,} in streams = {rollups + waiting:,}"
    )
    if run.asked.json:
        found: dict[str, Any] = {
            "machine": machine.as_json(),
            "noise": noise and noise.as_json(),
            "server_options": options,
            "rounds": run.asked.rounds,
            "seconds": run.asked.seconds,
            "figures": [item.as_json() for item in figures],
            "at_half_rate": [item.as_json() for item in halves],
            "overhead": [item.as_json() for item in over_model],
            "native_per_second": native,
            "drain": backlog.as_json(run.drains) if run.drains else None,
            "beside": beside.as_json(run.beside, run.pages) if run.beside else None,
            "growth": growth.as_json(run.growth) if run.growth else None,
            "aims": [aim.as_json() for aim in judged],
            "charges_answered": run.answered,
            "charges_in_rollups": rollups,
            "charges_in_streams": waiting,
            "failures": run.failures,
        }
        run.asked.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0 if exact and not run.failures else 1


def _besides(run: "Run", halves: list[half_rate.HalfRate]) -> Iterator[str]:
    if halves:
        yield f"\n{half_rate.table(halves)}\n"
        yield (
            "Questions came at half of the highest rate, whatever was answered, and are timed from "
            "when they were due. “bare” is `hello` at the same rate, in turn."
        )
    if run.drains:
        found = backlog.as_json(run.drains)
        yield (
            f"The drain moved {found['entries']:,} charges at {found['drained_per_second']:,} a "
            f"second; each took {found['bytes_per_entry']:g} bytes of Valkey until then."
        )
    if run.growth:
        yield "\n" + growth.table(run.growth) + "\n"
