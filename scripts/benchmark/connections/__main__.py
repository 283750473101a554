"""Measure every client in turn, on a Valkey of our own, and print what was found."""

import json
import os
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median

from benchmark.arguments import read_arguments
from benchmark.cache import CannotCompare
from benchmark.connections.faults import Endured, end_connections, hang
from benchmark.connections.process import ClientFailed, Process
from benchmark.connections.ways import CLIENTS
from benchmark.figures import columns
from benchmark.hot_accounts import HotAccounts
from benchmark.machine import Listening, Machine
from benchmark.ports import free_port
from benchmark.processor import processor_seconds
from dev.embedded import EmbeddedValkey
from gate.store import connection

_ACCOUNTS = 1_000
_CALLERS = 32
_FAULTS = 3


@dataclass(frozen=True, slots=True)
class Found:
    """Medians of one client."""

    name: str
    rate: float  # calls a second with 32 callers
    of_ours: float  # as a part of our own in the same round
    client_us: float  # processor time a call
    valkey_us: float
    p50_ms: float  # at half of its own rate, from when a call was due
    p99_ms: float
    hang: Endured
    end: Endured


class Comparison:
    """The clients that can be had here, at work in turn."""

    def __init__(
        self, accounts: HotAccounts, valkey: EmbeddedValkey, stack: ExitStack, *, logs: Path
    ) -> None:
        self._accounts = accounts
        assert valkey.child.pid is not None
        self._valkey: int = valkey.child.pid
        self._processes: dict[str, Process] = {}
        port = _on_loopback(accounts)
        for client in CLIENTS:
            try:
                process = Process(client, port=port, keys=accounts.keys, logs=logs)
            except CannotCompare as error:
                print(f"Left out: {client.name}, which cannot be had here ({error})", flush=True)
                continue
            self._processes[client.name] = stack.enter_context(process)

    def measure(self, rounds: int, seconds: float) -> list[Found]:
        closed = defaultdict(list)
        for number in range(rounds):
            for name, process in self._turn(number):
                before = processor_seconds(self._valkey)
                said = process.ask(do="closed", callers=_CALLERS, seconds=seconds)
                spent = processor_seconds(self._valkey) - before
                closed[name].append({**said, "valkey": spent / said["calls"] * 1e6})
                self._accounts.forget_entries()
        rates = {name: median(one["rate"] for one in said) for name, said in closed.items()}
        paced = defaultdict(list)
        for number in range(rounds):
            for name, process in self._turn(number):
                rate = rates[name] / 2
                paced[name].append(process.ask(do="paced", rate=rate, seconds=seconds))
                self._accounts.forget_entries()
        print("Rates are measured; now Valkey hangs, and ends connections …", flush=True)
        hung, ended = defaultdict(list), defaultdict(list)
        for number in range(_FAULTS):
            for name, process in self._turn(number):
                hung[name].append(hang(process, self._accounts, self._valkey))
                ended[name].append(end_connections(process, self._accounts))
        return [
            Found(
                name=name,
                rate=rates[name],
                of_ours=median(
                    theirs["rate"] / ours["rate"]
                    for theirs, ours in zip(said, closed["ours"], strict=True)
                ),
                client_us=median(one["microseconds"] for one in said),
                valkey_us=median(one["valkey"] for one in said),
                p50_ms=median(one["p50"] for one in paced[name]) * 1000,
                p99_ms=median(one["p99"] for one in paced[name]) * 1000,
                hang=_median(hung[name]),
                end=_median(ended[name]),
            )
            for name, said in closed.items()
        ]

    def _turn(self, number: int) -> list[tuple[str, Process]]:
        """Another one first in each round."""
        turn = list(self._processes.items())
        first = number % len(turn)
        return turn[first:] + turn[:first]


def _on_loopback(accounts: HotAccounts) -> int:
    """Let our Valkey listen on a port as well: not every client knows Unix sockets."""
    port = free_port()
    client = connection.sync_client(accounts.url)
    client.config_set("bind", "127.0.0.1")
    client.config_set("port", port)
    return port


def _median(endured: list[Endured]) -> Endured:
    return Endured(
        **{
            field.name: median(getattr(one, field.name) for one in endured)
            for field in fields(Endured)
        }
    )


def _table(found: list[Found]) -> str:
    head = ["", "client", "per second", "of ours", "client µs", "valkey µs", "p50 ms", "p99 ms"]
    rows = [head] + [
        [
            "",
            one.name,
            f"{one.rate:,.0f}",
            f"{one.of_ours:.2f}",
            f"{one.client_us:.0f}",
            f"{one.valkey_us:.0f}",
            f"{one.p50_ms:.2f}",
            f"{one.p99_ms:.2f}",
        ]
        for one in found
    ]
    return columns(rows)


def _table_of_faults(found: list[Found]) -> str:
    head = ["", "client", "fault", "slowest ms", "late", "refused", "charged unanswered", "back ms"]
    rows = [head]
    for one in found:
        for fault, endured in (("hang", one.hang), ("end", one.end)):
            rows.append(
                [
                    "",
                    one.name,
                    fault,
                    f"{endured.slowest_ms:,.0f}",
                    f"{endured.late:g}",
                    f"{endured.refused:g}",
                    f"{endured.charged_unanswered:g}",
                    f"{endured.back_ms:,.0f}",
                ]
            )
    return columns(rows)


def main() -> int:
    asked = read_arguments()
    listening = Listening(os.getppid())
    try:
        with tempfile.TemporaryDirectory(prefix="sansxel-bench-") as folder, ExitStack() as stack:
            valkey = stack.enter_context(EmbeddedValkey(Path(folder) / "data"))
            accounts = HotAccounts(valkey.url)
            accounts.add_accounts(_ACCOUNTS)
            machine = Machine.here(valkey.url)
            compared = Comparison(accounts, valkey, stack, logs=Path(folder))
            found = compared.measure(asked.rounds, asked.seconds)
    except ClientFailed as error:
        print(f"✗ {error}", file=sys.stderr)
        return 1
    noise = listening.noise()
    print(
        f"\n{_table(found)}\n\n{_table_of_faults(found)}\n\n"
        f"Medians of {asked.rounds} rounds of {asked.seconds:g} s in turn, {_CALLERS} callers; p50 "
        "and p99 at half of a client's own rate; of "
        f"{_FAULTS} faults each. “late” are calls that took more than 500 ms, “charged unanswered” "
        f"charges that no caller was told of.\n{machine}.",
        *(() if noise is None else (noise,)),
    )
    if asked.json:
        said = {
            "machine": machine.as_json(),
            "noise": noise and noise.as_json(),
            "clients": [asdict(one) for one in found],
        }
        asked.json.write_text(json.dumps(said, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
