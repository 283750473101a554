"""What `scripts/run` runs: every server and process, started in order, watched, and stopped."""

import http.client
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from dev.conditions import REPOSITORY, only_one, read_data_dir, read_port, require_free
from dev.embedded import EmbeddedPostgres, EmbeddedValkey
from dev.processes import CannotStart, Child
from dev.services import Service
from dev.terminal import Terminal

READY_WITHIN_SECONDS = 60.0
LOGS_BOUNDED_SECONDS = 10.0
# docs/decisions/0009-shortcut.md says why each. How long a client is waited for, and how many
# there may be, stands in gate/service/limits.py.
WEB_OPTIONS = [
    *("--http", "gate.service.shortcut:ShortcutProtocol", "--loop", "uvloop", "--ws", "none"),
    *("--lifespan", "on", "--no-proxy-headers", "--no-access-log", "--no-server-header"),
    *("--backlog", "4096", "--timeout-graceful-shutdown", "8"),
]


class Interrupted(Exception):
    """Somebody asked us to stop while we were still starting."""


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
            # What they write are logs: whoever's terminal this is, they are UTF-8.
            "PYTHONUTF8": "1",
            "PYTHONIOENCODING": "utf-8:backslashreplace",
        }
        self.environment["SITE_URL"] = os.environ.get("SITE_URL") or f"http://{self.address}"
        self.services: list[Service] = []
        # In the order in which they end, those of one round together.
        self._rounds: list[list[Child]] = []
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
            except OSError as error:
                self.terminal.wrong(f"This cannot be started: {error}.")
                return 1
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
        self._rounds = self._programs()
        programs = [child for together in self._rounds for child in together]
        for child in programs:
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
        for child in programs:
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

    def _programs(self) -> list[list[Child]]:
        """The processes of our own code, in rounds: who gives work ends before who does it."""
        celery = (sys.executable, "-m", "celery", "-A", "config.celery")
        web = self._child(
            "web",
            [
                *(sys.executable, "-m", "uvicorn", *WEB_OPTIONS),
                *("--host", self.host, "--port", str(self.port)),
                "config.asgi:application",
            ],
            patience=10.0,
        )
        beat = self._child(
            "beat",
            [
                *(*celery, "beat", "--loglevel", "INFO", "--pidfile", ""),
                *("--schedule", str(self.data_dir / "beat-schedule")),
            ],
            patience=5.0,
        )
        worker = self._worker("worker", queue="celery", threads=4)
        # Stripe and the mail server may hang: who waits for them holds nobody else up.
        waiting = self._worker("worker-waiting", queue="waiting", threads=8)
        return [[web, beat], [worker, waiting]]

    def _worker(self, name: str, *, queue: str, threads: int) -> Child:
        return self._child(
            name,
            [
                *(sys.executable, "-m", "celery", "-A", "config.celery", "worker"),
                *("--pool", "threads", "--concurrency", str(threads)),
                *("--queues", queue, "--hostname", f"{name}@%h"),
                *("--loglevel", "INFO", "--without-gossip", "--without-mingle"),
            ],
            patience=20.0,
        )

    def _child(self, name: str, command: list[str], *, patience: float) -> Child:
        return Child(name, command, data_dir=self.data_dir, patience=patience, directory=REPOSITORY)

    def _write_services_file(self) -> None:
        urls = {
            "database_url": self.environment["DATABASE_URL"],
            "redis_url": self.environment["REDIS_URL"],
            "site_url": self.environment["SITE_URL"],
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
            said = f"The data could not be prepared (exit code {exit_code})."
            raise CannotStart(_last_words(said, child))
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
                    raise CannotStart(_last_words(service.child.why_it_ended(), service.child))
            if time.monotonic() > deadline:
                web = self._rounds[0][0]
                said = (
                    f"http://{self.address}/readyz answered {answer} for "
                    f"{READY_WITHIN_SECONDS:.0f} s."
                )
                raise CannotStart(_last_words(said, web))
            self._pause(0.05)
            answer = ask_readiness(self.address)

    def _announce(self, admin: dict[str, str | None]) -> None:
        say, strong = self.terminal.say, self.terminal.strong
        say()
        site = self.environment["SITE_URL"].rstrip("/")
        say(f"sansxel runs at {strong(f'{site}/')}")
        say(f"Admin           {site}/admin/")
        say(f"  e-mail        {admin.get('admin_email')}")
        if password := admin.get("admin_password"):
            say(f"  password      {strong(password)}  (a new one at each start, until you sign in)")
        say(f"Data and logs   {self.data_dir}")
        say("Ctrl-C stops everything.")

    # Watching

    def _watch(self) -> int:
        """Keep everything running until somebody asks to stop."""
        bound_logs_at = 0.0
        while not self._asked_to_stop:
            now = time.monotonic()
            for service in self.services:
                service.keep_running(self.terminal, now=now)
            if now >= bound_logs_at:
                bound_logs_at = now + LOGS_BOUNDED_SECONDS
                for service in self.services:
                    service.child.bound_log()
            time.sleep(0.2)
        return 0

    # Stopping

    def _stop(self) -> None:
        """End everything, those who use a server before the server; again and it hurries."""
        asked_before = self._asked_to_stop
        began = time.monotonic()
        if asked_before:
            self.terminal.say()
            self.terminal.say("Stopping …")
        for together in self._rounds:
            for child in together:
                child.ask_to_stop()
            for child in together:
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


def _last_words(said: str, child: Child) -> str:
    return f"{said} The end of {child.log}:\n{child.last_words()}"


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
    except OSError as error:
        terminal.wrong(f"This cannot be started: {error}.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
