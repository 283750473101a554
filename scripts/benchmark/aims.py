"""What the figures are held against. An aim is missed by a fact, not by a failing run."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from statistics import median
from typing import Any

from benchmark.backlog import Drained
from benchmark.figures import Figures, Measured
from benchmark.growth import Growth

_OVER_HTTP = ("check", "authorize", "batch")


@dataclass(frozen=True, slots=True)
class Aim:
    """One aim: a figure that should be at least, or at most, so much."""

    what: str
    found: float
    aim: float
    at_most: bool = False

    @property
    def is_met(self) -> bool:
        """Whether it is reached."""
        return self.found <= self.aim if self.at_most else self.found >= self.aim

    def __str__(self) -> str:
        sign = "≤" if self.at_most else "≥"
        return (
            f"{'✓' if self.is_met else '✗'} {self.what}: {self.found:.4g} (aim {sign} {self.aim:g})"
        )

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        found = round(self.found, 4) if isfinite(self.found) else None
        return asdict(self) | {"found": found, "is_met": self.is_met}


def aims(
    figures: Sequence[Figures],
    drains: Sequence[Drained],
    growth: Growth | None,
    *,
    highest: float,
) -> list[Aim]:
    """Every aim that something was measured for."""
    return [
        *_of_figures(figures),
        *_of_drains(drains, highest),
        *(() if growth is None else _of_growth(growth)),
    ]


def highest_check_rate(measured: Measured) -> float:
    """The most checks a second that were answered over HTTP in any stretch of a run."""
    return max(
        (
            sample.rate
            for (subject, _), samples in measured.items()
            if subject in _OVER_HTTP
            for sample in samples
        ),
        default=0.0,
    )


def _of_figures(figures: Iterable[Figures]) -> Iterable[Aim]:
    for item in sorted(figures, key=lambda item: item.connections):
        at = f"with {item.connections} connections"
        if item.subject in {"check", "authorize"}:
            if "script" in item.of:
                yield Aim(f"{item.subject} of the script alone, {at}", item.of["script"], 0.5)
            if "usual" in item.of:
                yield Aim(f"{item.subject} of the usual choice, {at}", item.of["usual"], 40)
            if "hello" in item.slower and item.connections == 32:
                name = f"p99 of {item.subject} as a multiple of the bare answer's, {at}"
                yield Aim(name, item.slower["hello"], 3, at_most=True)
        if item.subject == "batch" and "pipeline" in item.of:
            yield Aim(f"batch of the pipelined script, {at}", item.of["pipeline"], 0.8)


def _of_drains(drains: Sequence[Drained], highest: float) -> Iterable[Aim]:
    if drains and highest:
        drained = median(one.drained_per_second for one in drains)
        yield Aim("drain as a multiple of the highest check rate", drained / highest, 2)


def _of_growth(growth: Growth) -> Iterable[Aim]:
    yield Aim("bytes of an idle account", growth.bytes_per_account, 700, at_most=True)
    for step in growth.steps:
        if step.what == "accounts" and step.amount == 1_000_000:
            for subject, ratio in step.of_small.items():
                yield Aim(f"{subject} with a million accounts, of that with 5,000", ratio, 0.9)
