"""Three Valkey shards on loopback that form one cluster."""

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError
from redis.retry import Retry

from dev.embedded.valkey import valkey_server
from gate.store.hot_state import PARTITIONS

SLOTS = 16_384
SHARDS = 3


class Shard:
    """One Valkey of the cluster."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port, self.bus_port = free_port(), free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.admin = Redis.from_url(self.url, socket_timeout=10, retry=Retry(NoBackoff(), 0))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it answers with its data loaded."""
        self.home.mkdir(parents=True, exist_ok=True)
        settings: dict[str, Any] = {
            "bind": "127.0.0.1",
            "port": self.port,
            "cluster-enabled": "yes",
            "cluster-port": self.bus_port,
            "cluster-node-timeout": 1_000,
            # One shard that is away is no reason for the others to stop.
            "cluster-require-full-coverage": "no",
            "dir": self.home,
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [valkey_server(), *words], stdout=log, stderr=log, process_group=0
            )
        until(self._answers)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def freeze(self) -> None:
        """Let it hang."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    @property
    def run_id(self) -> str:
        return str(self.admin.info("server")["run_id"])

    def _answers(self) -> bool:
        try:
            return bool(self.admin.ping())
        except RedisError:
            return False

    def command(self, *words: Any) -> Any:
        return self.admin.execute_command(*words)  # type: ignore[no-untyped-call]

    def cluster(self, *words: str | int) -> Any:
        return self.command("CLUSTER", *words)

    @property
    def node_id(self) -> str:
        return str(self.cluster("MYID").decode())

    @property
    def is_well(self) -> bool:
        """Whether it sees every slot served, and every other shard."""
        try:
            told: bytes = self.cluster("INFO")
        except RedisError:
            return False
        return b"cluster_state:ok" in told and f"cluster_slots_ok:{SLOTS}".encode() in told


class Cluster:
    """The shards, and what moves between them."""

    def __init__(self, home: Path) -> None:
        self.shards = [Shard(home / f"shard-{number}") for number in range(SHARDS)]
        self._owner = [min(slot * SHARDS // SLOTS, SHARDS - 1) for slot in range(SLOTS)]

    @property
    def url(self) -> str:
        """The address that a program is given: that of one shard."""
        return self.shards[0].url

    def start(self) -> None:
        """Return when every shard knows that all slots are served."""
        for shard in self.shards:
            shard.start()
        for number, shard in enumerate(self.shards):
            shard.cluster("SET-CONFIG-EPOCH", number + 1)
            owned = [slot for slot in range(SLOTS) if self._owner[slot] == number]
            shard.cluster("ADDSLOTSRANGE", owned[0], owned[-1])
        for shard in self.shards[1:]:
            self.shards[0].cluster("MEET", "127.0.0.1", shard.port, shard.bus_port)
        self.wait_until_well()

    def stop(self) -> None:
        for shard in self.shards:
            shard.kill()
            shard.admin.close()
            shutil.rmtree(shard.home, ignore_errors=True)

    def wait_until_well(self) -> None:
        until(lambda: all(shard.is_well for shard in self.shards))

    def empty(self) -> None:
        for shard in self.shards:
            shard.admin.flushall()
            shard.admin.script_flush()

    def owner_of(self, partition: int) -> Shard:
        """The shard that a partition lives on."""
        return self.shards[self._owner[slot_of(partition)]]

    def partitions_of(self, shard: Shard) -> list[int]:
        return [number for number in range(PARTITIONS) if self.owner_of(number) is shard]

    def move_key_by_key(self, partition: int) -> None:
        """Move a partition's slot to the next shard, as every version of the server can."""
        slot = slot_of(partition)
        source, target = self._ends(slot)
        target.cluster("SETSLOT", slot, "IMPORTING", source.node_id)
        source.cluster("SETSLOT", slot, "MIGRATING", target.node_id)
        while keys := source.cluster("GETKEYSINSLOT", slot, 3):
            source.command("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys)
        for shard in (target, source, *self.shards):
            shard.cluster("SETSLOT", slot, "NODE", target.node_id)
        self._owner[slot] = self.shards.index(target)

    def move_at_once(self, partition: int) -> None:
        """Move a partition's slot to the next shard in one piece (Valkey 9)."""
        slot = slot_of(partition)
        source, target = self._ends(slot)
        source.cluster("MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", target.node_id)
        until(lambda: self._serves(target, slot))
        self._owner[slot] = self.shards.index(target)

    def _ends(self, slot: int) -> tuple[Shard, Shard]:
        at = self._owner[slot]
        return self.shards[at], self.shards[(at + 1) % SHARDS]

    def _serves(self, shard: Shard, slot: int) -> bool:
        for first, last, primary, *_ in shard.cluster("SLOTS"):
            if first <= slot <= last:
                return int(primary[1]) == shard.port
        return False


def slot_of(partition: int) -> int:
    """The slot of a partition's hash tag."""
    return int(key_slot(f"g{partition:02d}".encode()))


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(holds: Callable[[], bool], *, patience: float = 20.0) -> None:
    """Return when it holds; AssertionError after `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        with contextlib.suppress(NoConnection):
            if holds():
                return
        assert time.monotonic() < deadline, "the cluster is not ready"
        time.sleep(0.02)
