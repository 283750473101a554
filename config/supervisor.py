"""What `scripts/run` runs: every server and process, started in order, watched, and stopped."""

import http.client
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from config.conditions import REPOSITORY, only_one, read_data_dir, read_port, require_free
from config.embedded import EmbeddedPostgres, EmbeddedValkey
from config.processes import CannotStart, Child

READY_WITHIN_SECONDS = 60.0
RESTARTS = 5
RESTARTS_COUNTED_SECONDS = 300.0
LONGEST_BACKOFF_SECONDS = 8.0
# docs/decisions/0009-shortcut.md says why each.
WEB_OPTIONS = [
    *("--http", "gate.shortcut:ShortcutProtocol", "--loop", "uvloop", "--ws", "none"),
    *("--lifespan", "on", "--no-proxy-headers", "--no-access-log", "--no-server-header"),
    *("--backlog", "4096", "--timeout-keep-alive", "15", "--timeout-graceful-shutdown", "8"),
]


class Interrupted(Exception):
    """Somebody asked us to stop while we were still starting."""


class Terminal:
    """Short lines for whoever started this; colour only where a terminal shows it."""

    def __init__(self) -> None:
        self._colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        # A terminal without UTF-8 must not end the supervisor at the first tick mark.
        for stream in (sys.stdout, sys.stderr):
            getattr(stream, "reconfigure", lambda **_: None)(errors="replace")

    def say(self, text: str = "") -> None:
        try:
            print(text, flush=True)
        except OSError:
            # The terminal or pipe is gone: what is left to do is to stop in good order.
            sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115

    def done(self, text: str, *, since: float) -> None:
        self.say(f"{self._paint('32', '✓')} {text} ({time.monotonic() - since:.1f} s)")

    def wrong(self, text: str) -> None:
        self.say(f"{self._paint('31', '✗')} {text}")

    def strong(self, text: str) -> str:
        return self._paint("1", text)

    def _paint(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colour else text


@dataclass
class Service:
    """Something to keep running: what starts it, and when it has failed lately."""

    name: str
    child: Child
    start: Callable[[], None]
    failed_at: list[float] = field(default_factory=list)
    start_again_at: float | None = None

    def note_failure(self, at: float) -> bool:
        """Plan the next start; False when it failed too often to try again."""
        recent = [past for past in self.failed_at if at - past < RESTARTS_COUNTED_SECONDS]
        self.failed_at = [*recent, at]
        self.start_again_at = at + min(0.5 * 2 ** len(recent), LONGEST_BACKOFF_SECONDS)
        return len(self.failed_at) <= RESTARTS


class Supervisor:
    def __init__(self, *, data_dir: Path, host: str, port: int, terminal: Terminal) -> None:
        self.data_dir = data_dir
        self.host = host
        self.port = port
        self.terminal = terminal
        self.environment = {
            **os.environ,
            "DATA_DIR": str(data_dir),
            "HOST": host,
            "PORT": str(port),
            "PYTHONUNBUFFERED": "1",
        }
        self.services: list[Service] = []
        self._children: dict[str, Child] = {}
        self._servers: list[EmbeddedPostgres | EmbeddedValkey] = []
        self._asked_to_stop = 0

    @property
    def services_file(self) -> Path:
        return self.data_dir / "services.json"

    @property
    def address(self) -> str:
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104
        return f"{shown}:{self.port}"

    def run(self) -> int:
        """Start, watch until asked to stop, stop; the exit code."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup has us ignore SIGHUP, and that stays so.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._on_signal)
        with only_one(self.data_dir):
            try:
                self._start()
                return self._watch()
            except Interrupted:
                return 0
            except CannotStart as error:
                self.terminal.wrong(str(error))
                return 0 if self._asked_to_stop else 1
            finally:
                self._stop()

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._asked_to_stop += 1

    def _pause(self, seconds: float) -> None:
        time.sleep(seconds)
        if self._asked_to_stop:
            raise Interrupted

    # Starting

    def _start(self) -> None:
        self._children = {child.name: child for child in self._programs()}
        for child in self._children.values():
            child.end_leftover()
        require_free(self.host, self.port)
        if not os.environ.get("DATABASE_URL"):
            postgres = EmbeddedPostgres(self.data_dir)
            self.environment["DATABASE_URL"] = postgres.url
            self._start_server(f"PostgreSQL {postgres.version}", postgres)
        if not os.environ.get("REDIS_URL"):
            valkey = EmbeddedValkey(self.data_dir)
            self.environment["REDIS_URL"] = valkey.url
            self._start_server("Valkey", valkey)
        self._write_services_file()
        admin = self._prepare()
        began = time.monotonic()
        for child in self._children.values():
            child.environment = self.environment
            child.start()
            self.services.append(Service(child.name, child, child.start))
        self._wait_until_ready()
        self.terminal.done("Web ready, workers and beat started", since=began)
        self._announce(admin)

    def _start_server(self, name: str, server: EmbeddedPostgres | EmbeddedValkey) -> None:
        began = time.monotonic()
        self._servers.append(server)
        server.start()
        self.services.append(Service(name, server.child, server.child.start))
        self.terminal.done(f"{name} ready", since=began)
        self._pause(0)

    def _programs(self) -> list[Child]:
        """The processes of our own code, in the order in which they start."""
        celery = (sys.executable, "-m", "celery", "-A", "config.celery")
        return [
            self._child(
                "web",
                [
                    *(sys.executable, "-m", "uvicorn", *WEB_OPTIONS),
                    *("--host", self.host, "--port", str(self.port)),
                    "config.asgi:application",
                ],
                patience=10.0,
            ),
            self._child(
                "worker",
                [
                    *(*celery, "worker", "--pool", "threads", "--concurrency", "4"),
                    *("--queues", "celery", "--hostname", "worker@%h"),
                    *("--loglevel", "INFO", "--without-gossip", "--without-mingle"),
                ],
                patience=20.0,
            ),
            # Stripe and the mail server may hang: who waits for them holds nobody else up.
            self._child(
                "worker-waiting",
                [
                    *(*celery, "worker", "--pool", "threads", "--concurrency", "8"),
                    *("--queues", "waiting", "--hostname", "waiting@%h"),
                    *("--loglevel", "INFO", "--without-gossip", "--without-mingle"),
                ],
                patience=20.0,
            ),
            self._child(
                "beat",
                [
                    *(*celery, "beat", "--loglevel", "INFO", "--pidfile", ""),
                    *("--schedule", str(self.data_dir / "beat-schedule")),
                ],
                patience=5.0,
            ),
        ]

    def _child(self, name: str, command: list[str], *, patience: float) -> Child:
        return Child(name, command, data_dir=self.data_dir, patience=patience, directory=REPOSITORY)

    def _write_services_file(self) -> None:
        urls = {
            "database_url": self.environment["DATABASE_URL"],
            "redis_url": self.environment["REDIS_URL"],
        }
        write_private(self.services_file, json.dumps(urls))

    def _prepare(self) -> dict[str, str | None]:
        """Migrate, seed and collect static files; the first admin's log-in, if just made."""
        began = time.monotonic()
        # The answer may hold a password: it goes through a file that has no name.
        with tempfile.TemporaryFile() as answer:
            child = Child(
                "prepare",
                [sys.executable, str(REPOSITORY / "manage.py"), "prepare", "--first-admin"],
                data_dir=self.data_dir,
                environment=self.environment,
                directory=REPOSITORY,
                answer=answer,
            )
            child.start()
            try:
                while child.is_running:
                    self._pause(0.02)
                exit_code = child.exit_code
            finally:
                child.stop()
            answer.seek(0)
            printed = answer.read().decode(errors="replace").strip()
        if exit_code != 0:
            raise CannotStart(
                f"The data could not be prepared (exit code {exit_code}). "
                f"The end of {child.log}:\n{child.last_words()}"
            )
        self.terminal.done("Data prepared", since=began)
        try:
            admin: dict[str, str | None] = json.loads(printed.rpartition("\n")[2])
        except ValueError as error:
            raise CannotStart("manage.py prepare did not name the admin.") from error
        return admin

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        answer = "nothing"
        while answer != "200":
            for service in self.services:
                if not service.child.is_running:
                    raise CannotStart(self._ended(service))
            if time.monotonic() > deadline:
                log = self._children["web"].log
                raise CannotStart(
                    f"http://{self.address}/readyz answered {answer} for "
                    f"{READY_WITHIN_SECONDS:.0f} s. The end of {log}:\n"
                    f"{self._children['web'].last_words()}"
                )
            self._pause(0.05)
            answer = ask_readiness(self.address)

    def _announce(self, admin: dict[str, str | None]) -> None:
        say, strong = self.terminal.say, self.terminal.strong
        say()
        say(f"sansxel runs at {strong(f'http://{self.address}/')}")
        say(f"Admin           http://{self.address}/admin/")
        say(f"  e-mail        {admin.get('admin_email')}")
        if password := admin.get("admin_password"):
            say(f"  password      {strong(password)}  (shown only this once)")
        say(f"Data and logs   {self.data_dir}")
        say("Ctrl-C stops everything.")

    # Watching

    def _watch(self) -> int:
        while not self._asked_to_stop:
            for service in self.services:
                if not self._keep_running(service):
                    self.terminal.wrong(
                        f"{service.name} ended {len(service.failed_at)} times within "
                        f"{RESTARTS_COUNTED_SECONDS / 60:.0f} minutes. Stopping everything."
                    )
                    return 1
            time.sleep(0.2)
        return 0

    def _keep_running(self, service: Service) -> bool:
        """Start an ended service again when its time has come; False to give up."""
        now = time.monotonic()
        if service.start_again_at is None:
            if service.child.is_running:
                return True
            self.terminal.wrong(self._ended(service))
            if not service.note_failure(now):
                return False
            self.terminal.say(f"Starting {service.name} again ({len(service.failed_at)}).")
        elif now >= service.start_again_at:
            service.start_again_at = None
            service.start()
        return True

    def _ended(self, service: Service) -> str:
        child = service.child
        return (
            f"{service.name} ended by itself (exit code {child.exit_code}). "
            f"The end of {child.log}:\n{child.last_words()}"
        )

    # Stopping

    def _stop(self) -> None:
        """End everything, those who use a server before the server; again and it hurries."""
        asked_before = self._asked_to_stop
        began = time.monotonic()
        if asked_before:
            self.terminal.say()
            self.terminal.say("Stopping …")
        # Workers last: others hand them work.
        for is_worker in (False, True):
            children = [
                child
                for name, child in self._children.items()
                if name.startswith("worker") is is_worker
            ]
            for child in children:
                child.ask_to_stop()
            for child in children:
                self._wait_for(child, asked_before)
        self.services_file.unlink(missing_ok=True)
        for server in reversed(self._servers):
            server.stop()
        if asked_before or self.services:
            self.terminal.done("Stopped", since=began)

    def _wait_for(self, child: Child, asked_before: int) -> None:
        deadline = time.monotonic() + child.patience
        while child.is_running:
            if time.monotonic() > deadline or self._asked_to_stop > asked_before:
                self.terminal.wrong(f"{child.name} did not stop and was killed.")
                break
            time.sleep(0.02)
        child.kill()


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
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


def main() -> int:
    terminal = Terminal()
    # Logs, the sandbox's book and the schedule are nobody else's business.
    os.umask(0o077)
    try:
        supervisor = Supervisor(
            data_dir=read_data_dir(os.environ.get("DATA_DIR")),
            host=os.environ.get("HOST") or "127.0.0.1",
            port=read_port(os.environ.get("PORT")),
            terminal=terminal,
        )
        return supervisor.run()
    except CannotStart as error:
        terminal.wrong(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
