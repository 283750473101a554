"""Checks beside pages and exports, and with and without the drain: what one job costs another.

1,000 checks a second come to the gate's own door whatever was answered (`open_loop`), while
somebody else, from a process of its own, reads pages by the front. Each state is measured in each
round, and what is compared stands in the same round.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmark.aims import Aim
from benchmark.figures import columns
from benchmark.generator import Generator
from benchmark.pages import EXPORT, MIXED, PAGES
from benchmark.sample import Sample
from benchmark.stage import Site
from benchmark.subjects import CHECK, Subject
from benchmark.target import Target

CHECKS_A_SECOND = 1_000
PAGES_A_SECOND = 25
BROWSERS = 8

ALONE, QUIET = "nothing but the drain", "beat stopped"
STEADY, BUSY = f"{PAGES_A_SECOND} pages a second", f"{BROWSERS} browsers without pause"
LARGE = "exports of 72,000 rows without pause"
STATES = (ALONE, QUIET, STEADY, BUSY, LARGE)

# A sample, once its charges and failures are counted.
Count = Callable[[Subject, Sample], Sample]


@dataclass(frozen=True, slots=True)
class Beside:
    """One measurement of checks, and of the pages beside them if there were any."""

    p50_ms: float
    p99_ms: float
    failures: int
    pages_per_second: float = 0.0
    page_p99_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class PageRate:
    """One page under so many browsers without pause, and nothing else: medians of the rounds."""

    path: str
    per_second: float
    p99_ms: float


def measure_beside(
    site: Site,
    target: Target,
    checks: Generator,
    *,
    rounds: int,
    seconds: float,
    counted: Count,
) -> dict[str, list[Beside]]:
    """Each state in each round, another one first each time; in the order of the rounds."""
    found: dict[str, list[Beside]] = defaultdict(list)
    with Generator() as readers, ThreadPoolExecutor(1) as pool:

        def read(state: str) -> Sample | None:
            if state == STEADY:
                return readers.measure_at(MIXED.name, target, rate=PAGES_A_SECOND, seconds=seconds)
            if state == BUSY:
                return readers.measure(MIXED.name, target, connections=BROWSERS, seconds=seconds)
            if state == LARGE:
                return readers.measure(EXPORT.name, target, connections=1, seconds=seconds)
            return None

        for number in range(rounds):
            first = number % len(STATES)
            for state in (*STATES[first:], *STATES[:first]):
                with _beat(site, is_stopped=state == QUIET):
                    reading = pool.submit(read, state)
                    sample = checks.measure_at(
                        CHECK.name, target, rate=CHECKS_A_SECOND, seconds=seconds
                    )
                    pages = reading.result()
                counted(CHECK, sample)
                if pages:
                    counted(EXPORT if state == LARGE else MIXED, pages)
                found[state].append(_as_found(sample, pages))
    return found


def measure_pages(
    target: Target, generator: Generator, *, rounds: int, seconds: float, counted: Count
) -> list[PageRate]:
    """Every page by itself, in turn."""
    samples: dict[str, list[Sample]] = defaultdict(list)
    for _ in range(rounds):
        for page in PAGES:
            sample = generator.measure(page.name, target, connections=BROWSERS, seconds=seconds)
            samples[page.name].append(counted(page, sample))
    return [
        PageRate(
            path=path,
            per_second=median(one.rate for one in taken),
            p99_ms=median(one.quantile(0.99) for one in taken) * 1000,
        )
        for path, taken in samples.items()
    ]


def _beat(site: Site, *, is_stopped: bool) -> AbstractContextManager[None]:
    return site.paused("beat") if is_stopped else nullcontext()


def _as_found(sample: Sample, pages: Sample | None) -> Beside:
    return Beside(
        p50_ms=sample.quantile(0.5) * 1000,
        p99_ms=sample.quantile(0.99) * 1000,
        failures=sample.failures + (pages.failures if pages else 0),
        pages_per_second=pages.rate if pages else 0.0,
        page_p99_ms=pages.quantile(0.99) * 1000 if pages else 0.0,
    )


def times(found: Mapping[str, Sequence[Beside]], state: str, than: str) -> list[float]:
    """p99 of a state as a multiple of that of another in the same round, round by round.

    Endless where something failed: who was not answered is in no p99.
    """
    return [
        math.inf if one.failures or other.failures else one.p99_ms / other.p99_ms
        for one, other in zip(found[state], found[than], strict=True)
    ]


def aims_of(found: Mapping[str, Sequence[Beside]]) -> list[Aim]:
    """What may make checks wait, and by how much."""
    drained = median(times(found, ALONE, QUIET))
    return [
        *(
            Aim(
                f"p99 of checks beside {state}, of that without, in the worst round",
                max(times(found, state, ALONE)),
                3,
                at_most=True,
            )
            for state in (STEADY, BUSY, LARGE)
        ),
        Aim(
            "p99 of checks with the drain, of that without, in the median round",
            drained,
            1.5,
            at_most=True,
        ),
    ]


def table(found: Mapping[str, Sequence[Beside]], pages: Sequence[PageRate]) -> str:
    """For people."""
    head = ["", "beside 1,000 checks a second", "p50 ms, run by run", "p99 ms", "times", "pages/s"]
    rows = [head]
    for state in STATES:
        runs = found[state]
        rate = median(one.pages_per_second for one in runs)
        rows.append(
            [
                "",
                state,
                " ".join(f"{one.p50_ms:.1f}" for one in runs),
                " ".join(f"{one.p99_ms:.1f}" for one in runs),
                " ".join(f"{ratio:.1f}" for ratio in _compared(found, state)),
                f"{rate:.2g}" if 0 < rate < 10 else f"{rate:.0f}" if rate else "",
            ]
        )
    alone = [["", f"{BROWSERS} browsers, nothing else", "a second", "p99 ms"]]
    alone += [["", one.path, f"{one.per_second:.0f}", f"{one.p99_ms:.0f}"] for one in pages]
    return (
        f"{columns(rows)}\n\n{columns(alone)}\n\n"
        "“times” is p99 as a multiple of that in the same round: of checks beside pages, of that "
        "with nothing but the drain; of that with the drain, of that with beat stopped."
    )


def _compared(found: Mapping[str, Sequence[Beside]], state: str) -> list[float]:
    if state == QUIET:
        return []
    return times(found, state, QUIET if state == ALONE else ALONE)


def as_json(found: Mapping[str, Sequence[Beside]], pages: Sequence[PageRate]) -> dict[str, Any]:
    """For a file."""
    return {
        "checks_per_second": CHECKS_A_SECOND,
        "states": {state: [asdict(one) for one in runs] for state, runs in found.items()},
        "pages": [asdict(one) for one in pages],
    }
