"""What the bench says of checks beside pages: compared within a round, and the worst counts."""

from benchmark import beside
from benchmark.beside import ALONE, BUSY, QUIET, STEADY, Beside


def runs(*p99: float) -> list[Beside]:
    return [Beside(p50_ms=1.0, p99_ms=one, failures=0) for one in p99]


def test_the_worst_round_is_held_against_the_aim() -> None:
    found = {
        ALONE: runs(10, 20, 40),
        QUIET: runs(10, 10, 40),
        # The last is the largest, and not the worst of its round.
        STEADY: runs(20, 80, 100),
        BUSY: runs(30, 60, 120),
    }
    assert beside.worst_times(found, STEADY, ALONE) == 4
    steady, busy, drained = beside.aims_of(found)
    assert (steady.found, steady.is_met) == (4, False)
    assert (busy.found, busy.is_met) == (3, True)
    assert (drained.found, drained.is_met) == (1, True)
