"""The parts of the site that `scripts/run` starts, declared, and what it says about them."""

import http.client
import json
import math
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dev.conditions import REPOSITORY
from dev.embedded import EmbeddedPostgres, EmbeddedValkey
from dev.parts import Part
from dev.processes import CannotStart, Child
from dev.terminal import Terminal

# docs/decisions/0009-shortcut.md says why each. How long a client is waited for, and how many
# there may be, stands in gate/service/limits.py.
WEB_OPTIONS = [
    *("--http", "gate.service.shortcut:ShortcutProtocol", "--loop", "uvloop", "--ws", "none"),
    *("--lifespan", "on", "--no-proxy-headers", "--no-access-log", "--no-server-header"),
    *("--backlog", "4096", "--timeout-graceful-shutdown", "8"),
]
CELERY = (sys.executable, "-m", "celery", "-A", "config.celery")


class Site:
    """One site below `data_dir`. A server that the environment names is used, and not started."""

    def __init__(self, *, data_dir: Path, host: str, port: int) -> None:
        self.data_dir = data_dir
        self.host = host
        self.port = port
        self.environment = {
            **os.environ,
            "DATA_DIR": str(data_dir),
            "HOST": host,
            "PORT": str(port),
            "PYTHONUNBUFFERED": "1",
            # What they write are logs: whoever's terminal this is, they are UTF-8.
            "PYTHONUTF8": "1",
            "PYTHONIOENCODING": "utf-8:backslashreplace",
        }
        self.environment["SITE_URL"] = os.environ.get("SITE_URL") or f"http://{self.address}"
        self._servers: list[Part] = []
        if not os.environ.get("DATABASE_URL"):
            postgres = EmbeddedPostgres(data_dir)
            self.environment["DATABASE_URL"] = postgres.url
            self._servers.append(postgres)
        if not os.environ.get("REDIS_URL"):
            valkey = EmbeddedValkey(data_dir)
            self.environment["REDIS_URL"] = valkey.url
            self._servers.append(valkey)
        self._preparation = Preparation(self, needs=[server.name for server in self._servers])

    @property
    def address(self) -> str:
        """Where this machine reaches it: host and port."""
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104
        return f"{shown}:{self.port}"

    @property
    def services_file(self) -> Path:
        """Where `manage.py`, started by hand, finds the servers."""
        return self.data_dir / "services.json"

    def parts(self) -> list[Part]:
        """Every process; those of our own code begin when the data is prepared.

        Who gives work needs those who do it: it begins after them, and ends before them.
        """
        workers = ("worker", "worker-waiting")
        return [
            *self._servers,
            self._preparation,
            self._worker("worker", queue="celery", threads=4),
            # Stripe and the mail server may hang: who waits for them holds nobody else up.
            self._worker("worker-waiting", queue="waiting", threads=8),
            Part(
                self.child(
                    "beat",
                    [
                        *(*CELERY, "beat", "--loglevel", "INFO", "--pidfile", ""),
                        *("--schedule", str(self.data_dir / "beat-schedule")),
                    ],
                    patience=5.0,
                ),
                needs=workers,
            ),
            Web(self, needs=workers),
        ]

    def child(self, name: str, command: Sequence[str], *, patience: float) -> Child:
        """A process of our own code, which may take `patience` seconds to end."""
        return Child(
            name,
            command,
            data_dir=self.data_dir,
            patience=patience,
            environment=self.environment,
            directory=REPOSITORY,
        )

    def write_services_file(self) -> None:
        """Say where the servers are, to ourselves alone."""
        urls = {
            "database_url": self.environment["DATABASE_URL"],
            "redis_url": self.environment["REDIS_URL"],
            "site_url": self.environment["SITE_URL"],
        }
        write_private(self.services_file, json.dumps(urls))

    def announce(self, terminal: Terminal) -> None:
        """Say where it is, and how to sign in as the first admin."""
        say, strong = terminal.say, terminal.strong
        admin = self._preparation.admin()
        site = self.environment["SITE_URL"].rstrip("/")
        say()
        say(f"sansxel runs at {strong(f'{site}/')}")
        say(f"Admin           {site}/admin/")
        say(f"  e-mail        {admin.get('admin_email')}")
        if password := admin.get("admin_password"):
            say(f"  password      {strong(password)}  (a new one at each start, until you sign in)")
        say(f"Data and logs   {self.data_dir}")
        say("Ctrl-C stops everything.")

    def _worker(self, name: str, *, queue: str, threads: int) -> Part:
        command = [
            *(*CELERY, "worker"),
            *("--pool", "threads", "--concurrency", str(threads)),
            *("--queues", queue, "--hostname", f"{name}@%h"),
            *("--loglevel", "INFO", "--without-gossip", "--without-mingle"),
        ]
        return Part(self.child(name, command, patience=20.0), needs=["prepare"])


class Preparation(Part):
    """Migrates, seeds and collects static files, once, and names the first admin."""

    def __init__(self, site: Site, *, needs: Sequence[str]) -> None:
        # The answer may hold a password: it goes through a file that has no name.
        self._answer = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it was read
        child = site.child(
            "prepare",
            [sys.executable, str(REPOSITORY / "manage.py"), "prepare", "--first-admin"],
            patience=10.0,
        )
        child.answer = self._answer
        super().__init__(
            child,
            needs=needs,
            restart=None,
            ready_within_seconds=math.inf,
            title="The preparation of the data",
            ready_text="Data prepared",
        )

    def admin(self) -> dict[str, str | None]:
        """The first admin's e-mail address and, where it was just made, password; read once."""
        with self._answer as answer:
            answer.seek(0)
            printed = answer.read().decode(errors="replace").strip()
        try:
            admin: dict[str, str | None] = json.loads(printed.rpartition("\n")[2])
        except ValueError as error:
            raise CannotStart("manage.py prepare did not name the admin.") from error
        return admin


class Web(Part):
    """Pages, the public API, the quota check and the sandbox; ready when `/readyz` says so."""

    def __init__(self, site: Site, *, needs: Sequence[str]) -> None:
        self._address = site.address
        command = [
            *(sys.executable, "-m", "uvicorn", *WEB_OPTIONS),
            *("--host", site.host, "--port", str(site.port)),
            "config.asgi:application",
        ]
        super().__init__(
            site.child("web", command, patience=10.0),
            needs=needs,
            ready_text="Web ready, workers and beat started",
        )

    def why_not_ready(self) -> str:
        answer = ask_readiness(self._address)
        return "" if answer == "200" else f"http://{self._address}/readyz answered {answer}"


def ask_readiness(address: str) -> str:
    """The status that /readyz answers with, or why there is none."""
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()


def write_private(path: Path, text: str) -> None:
    """Replace the file in one step, readable by us alone."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(
        os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(text)
    fresh.replace(path)
