"""How long answers take at half of the highest rate, beside bare answers at the same rate.

The highest rate is the best median of the run, of whatever number of connections; every question is
timed from when it was due (`open_loop`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmark.figures import Measured, columns
from benchmark.sample import Sample

BARE = "hello"
HALVED = ("check", "authorize", "script")
_QUANTILES = (("p50", 0.5), ("p99", 0.99))

# The samples of a round side by side: of the subject, and of the bare answer.
Pairs = Mapping[str, Sequence[tuple[Sample, Sample]]]


@dataclass(frozen=True, slots=True)
class HalfRate:
    """One subject: medians of its rounds."""

    subject: str
    rate: float  # questions a second
    milliseconds: dict[str, float]  # by name of the quantile
    bare_milliseconds: dict[str, float]
    times_bare: dict[str, float]  # medians of the ratios within rounds

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)


def half_rates(measured: Measured) -> dict[str, float]:
    """Half of the highest rate of each subject that has one; none where bare answers have none."""
    highest: dict[str, float] = {}
    for (subject, _), samples in measured.items():
        rate = median(sample.rate for sample in samples)
        highest[subject] = max(rate, highest.get(subject, 0.0))
    if BARE not in highest:
        return {}
    return {name: highest[name] / 2 for name in HALVED if highest.get(name)}


def summarise(pairs: Pairs, rates: Mapping[str, float]) -> list[HalfRate]:
    """The figures of everything that was measured at half of its highest rate."""
    return [
        HalfRate(
            subject=subject,
            rate=rates[subject],
            milliseconds=_medians(sample for sample, _ in both),
            bare_milliseconds=_medians(bare for _, bare in both),
            times_bare={
                name: median(
                    sample.quantile(part) / bare.quantile(part)
                    for sample, bare in both
                    if bare.answers
                )
                for name, part in _QUANTILES
            },
        )
        for subject, both in pairs.items()
    ]


def _medians(samples: Iterable[Sample]) -> dict[str, float]:
    taken = list(samples)
    return {
        name: median(sample.quantile(part) for sample in taken) * 1000 for name, part in _QUANTILES
    }


def table(found: Sequence[HalfRate]) -> str:
    """For people."""
    names = [name for name, _ in _QUANTILES]
    head = ["", "at half rate", "per second"]
    for name in names:
        head += [f"{name} ms", f"bare {name} ms", "times"]
    rows = [head]
    for item in found:
        row = ["", item.subject, f"{item.rate:,.0f}"]
        for name in names:
            row += [
                f"{item.milliseconds[name]:.2f}",
                f"{item.bare_milliseconds[name]:.2f}",
                f"{item.times_bare[name]:.1f}",
            ]
        rows.append(row)
    return columns(rows)
