"""The words of other languages: written in `locale/`, and compiled once for a release."""

import hashlib
from importlib.metadata import version
from pathlib import Path


def catalogues(source: Path) -> list[Path]:
    """Every file of words, `<language>/LC_MESSAGES/<domain>.po`."""
    return sorted(source.glob("*/LC_MESSAGES/*.po"))


def folder_of_compiled(source: Path, *, within: Path) -> Path:
    """Where the words of `source` are once they are compiled: another folder for other words."""
    digest = hashlib.sha256(version("babel").encode())
    for path in catalogues(source):
        digest.update(f"\0{path.relative_to(source).as_posix()}\0".encode() + path.read_bytes())
    return within / digest.hexdigest()[:16]
