"""Figures of alternating rounds: medians, and ratios of what was measured side by side."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmark.sample import Sample

QUANTILES = (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999))


@dataclass(frozen=True, slots=True)
class Figures:
    """One subject under one number of connections: the median of its rounds."""

    subject: str
    connections: int
    rounds: int
    rate: float  # answers a second
    lowest: float
    highest: float
    milliseconds: dict[str, float]  # by name of the quantile
    microseconds: dict[str, float]  # processor time an answer, by process
    of: dict[str, float]  # rate as a part of a floor's rate in the same round

    slower: dict[str, float]  # p99 as a multiple of a floor's p99 in the same round

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return {
            "subject": self.subject,
            "connections": self.connections,
            "rounds": self.rounds,
            "per_second": round(self.rate, 1),
            "per_second_lowest": round(self.lowest, 1),
            "per_second_highest": round(self.highest, 1),
            "milliseconds": {name: round(value, 3) for name, value in self.milliseconds.items()},
            "processor_microseconds": {
                name: round(value, 1) for name, value in self.microseconds.items()
            },
            "part_of": {name: round(value, 4) for name, value in self.of.items()},
            "p99_times": {name: round(value, 2) for name, value in self.slower.items()},
        }


Measured = dict[tuple[str, int], list[Sample]]
# Seconds of processor time by process, for each sample in turn.
Spent = dict[tuple[str, int], list[dict[str, float]]]


def summarise(measured: Measured, spent: Spent, *, floors: Sequence[str]) -> list[Figures]:
    """The figures of everything measured; the samples of a round have the same index."""
    return [
        Figures(
            subject=subject,
            connections=connections,
            rounds=len(samples),
            rate=median(sample.rate for sample in samples),
            lowest=min(sample.rate for sample in samples),
            highest=max(sample.rate for sample in samples),
            milliseconds={
                name: median(sample.quantile(part) for sample in samples) * 1000
                for name, part in QUANTILES
            },
            microseconds=_per_answer(samples, spent[subject, connections]),
            of={
                floor: _ratio(samples, measured[floor, connections], lambda sample: sample.rate)
                for floor in floors
                if (floor, connections) in measured
            },
            slower={
                floor: _ratio(samples, measured[floor, connections], _p99)
                for floor in floors
                if (floor, connections) in measured
            },
        )
        for (subject, connections), samples in measured.items()
    ]


def _per_answer(samples: Sequence[Sample], spent: Sequence[dict[str, float]]) -> dict[str, float]:
    names = spent[0].keys() if spent else ()
    return {
        name: median(
            seconds[name] / max(1, sample.asked) * 1e6
            for sample, seconds in zip(samples, spent, strict=True)
        )
        for name in names
    }


def _p99(sample: Sample) -> float:
    return sample.quantile(0.99)


def _ratio(
    samples: Sequence[Sample], floor: Sequence[Sample], figure: Callable[[Sample], float]
) -> float:
    # Within a round, because the machine is not the same a minute later.
    ratios = [
        figure(sample) / figure(under)
        for sample, under in zip(samples, floor, strict=True)
        if under.answers
    ]
    return median(ratios) if ratios else 0.0


def table(figures: Iterable[Figures], *, floors: Sequence[str]) -> str:
    """The figures for people."""
    names = [name for name, _ in QUANTILES]
    head = ["connections", "subject", "per second", "lowest–highest"]
    head += [f"{name} ms" for name in names] + ["server µs", "valkey µs"]
    head += [f"of {floor}" for floor in floors]
    rows = [head] + [
        [
            str(item.connections),
            item.subject,
            f"{item.rate:,.0f}",
            f"{item.lowest:,.0f}–{item.highest:,.0f}",
            *(f"{item.milliseconds[name]:.2f}" for name in names),
            *(
                f"{item.microseconds[name]:.0f}" if name in item.microseconds else ""
                for name in ("server", "valkey")
            ),
            *(
                f"{item.of[floor]:.{2 if item.of[floor] < 10 else 1}f}" if floor in item.of else ""
                for floor in floors
            ),
        ]
        for item in sorted(figures, key=lambda item: item.connections)
    ]
    return columns(rows)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows below one another; the second of each is a name, the others are figures."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column == 1 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
