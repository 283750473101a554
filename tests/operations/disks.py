"""Small disks that a test may fill: tmpfs in a mount namespace, which needs no root."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path


def behind(folders: Sequence[Path], *, megabytes: int) -> list[str]:
    """A command that mounts a small disk at each folder and becomes what follows it."""
    mounts = "".join(
        f'mkdir -p "{folder}"; mount -t tmpfs -o size={megabytes}m,mode=0711 disk "{folder}" && '
        for folder in folders
    )
    if os.geteuid() == 0:
        return ["unshare", "--mount", "sh", "-c", f'{mounts} exec "$@"', "sh"]
    # Root only to mount, then the very user again: PostgreSQL refuses to be root.
    back = f"exec unshare --user --map-user={os.geteuid()} --map-group={os.getegid()}"
    return [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        f'{mounts} {back} "$@"',
        "sh",
    ]


def why_not(folder: Path) -> str:
    """Why there can be no small disk here; empty when there can."""
    try:
        tried = subprocess.run(
            [*behind([folder], megabytes=1), "true"], capture_output=True, text=True, check=False
        )
    except OSError as error:
        return str(error)
    return "" if tried.returncode == 0 else tried.stderr.strip() or "it failed"


class Disk:
    """One of those disks, as the process that sees it does."""

    def __init__(self, pid: int, folder: Path) -> None:
        self.folder = Path(f"/proc/{pid}/root{folder}")
        self._ballast = self.folder / "ballast"

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Not a byte fits on it until the end of the block."""
        with self._ballast.open("wb", buffering=0) as ballast:
            with contextlib.suppress(OSError):
                while True:
                    ballast.write(bytes(4096))
            try:
                yield
            finally:
                self._ballast.unlink()
