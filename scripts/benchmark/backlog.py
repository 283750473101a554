"""How fast the drain moves a backlog of charges, and what one costs in memory until then."""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice
from statistics import median

import hiredis

from benchmark.target import Target, check_script
from gate.store import connection

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Drained:
    """One backlog that was made and moved."""

    entries: int
    filled_per_second: float
    drained_per_second: float
    bytes_per_entry: float


def measure_drain(target: Target, entries: int, *, drain: Callable[[], int]) -> Drained:
    """Make so many charges, then drain them. Nobody else may drain meanwhile."""
    drain()
    before = used_memory(target.redis_url)
    began = time.perf_counter()
    _fill(target, entries)
    filled = time.perf_counter()
    memory = used_memory(target.redis_url) - before
    drained, drain_began = 0, time.perf_counter()
    while (moved := drain()) > 0:
        drained += moved
    took = time.perf_counter() - drain_began
    if drained != entries:
        raise RuntimeError(f"{entries} charges were made and {drained} drained")
    return Drained(
        entries=entries,
        filled_per_second=entries / (filled - began),
        drained_per_second=entries / took,
        bytes_per_entry=memory / entries,
    )


def _fill(target: Target, entries: int) -> None:
    calls = cycle([check_script(target, key).packed() for key in target.keys])
    reader = hiredis.Reader()
    with socket.socket(socket.AF_UNIX) as valkey:
        valkey.settimeout(30.0)
        valkey.connect(target.redis_socket)
        left = entries
        while left:
            expected = min(left, _AT_ONCE)
            valkey.sendall(b"".join(islice(calls, expected)))
            left -= expected
            while expected:
                reader.feed(valkey.recv(65536))
                while (answer := reader.gets()) is not False:
                    if not isinstance(answer, list) or answer[0] != b"ok":
                        raise RuntimeError(f"a charge was answered {answer!r:.80}")
                    expected -= 1


def used_memory(redis_url: str) -> int:
    """Bytes that a Valkey has allocated."""
    return int(connection.sync_client(redis_url).info("memory")["used_memory"])


def as_json(drains: list[Drained]) -> dict[str, float]:
    """Medians, for a file."""
    return {
        "entries": drains[0].entries,
        "filled_per_second": round(median(one.filled_per_second for one in drains)),
        "drained_per_second": round(median(one.drained_per_second for one in drains)),
        "bytes_per_entry": round(median(one.bytes_per_entry for one in drains), 1),
    }
