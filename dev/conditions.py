"""What must hold before anything is started: one folder, one supervisor, a free port."""

import errno
import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.processes import CannotStart, private_directory

REPOSITORY = Path(__file__).resolve().parents[1]
HIGHEST_PORT = 65535


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Hold `data_dir` for ourselves; the lock ends with this process, so it is never stale."""
    with (data_dir / "run.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise CannotStart(
                f"sansxel already runs from DATA_DIR {data_dir} (process {lock.read().strip()}). "
                "Stop that one, or set DATA_DIR to another folder."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def read_data_dir(value: str | None) -> Path:
    """DATA_DIR as an absolute path to a folder that can be written to."""
    data_dir = Path(value).expanduser().resolve() if value else REPOSITORY / ".data"
    try:
        private_directory(data_dir)
        with tempfile.TemporaryFile(dir=data_dir):
            return data_dir
    except OSError as error:
        raise CannotStart(
            f"DATA_DIR {data_dir} cannot be written to ({error.strerror}). "
            "Set DATA_DIR to a folder that can."
        ) from error


def read_port(name: str, *, default: int) -> int:
    """The port that a variable of the environment names; CannotStart where it names none."""
    text = os.environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= HIGHEST_PORT):
        raise CannotStart(f"{name} must be a number from 1 to {HIGHEST_PORT}, and is {text!r}.")
    return int(text)


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(host: str, port: int, *, name: str = "PORT") -> None:
    """Refuse a port that something else listens on, before anything is started.

    name: the variable of the environment that chooses it.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except PermissionError:
        raise CannotStart(
            f"Port {port} may not be used without more rights. Choose another: "
            f"{name}=8000 scripts/run"
        ) from None
    except socket.gaierror:
        raise CannotStart(f"HOST {host!r} is not an address of this machine.") from None
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise CannotStart(f"HOST {host}, {name} {port} cannot be used: {error}.") from error
        another = port + 1 if port < HIGHEST_PORT else 8000
        raise CannotStart(
            f"Port {port} is taken. Stop what uses it, or choose another: "
            f"{name}={another} scripts/run"
        ) from None
