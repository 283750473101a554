"""Packages of others that are only compared with: kept outside of this tree."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path


class CannotCompare(Exception):
    """What we would be compared with is not to be had here; the message says why."""


def kept(name: str, wanted: str, *, make: Callable[[Path], None]) -> Path:
    """The folder in which what is wanted was installed, now or earlier.

    wanted: what it depends on, as text. make: installs into an empty folder; CannotCompare.
    """
    digest = hashlib.sha256(wanted.encode()).hexdigest()[:12]
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = caches / "sansxel" / f"bench-{name}-{digest}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside its place, so that an interruption leaves no half.
        with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
            made = Path(unfinished) / "made"
            made.mkdir()
            make(made)
            made.rename(folder)
    return folder
