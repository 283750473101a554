"""Servers and processes that a fault test may stop, kill and bring back."""

import http.client
import os
import resource
import shutil
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from dev.conditions import REPOSITORY
from dev.embedded import EmbeddedValkey
from dev.processes import Child
from tests.running_site import environment, free_port


class Valkey(EmbeddedValkey):
    """The embedded Valkey, with settings that a test may add, and the ways in which it fails."""

    def __init__(self, data_dir: Path, **more: str) -> None:
        super().__init__(data_dir)
        self.more = more

    def settings(self) -> list[str]:
        return [*super().settings(), *_arguments(self.more)]

    def start_loading(self, **more: str) -> None:
        """Start a killed server, and return while it still loads its data."""
        ours = self.child.command
        self.child.command = [*ours, *_arguments(more)]
        self.socket.unlink(missing_ok=True)
        self.child.start()
        self.child.command = ours
        self._until_it_says(b"-LOADING")

    def fill(self, keys: int) -> None:
        """Hold that many keys that take their time to load."""
        with self.client as client:
            pipeline = client.pipeline(transaction=False)
            for number in range(keys):
                pipeline.set(f"ballast:{number}", os.urandom(1_100))
            pipeline.execute()
            # Only what was rewritten is loaded key by key.
            client.bgrewriteaof()
            while client.info("persistence")["aof_rewrite_in_progress"]:
                time.sleep(0.01)

    @property
    def is_loading(self) -> bool:
        """Whether it answers that it still loads its data."""
        return self._say_ping().startswith(b"-LOADING")

    def until_loaded(self) -> None:
        """Wait until it serves."""
        self._until_it_says(b"+PONG")

    def _until_it_says(self, words: bytes) -> None:
        deadline = time.monotonic() + 20
        while not self._say_ping().startswith(words):
            assert time.monotonic() < deadline, f"Valkey does not say {words!r}"
            time.sleep(0.002)

    def _say_ping(self) -> bytes:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(5)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64)
            except OSError:
                return b""

    @property
    def client(self) -> Redis:
        """A client that never repeats a command; close it."""
        return Redis.from_url(self.url, socket_timeout=5, retry=Retry(NoBackoff(), 0))

    def kill(self) -> None:
        """End it without asking; every file stays as it is at that moment."""
        assert self.child.pid is not None
        os.kill(self.child.pid, signal.SIGKILL)
        self.until_ended()

    def until_ended(self) -> None:
        """Wait until the process is no more."""
        deadline = time.monotonic() + 10
        while self.child.is_running:
            assert time.monotonic() < deadline, "Valkey does not end"
            time.sleep(0.002)

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does: connections stay open, nothing answers."""
        assert self.child.pid is not None
        os.kill(self.child.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        if self.child.pid is not None and self.child.is_running:
            os.kill(self.child.pid, signal.SIGCONT)

    def limit_file_size(self, size: int) -> None:
        """Let no file of it grow past `size` bytes: the next write fails, as on a full disk."""
        assert self.child.pid is not None
        resource.prlimit(self.child.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    @property
    def append_only_size(self) -> int:
        """Bytes of the longest append-only file."""
        return max(path.stat().st_size for path in self._append_only.glob("*.aof"))

    @property
    def _append_only(self) -> Path:
        return self.home / "appendonlydir"

    def copy_files(self, to: Path) -> None:
        """What a backup takes of a running server: its append-only files."""
        shutil.copytree(self._append_only, to)

    def start_from(self, copy: Path | None) -> None:
        """Stop it, put an older copy of its files in place (None: no files), start it."""
        self.stop()
        shutil.rmtree(self._append_only)
        if copy is not None:
            shutil.copytree(copy, self._append_only)
        self.start()


def _arguments(settings: Mapping[str, str]) -> list[str]:
    return [
        part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", value)
    ]


class Served:
    """One of the site's servers as the supervisor starts it, on a port of its own."""

    module: str
    # The variable of the environment that says at which port, and what answers soon.
    port_name: str
    asked: str

    def __init__(self, data_dir: Path, name: str, **more: str) -> None:
        self.port = free_port()
        self.child = Child(
            name,
            [sys.executable, "-m", self.module],
            data_dir=data_dir,
            environment={
                **environment(data_dir / name, free_port(), **{self.port_name: str(self.port)}),
                "LOG_LEVEL": "WARNING",
                **more,
            },
            directory=REPOSITORY,
        )

    def until_ready(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + 60
        while not self._is_alive():
            assert self.child.is_running, self.child.last_words()
            assert time.monotonic() < deadline, self.child.last_words()
            time.sleep(0.05)

    def _is_alive(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", self.asked)
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


class Gate(Served):
    """The quota check and the public API."""

    module, port_name, asked = "config.gate_server", "GATE_PORT", "/quota/v1/openapi.json"


class Pages(Served):
    """The pages."""

    module, port_name, asked = "config.site_server", "SITE_PORT", "/healthz"
