"""What a chat by the gate takes more than the same chat of the model server itself.

That server thinks for no time, so a ratio is the worst that there can be: with a model that takes a
second, what is added stays the same and the ratio is near one. The milliseconds are what counts.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmark.chats import CHATS, ITSELF
from benchmark.figures import Measured, columns
from benchmark.sample import Sample


@dataclass(frozen=True, slots=True)
class Overhead:
    """One way to ask, with so many connections: medians of what was found within rounds."""

    subject: str
    connections: int
    more_ms: float  # of p50
    times_p50: float
    times_p99: float
    rate_part: float  # of the rate of the model server itself

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)


def summarise(measured: Measured) -> list[Overhead]:
    """The overhead of every chat that was measured, fewest connections first."""
    return [
        _overhead(name, connections, measured[name, connections], itself)
        for (subject, connections), itself in sorted(measured.items(), key=lambda one: one[0][1])
        if subject == ITSELF.name
        for name in (chat.name for chat in CHATS if chat is not ITSELF)
        if (name, connections) in measured
    ]


def _overhead(
    subject: str, connections: int, samples: Sequence[Sample], itself: Sequence[Sample]
) -> Overhead:
    pairs = list(zip(samples, itself, strict=True))
    return Overhead(
        subject=subject,
        connections=connections,
        more_ms=median(one.quantile(0.5) - bare.quantile(0.5) for one, bare in pairs) * 1000,
        times_p50=_median_ratio([(one.quantile(0.5), bare.quantile(0.5)) for one, bare in pairs]),
        times_p99=_median_ratio([(one.quantile(0.99), bare.quantile(0.99)) for one, bare in pairs]),
        rate_part=_median_ratio([(one.rate, bare.rate) for one, bare in pairs]),
    )


def _median_ratio(pairs: Sequence[tuple[float, float]]) -> float:
    ratios = [one / bare for one, bare in pairs if bare]
    return median(ratios) if ratios else 0.0


def table(found: Sequence[Overhead]) -> str:
    """For people."""
    head = ["connections", "over the model itself", "p50 ms more", "times p50", "times p99", "rate"]
    rows = [head] + [
        [
            str(item.connections),
            item.subject,
            f"{item.more_ms:.2f}",
            f"{item.times_p50:.1f}",
            f"{item.times_p99:.1f}",
            f"{item.rate_part:.3f}",
        ]
        for item in found
    ]
    return columns(rows)
