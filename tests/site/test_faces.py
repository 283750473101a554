"""The faces that pages are set in: cut to what is used, with their licences."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from fontTools.ttLib import TTFont

from config.faces import FACES, FacesFinder, signs

STYLES = Path(settings.BASE_DIR, "static/css/faces.css").read_text()
# What every page loads, both together.
AT_MOST_BYTES = 50_000


@pytest.fixture(scope="module")
def files() -> dict[str, Path]:
    finder = FacesFinder()
    return {name: Path(storage.path(name)) for name, storage in finder.list(None)}


def test_what_every_page_loads_is_small(files: dict[str, Path]) -> None:
    western = [path for name, path in files.items() if name.endswith("-western.woff2")]
    assert len(western) == 2
    assert sum(path.stat().st_size for path in western) < AT_MOST_BYTES


def test_styles_name_every_file_with_the_signs_that_it_has(files: dict[str, Path]) -> None:
    said = {
        name: signs(ranges)
        for name, ranges in re.findall(
            r"faces/([\w-]+)\.woff2.*?unicode-range:\s*([^;]+);", STYLES, re.DOTALL
        )
    }
    assert said == {face.name: signs(face.ranges) for face in FACES}
    for face in FACES:
        has = set(TTFont(files[f"faces/{face.name}.woff2"]).getBestCmap())
        assert has <= signs(face.ranges), face.name
        assert len(has) > 50, face.name


def test_every_sign_that_pages_have_is_in_a_face(files: dict[str, Path]) -> None:
    western = set(TTFont(files["faces/bricolage-grotesque-western.woff2"]).getBestCmap())
    for sign in "“”‘’·…–—×→↑ÄÖÜäöüßéñ€&$0123456789":
        assert ord(sign) in western, sign


def test_licences_stand_beside_the_faces(files: dict[str, Path]) -> None:
    for name in ("bricolage-grotesque", "jetbrains-mono"):
        assert "SIL OPEN FONT LICENSE" in files[f"faces/{name}-license.txt"].read_text().upper()


def test_nothing_else_is_found_by_it(files: dict[str, Path]) -> None:
    finder = FacesFinder()
    assert finder.find("css/tokens.css") == finder.find("faces/nobody.woff2") == []
    name = "faces/jetbrains-mono-western.woff2"
    assert finder.find(name) == str(files[name])
    assert finder.find(name, find_all=True) == [str(files[name])]
