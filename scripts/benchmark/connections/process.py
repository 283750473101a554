"""The process in which one client is measured."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmark.connections.ways import Client
from benchmark.python_packages import packages
from benchmark.stage import with_packages
from dev.conditions import REPOSITORY


class ClientFailed(Exception):
    """A client did not do what was asked of it; the message is what it said."""


class Process:
    """One client at work; CannotCompare when its packages are not to be had."""

    def __init__(self, client: Client, *, port: int, keys: list[str], logs: Path) -> None:
        self._name = client.name
        self._log = logs / f"{client.name}.log"
        environment = dict(os.environ)
        if client.packages:
            folder = packages(client.name, client.packages)
            environment = with_packages(environment, folder)
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmark.connections.worker", client.module, str(port)],
                cwd=REPOSITORY,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._say(keys)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ask(self, **order: Any) -> dict[str, Any]:
        """What came of an order."""
        self.order(**order)
        return self.answer()

    def order(self, **order: Any) -> None:
        """Begin it, and do not wait."""
        self._say(order)

    def answer(self) -> dict[str, Any]:
        """What came of the order that was begun."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ClientFailed(f"{self._name} ended:\n{self._log.read_text()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise ClientFailed(f"{self._name}: {answer['failed']}")
        return answer

    def _say(self, something: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(something) + "\n")
        self._process.stdin.flush()
