"""The two faces of the site, made of packages with free licences when static files are collected.

A package holds a face whole, with every weight and sign. Browsers get a part of it: the weights
that pages use, and the signs of a few languages a file, of which they ask for those they need
(`unicode-range`, in `static/css/faces.css`). The licences stand beside them.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage
from fontTools import subset
from fontTools.varLib import instancer

_FOLDER = "faces"

# Ranges as CSS spells them; `static/css/faces.css` says the same, and a test compares.
WESTERN = (
    "U+0020-007E, U+00A0-00FF, U+0131, U+0152-0153, U+02C6, U+02DA, U+02DC, U+2009, U+200A, "
    "U+2010-2015, U+2018-201E, U+2020-2022, U+2026, U+202F, U+2030, U+2032-2033, U+2039-203A, "
    "U+20AC, U+2122, U+2190-2193, U+2212, U+2248, U+2264-2265"
)
CENTRAL = "U+0100-0130, U+0132-0151, U+0154-017F, U+0218-021B, U+1E00-1EFF"
GREEK_AND_CYRILLIC = "U+0370-03FF, U+0400-045F, U+0490-0491"


@dataclass(frozen=True, slots=True)
class Face:
    """One file that browsers load.

    package, source: where the whole face is. axes: of the variable face, a value or a range each.
    features: of OpenType, that stay; ranges: signs, as CSS spells them.
    """

    name: str
    package: str
    source: str
    axes: Mapping[str, float | tuple[float, float]]
    features: tuple[str, ...]
    ranges: str

    @property
    def made_of(self) -> str:
        """Tells this file from one made in another way or of another release."""
        return f"{self} {distribution(self.package).version} {distribution('fonttools').version}"


def _text(name: str, ranges: str) -> Face:
    return Face(
        name,
        "fontpkg-bricolage-grotesque",
        "fontpkg_bricolage_grotesque/files/BricolageGrotesque[opsz,wdth,wght].ttf",
        {"opsz": 18, "wdth": 100, "wght": (400, 700)},
        ("ccmp", "kern", "liga", "locl", "mark", "mkmk"),
        ranges,
    )


def _mono(name: str, ranges: str) -> Face:
    # Without its ligatures: an arrow in a command is two signs that somebody types.
    return Face(
        name,
        "fontpkg-jetbrains-mono",
        "fontpkg_jetbrains_mono/files/JetBrainsMono[wght].ttf",
        {"wght": (400, 600)},
        ("ccmp", "locl", "mark"),
        ranges,
    )


FACES = (
    _text("bricolage-grotesque-western", WESTERN),
    _text("bricolage-grotesque-central", CENTRAL),
    _mono("jetbrains-mono-western", WESTERN),
    _mono("jetbrains-mono-central", CENTRAL),
    _mono("jetbrains-mono-greek-and-cyrillic", GREEK_AND_CYRILLIC),
)


class FacesFinder(BaseFinder):
    """Finds what `FACES` says, made once and kept in `FACES_DIR`, and the licences."""

    @cached_property
    def storage(self) -> FileSystemStorage:
        """Where the files are, once they are made."""
        return FileSystemStorage(location=_made())

    def check(self, **_: Any) -> list[Any]:
        """Nothing can be set wrong: what is missing fails when it is made."""
        return []

    # `all` is how older releases of Django call `find_all`.
    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        """Where a file is; with find_all, or where there is none, a list of places."""
        wants_all = find_all or kwargs.get("all", False)
        if not path.startswith(f"{_FOLDER}/"):
            return []
        found = self.storage.path(path)
        if not Path(found).is_file():
            return []
        return [found] if wants_all else found

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Any]]:
        """Every file, with where it is."""
        for path in sorted(Path(self.storage.location, _FOLDER).iterdir()):
            yield f"{_FOLDER}/{path.name}", self.storage


def _made() -> Path:
    """The folder that has all files of this release, made if need be."""
    digest = hashlib.sha256("\n".join(face.made_of for face in FACES).encode()).hexdigest()
    folder = Path(settings.FACES_DIR) / digest[:16]
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            making = Path(name) / "made"
            _make(making / _FOLDER)
            _put(making, folder)
    return folder


def _put(made: Path, folder: Path) -> None:
    """Bring a whole folder to its place; another process may have been as quick."""
    try:
        made.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _make(folder: Path) -> None:
    folder.mkdir(parents=True)
    for face in FACES:
        _subset(face, folder / f"{face.name}.woff2")
    for package in {face.package for face in FACES}:
        licence = distribution(package).read_text("licenses/LICENSE")
        if licence is None:
            raise FileNotFoundError(f"{package} came without its licence")
        (folder / f"{package.removeprefix('fontpkg-')}-license.txt").write_text(licence)


def _subset(face: Face, path: Path) -> None:
    options = subset.Options()
    options.flavor = "woff2"
    options.hinting = False
    options.layout_features = list(face.features)
    source = distribution(face.package).locate_file(face.source)
    # In place: a copy would read the file by itself, and leave it open.
    with subset.load_font(str(source), options) as font:
        cut = subset.Subsetter(options)
        cut.populate(unicodes=signs(face.ranges))
        cut.subset(font)
        instancer.instantiateVariableFont(font, dict(face.axes), inplace=True)
        subset.save_font(font, str(path), options)


def signs(ranges: str) -> set[int]:
    """The code points of ranges as CSS spells them."""
    found: set[int] = set()
    for one in ranges.split(","):
        first, _, last = one.strip().removeprefix("U+").partition("-")
        found.update(range(int(first, 16), int(last or first, 16) + 1))
    return found
