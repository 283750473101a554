"""A site as scripts/run starts it, and servers beside it with the same options."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmark.ports import free_port
from benchmark.processor import processor_seconds
from benchmark.target import GATE
from dev.conditions import REPOSITORY
from dev.processes import CannotStart, Child
from dev.site import ask_readiness
from gate.service import serving

_READY_WITHIN_SECONDS = 120.0
# What a developer's shell may hold for another site.
_FOREIGN = {"DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "HOST", "SITE_URL", "DEBUG"}


class Site:
    """A running site in a folder of its own."""

    def __init__(
        self, data_dir: Path, port: int, gate_port: int, more: Mapping[str, str] | None = None
    ) -> None:
        self.data_dir = data_dir
        self.port = port
        self.gate_port = gate_port
        self._more = dict(more or {})

    @property
    def environment(self) -> dict[str, str]:
        """What a process beside the site needs in its environment."""
        return _environment(self.data_dir, self.port, self.gate_port) | self._more

    def processor_seconds(self, name: str) -> float:
        """What one of the site's processes, or of those beside it, has used so far."""
        return processor_seconds(self._pid(name))

    def _pid(self, name: str) -> int:
        return int((self.data_dir / "run" / f"{name}.pid").read_text().split()[0])

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """One of the site's processes does nothing meanwhile."""
        pid = self._pid(name)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextmanager
    def serving(
        self,
        application: str,
        packages: Path | None = None,
        *,
        name: str | None = None,
        port: int | None = None,
        more: Mapping[str, str] | None = None,
    ) -> Iterator[int]:
        """The port of another application, served as the site is.

        packages: for it alone. port: a free one unless given. more: what its environment has
        besides.
        """
        port = port or free_port()
        command = [
            *(sys.executable, "-m", "uvicorn", *serving.as_words()),
            *("--host", "127.0.0.1", "--port", str(port), application),
        ]
        environment = with_packages(self.environment | dict(more or {}), packages)
        with self.running(name or server_name(application), command, port, environment):
            yield port

    @contextmanager
    def running(
        self, name: str, command: list[str], port: int, environment: Mapping[str, str]
    ) -> Iterator[None]:
        """A server of whatever kind, once it answers on its port."""
        server = Child(
            name,
            command,
            data_dir=self.data_dir,
            environment=dict(environment),
            directory=REPOSITORY,
        )
        server.start()
        try:
            _wait_until_ready(server, port, anything=True)
            yield
        finally:
            server.stop()


def server_name(application: str) -> str:
    """What the process is called that serves an application."""
    return "gate" if application == GATE else application.partition(":")[0].replace(".", "-")


def with_packages(environment: dict[str, str], packages: Path | None) -> dict[str, str]:
    """An environment in which Python finds more packages, after its own."""
    if packages is None:
        return environment
    path = os.pathsep.join(filter(None, (environment.get("PYTHONPATH"), str(packages))))
    return environment | {"PYTHONPATH": path}


@contextmanager
def running_site(data_dir: Path, more: Mapping[str, str] | None = None) -> Iterator[Site]:
    """A site that serves, with everything that scripts/run starts; stopped at the end.

    more: what its environment has besides.
    """
    site = Site(data_dir, free_port(), free_port(), more)
    supervisor = Child(
        "supervisor",
        [sys.executable, "-m", "dev"],
        data_dir=data_dir,
        environment=site.environment,
        directory=REPOSITORY,
        patience=60.0,
    )
    supervisor.start()
    try:
        _wait_until_ready(supervisor, site.port)
        yield site
    finally:
        supervisor.stop()


def _environment(data_dir: Path, port: int, gate_port: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    return {
        **kept,
        "DATA_DIR": str(data_dir),
        "PORT": str(port),
        "GATE_PORT": str(gate_port),
        "ENVIRONMENT": "development",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }


def _wait_until_ready(server: Child, port: int, *, anything: bool = False) -> None:
    deadline = time.monotonic() + _READY_WITHIN_SECONDS
    while True:
        answer = ask_readiness(f"127.0.0.1:{port}")
        if answer == "200" or (anything and answer.isdigit()):
            return
        if not server.is_running or time.monotonic() > deadline:
            raise CannotStart(f"{server.name} does not serve:\n{server.last_words()}")
        time.sleep(0.05)
