"""Child processes that leave nothing behind: they end when their parent ends, however it ends."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

LOG_KEPT_BYTES = 5 * 1024 * 1024
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class CannotStart(Exception):
    """Something needed at start-up did not come up; the message is for whoever started it."""


def private_directory(path: Path) -> Path:
    """Make `path` and what is missing above it, for us alone, and return it."""
    if not path.parent.exists():
        private_directory(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def command_line(pid: int) -> str:
    """What process `pid` was started as, or "" when it does not run."""
    if sys.platform == "linux":
        try:
            return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" "))
        except OSError:
            return ""
    return _ps(pid, "command=")


def identity(pid: int) -> str:
    """Tells process `pid` from a later one that was given the same number; "" when it has ended."""
    if sys.platform == "linux":
        try:
            # The name stands in parentheses and may contain anything, so count from its end.
            stat = Path(f"/proc/{pid}/stat").read_bytes().decode(errors="replace")
            fields = stat.rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in "ZX" else fields[19]
    return _ps(pid, "lstart=")


def _ps(pid: int, column: str) -> str:
    answer = subprocess.run(  # noqa: S603 - two fixed words and a number
        ["ps", "-o", column, "-p", str(pid)],  # noqa: S607 - where it lies differs by system
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return answer.stdout.strip()


def end_process(pid: int, *, stop_signal: int, patience: float) -> None:
    """End a process that need not be our child: ask it, wait `patience` seconds, then kill it."""
    known = identity(pid)
    if not known:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, stop_signal)
    deadline = time.monotonic() + patience
    while identity(pid) == known:
        if time.monotonic() > deadline:
            _kill_group(pid)
            deadline += 5.0
        time.sleep(0.02)


def _kill_group(leader: int) -> None:
    """Kill a child of ours and what it started; each of our children leads a group of its own."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        with contextlib.suppress(ProcessLookupError):
            os.kill(leader, signal.SIGKILL)


class Child:
    """One long-lived child process.

    It has a process group of its own (Ctrl-C in the terminal does not reach it), writes to
    `data_dir`/logs/`name`.log, and is noted in `data_dir`/run/`name`.pid, so that one left over
    by a killed earlier run is ended before a new one starts. Start it from the main thread: on
    Linux it is sent `stop_signal` when the thread that started it ends. What it prints goes to
    `answer` instead of the log where that is given; errors are always logged.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        data_dir: Path,
        stop_signal: signal.Signals = signal.SIGTERM,
        patience: float = 10.0,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        user: tuple[int, int] | None = None,
        answer: IO[bytes] | None = None,
    ) -> None:
        self.name = name
        self.command = [str(part) for part in command]
        self.stop_signal = stop_signal
        self.patience = patience
        self.environment = environment
        self.directory = directory
        self.user = user
        self.answer = answer
        self.log = data_dir / "logs" / f"{name}.log"
        self._note = data_dir / "run" / f"{name}.pid"
        self._process: subprocess.Popen[bytes] | None = None
        self._log_began_at = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """The exit code of a started child that has ended, otherwise None."""
        return self._process.poll() if self._process else None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, again where it has ended; what is left of an earlier one is ended first.

        Without room for its note or its log it is started without. CannotStart when it cannot be.
        """
        self.kill()
        self.end_leftover()
        try:
            private_directory(self.log.parent)
            private_directory(self._note.parent)
            self.bound_log()
            self._process = self._spawn()
        except OSError as error:
            raise CannotStart(f"{self.name} cannot be started: {error}.") from error
        # Only a supervisor that is killed, elsewhere than on Linux, leaves what a note would find.
        with contextlib.suppress(OSError):
            self._note.write_text(f"{self._process.pid} {identity(self._process.pid)}")

    def bound_log(self) -> None:
        """Keep the end of a log that grew too long, in a file beside it.

        The child goes on writing into the same file, which begins anew; what it writes in this
        moment may be missing. On a full disk the log makes room, and nothing of it is kept.
        """
        with contextlib.suppress(OSError):
            if self.log.stat().st_size <= LOG_KEPT_BYTES:
                return
            try:
                with self.log.open("rb") as log:
                    log.seek(-LOG_KEPT_BYTES, os.SEEK_END)
                    self.log.with_suffix(".log.1").write_bytes(log.read(LOG_KEPT_BYTES))
            finally:
                os.truncate(self.log, 0)
                self._log_began_at = 0

    def _spawn(self) -> subprocess.Popen[bytes]:
        uid, gid = self.user or (None, None)
        with self._open_log() as output:
            self._log_began_at = output.tell() if output.seekable() else 0
            return subprocess.Popen(  # noqa: S603 - our own words, and no shell
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=self.answer or output,
                stderr=output,
                cwd=self.directory,
                env=self.environment,
                process_group=0,
                user=uid,
                group=gid,
                extra_groups=None if gid is None else [],
                preexec_fn=_end_with_parent(self.stop_signal),  # noqa: PLW1509 - makes one system call
            )

    def _open_log(self) -> IO[bytes]:
        try:
            return self.log.open("ab")
        except OSError:
            # No room for another file.
            return Path(os.devnull).open("ab")

    def end_leftover(self) -> None:
        """End the process that an earlier run noted and left, if that very process still runs."""
        try:
            pid, _, known = self._note.read_text().partition(" ")
        except OSError:
            return
        # A note that was cut short by a full disk names nobody.
        if known and pid.isdigit() and identity(int(pid)) == known:
            end_process(int(pid), stop_signal=self.stop_signal, patience=self.patience)
        self._note.unlink(missing_ok=True)

    def ask_to_stop(self) -> None:
        if self._process and self.is_running:
            self._process.send_signal(self.stop_signal)

    def stop(self, *, patience: float | None = None) -> bool:
        """End it and what it started; False when it had to be killed after `patience` seconds."""
        if self._process is None:
            return True
        self.ask_to_stop()
        ended_by_itself = True
        try:
            self._process.wait(self.patience if patience is None else patience)
        except subprocess.TimeoutExpired:
            ended_by_itself = False
        self.kill()
        return ended_by_itself

    def kill(self) -> None:
        """End it, and whatever is left of its group, without asking."""
        if self._process is None:
            return
        _kill_group(self._process.pid)
        self._process.wait()
        self._process = None
        self._note.unlink(missing_ok=True)

    def why_it_ended(self) -> str:
        """One sentence, with the last line that it wrote."""
        last = self.last_words(lines=1).strip()[-300:].rstrip(".")
        said = f": {last}" if last else ""
        return f"{self.name} ended by itself (exit code {self.exit_code}){said}."

    def last_words(self, *, lines: int = 15) -> str:
        """The end of what it wrote since its last start."""
        try:
            with self.log.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(self._log_began_at, size - 16_384))
                written = log.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(written.rstrip().splitlines()[-lines:])


def _end_with_parent(stop_signal: int) -> Callable[[], None] | None:
    """For a child to call between fork and exec; elsewhere than on Linux there is no such thing."""
    if _libc is None:
        return None
    libc, parent = _libc, os.getpid()

    def arrange() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(stop_signal), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return arrange
