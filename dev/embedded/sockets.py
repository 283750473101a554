"""Folders for Unix sockets, whose paths must be short."""

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path

from dev.processes import CannotStart, private_directory

# The shortest limit among the systems that we support: 104 bytes with the closing zero.
LONGEST_PATH = 103


def directory(preferred: Path, name: str) -> Path:
    """`preferred`, or a short private folder that stands for it where its path is too long."""
    if len(os.fsencode(preferred / name)) <= LONGEST_PATH:
        return preferred
    digest = hashlib.sha256(os.fsencode(preferred)).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"sansxel-{os.geteuid()}-{digest}"
    if len(os.fsencode(short / name)) > LONGEST_PATH:
        # Another user's folder of that name is refused before it is used.
        short = Path("/tmp") / short.name  # noqa: S108
    return short


def own(folder: Path, *others: int) -> None:
    """Make the folder; refuse one that somebody else than we or `others` made before us."""
    private_directory(folder)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in {os.geteuid(), *others}:
        raise CannotStart(f"{folder} belongs to somebody else. Set DATA_DIR to another folder.")


def forget(folder: Path) -> None:
    """Remove a short folder that stood for a long path; one that holds something stays."""
    if folder.name.startswith("sansxel-"):
        with contextlib.suppress(OSError):
            folder.rmdir()
