"""The parts of the site that `scripts/run` starts, declared, and what it says about them."""

import http.client
import json
import math
import os
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dev.conditions import REPOSITORY, free_port
from dev.embedded import EmbeddedPostgres, EmbeddedValkey, sockets
from dev.parts import Part
from dev.processes import CannotStart, Child
from dev.terminal import Terminal

CADDYFILE = REPOSITORY / "deploy" / "Caddyfile"
# One name is as long as the other: a folder for one is a folder for both.
GATE_SOCKET, SITE_SOCKET = "gate.sock", "site.sock"
CELERY = (sys.executable, "-m", "celery", "-A", "config.celery")


class Site:
    """One site below `data_dir`. A server that the environment names is used, and not started."""

    def __init__(self, *, data_dir: Path, host: str, port: int, gate_port: int) -> None:
        self.data_dir = data_dir
        self.host = host
        self.port = port
        self.gate_port = gate_port
        self.sockets = sockets.directory(data_dir / "run", GATE_SOCKET)
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
        self.environment |= {
            "GATE_PORT": str(gate_port),
            "GATE_SOCKET": str(self.sockets / GATE_SOCKET),
            "SITE_SOCKET": str(self.sockets / SITE_SOCKET),
            "SANDBOX_PORT": str(free_port()),
            "FRONT_URL": f"http://{self.address}",
        }
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
        return f"{reached_at(self.host)}:{self.port}"

    @property
    def gate_address(self) -> str:
        """Where API servers and gateways on this machine ask."""
        return f"{reached_at(self.host)}:{self.gate_port}"

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
            *self._sandbox(),
            Gate(self),
            Pages(self),
            Front(self, needs=["gate", "site", *workers]),
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
            "sandbox_port": self.environment["SANDBOX_PORT"],
        }
        write_private(self.services_file, json.dumps(urls))

    def announce(self, terminal: Terminal) -> None:
        """Say where it is, and how to sign in as the first admin."""
        say, strong = terminal.say, terminal.strong
        admin = self._preparation.admin()
        site = self.environment["SITE_URL"].rstrip("/")
        say()
        say(f"sansxel runs at {strong(f'{site}/')}")
        say(f"API servers ask http://{self.gate_address}/quota/v1/")
        say(f"Admin           {site}/admin/")
        say(f"  e-mail        {admin.get('admin_email')}")
        if password := admin.get("admin_password"):
            say(f"  password      {strong(password)}  (a new one at each start, until you sign in)")
        say(f"Data and logs   {self.data_dir}")
        say("Ctrl-C stops everything.")

    def _sandbox(self) -> list[Part]:
        """Stripe is played where it is not the real one."""
        secret = os.environ.get("STRIPE_SECRET_KEY", "").strip()
        if secret and not secret.startswith("sk_test_sandbox"):
            return []
        return [Sandbox(self)]

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


class Gate(Part):
    """The quota check and the public API; ready when it can decide."""

    def __init__(self, site: Site) -> None:
        self._site = site
        super().__init__(
            site.child("gate", [sys.executable, "-m", "config.gate_server"], patience=15.0),
            needs=["prepare"],
        )

    def prepare(self) -> None:
        sockets.own(self._site.sockets)

    def why_not_ready(self) -> str:
        answer = ask_readiness(self._site.gate_address)
        return "" if answer == "200" else f"the gate's /readyz answered {answer}"


class Pages(Part):
    """Django's pages, in processes and threads of a server for pages; ready when one answers."""

    def __init__(self, site: Site) -> None:
        self._site = site
        super().__init__(
            site.child("site", [sys.executable, "-m", "config.site_server"], patience=10.0),
            needs=["prepare"],
        )

    def prepare(self) -> None:
        sockets.own(self._site.sockets)

    def why_not_ready(self) -> str:
        path = Path(self._site.environment["SITE_SOCKET"])
        return "" if listens_at(path) else f"nobody listens at {path}"


class Sandbox(Part):
    """Plays Stripe."""

    def __init__(self, site: Site) -> None:
        self._port = int(site.environment["SANDBOX_PORT"])
        command = [
            *(sys.executable, "-m", "uvicorn", "--loop", "uvloop", "--ws", "none"),
            *("--no-proxy-headers", "--no-access-log", "--no-server-header"),
            *("--timeout-graceful-shutdown", "3"),
            *("--host", "127.0.0.1", "--port", str(self._port), "config.sandbox:application"),
        ]
        super().__init__(site.child("sandbox", command, patience=5.0), needs=["prepare"])

    def why_not_ready(self) -> str:
        with socket.socket() as probe:
            is_there = probe.connect_ex(("127.0.0.1", self._port)) == 0
        return "" if is_there else f"nobody listens at port {self._port}"


class Front(Part):
    """One address before all of it: a real proxy, with the file that production has."""

    def __init__(self, site: Site, *, needs: Sequence[str]) -> None:
        self._address = site.address
        command = [
            *(Path(sys.executable).with_name("caddy"), "run"),
            *("--config", CADDYFILE, "--adapter", "caddyfile"),
        ]
        child = site.child("front", [str(part) for part in command], patience=15.0)
        environment = site.environment
        child.environment = {
            **environment,
            "FRONT_ADDRESS": f"http://:{site.port}",
            "FRONT_BIND": site.host,
            "FRONT_MORE": str(CADDYFILE.with_name("sandbox.caddy")),
            "GATE_UPSTREAM": f"unix/{environment['GATE_SOCKET']}",
            "SITE_UPSTREAM": f"unix/{environment['SITE_SOCKET']}",
            "SANDBOX_UPSTREAM": f"127.0.0.1:{environment['SANDBOX_PORT']}",
            "STATIC_ROOT": environment.get("STATIC_ROOT") or str(site.data_dir / "static"),
            # It keeps nothing, and looks for nothing in anybody's home.
            "XDG_DATA_HOME": str(site.data_dir / "front"),
            "XDG_CONFIG_HOME": str(site.data_dir / "front"),
        }
        super().__init__(child, needs=needs, ready_text="Gate, site, workers and front started")

    def why_not_ready(self) -> str:
        answer = ask_readiness(self._address)
        return "" if answer == "200" else f"http://{self._address}/readyz answered {answer}"


def reached_at(host: str) -> str:
    """The name by which this machine reaches a server that listens at `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104


def listens_at(path: Path) -> bool:
    """Whether somebody listens at a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(os.fspath(path)) == 0


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
