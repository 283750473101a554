"""What the embedded servers have in common: a folder, a socket, and one process that holds them."""

import signal
from abc import ABC, abstractmethod
from pathlib import Path

from dev.embedded import sockets
from dev.parts import Part
from dev.processes import Child, command_line, end_process, private_directory

PATIENCE_SECONDS = 20.0


class EmbeddedServer(Part, ABC):
    """A server on a Unix socket, with its data in a folder below `data_dir`.

    It may be started as a part of a site or, with `start` or `with`, alone.
    """

    def __init__(
        self,
        name: str,
        *,
        data_dir: Path | str,
        socket_name: str,
        title: str,
        ready_within_seconds: float,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.data_dir = Path(data_dir).resolve()
        self.home = self.data_dir / name
        self.sockets = sockets.directory(self.home, socket_name)
        child = Child(
            name,
            [],
            data_dir=self.data_dir,
            stop_signal=stop_signal,
            patience=PATIENCE_SECONDS,
            directory=self.home,
        )
        super().__init__(
            child,
            ready_within_seconds=ready_within_seconds,
            # It writes down what it has acknowledged, however little patience somebody has.
            hurries=False,
            title=title,
            ready_text=f"{title} ready",
        )

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is reached."""

    @abstractmethod
    def command(self) -> list[str | Path]:
        """The program and its arguments."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves."""

    @property
    @abstractmethod
    def pid_file(self) -> Path:
        """Where the server itself writes its number."""

    def prepare(self) -> None:
        private_directory(self.home)
        sockets.own(self.sockets, *(self.child.user or ())[:1])
        self.child.command = [str(part) for part in self.command()]
        self.child.end_leftover()
        self._end_unnoted_leftover()

    def why_not_ready(self) -> str:
        return "" if self.answers() else f"{self.title} did not answer"

    def tidy(self) -> None:
        sockets.forget(self.sockets)

    def _end_unnoted_leftover(self) -> None:
        """End a server that still holds the data; forget a process number that means another."""
        try:
            pid = int(self.pid_file.read_bytes().split(maxsplit=1)[0])
        except (OSError, ValueError, IndexError):
            return
        if str(self.home) in command_line(pid):
            end_process(pid, stop_signal=self.child.stop_signal, patience=self.child.patience)
        self.pid_file.unlink(missing_ok=True)
