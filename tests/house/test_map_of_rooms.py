"""CONTRIBUTING's map shows every room, and none that is gone."""

import re
from pathlib import Path

import pytest

import rooms

REPOSITORY = Path(__file__).resolve().parents[2]
CONTRIBUTING = REPOSITORY / "CONTRIBUTING.md"
ROW = re.compile(r"^\| ((?:`[\w/]+/`(?:, )?)+) \| (.+) \|$", re.MULTILINE)
QUOTED = re.compile(r"`([\w/.]+)`")


def shown(text: str) -> dict[str, str]:
    """What a map says of each folder."""
    return {
        folder.rstrip("/"): says
        for folders, says in ROW.findall(text)
        for folder in QUOTED.findall(folders)
    }


def not_shown(text: str) -> set[str]:
    """Rooms that a map lacks."""
    return set(rooms.rooms()) - shown(text).keys()


def not_there(text: str) -> set[str]:
    """What a map shows and is gone: folders, and modules in what it says of a room."""
    gone = {folder for folder in shown(text) if not (REPOSITORY / folder).is_dir()}
    modules = {
        (folder, name)
        for folder in shown(text).keys() - gone
        for name in QUOTED.findall(shown(text)[folder])
        # Classes are not looked for.
        if name == name.lower()
    }
    return gone | {f"{folder}/{name}" for folder, name in modules if not _is_in(folder, name)}


def _is_in(folder: str, name: str) -> bool:
    module = name.split(".", maxsplit=1)[0]
    inside = REPOSITORY / folder
    is_path = (inside / name).exists() or (REPOSITORY / name).exists()
    return is_path or any(inside.rglob(f"{module}.py"))


def test_every_room_is_shown() -> None:
    assert not_shown(CONTRIBUTING.read_text()) == set()


def test_everything_shown_is_there() -> None:
    assert not_there(CONTRIBUTING.read_text()) == set()


@pytest.mark.parametrize(
    ("written", "instead", "lacks", "gone"),
    [
        ("| `gate/store/` |", "| `gate/stores/` |", {"gate/store"}, {"gate/stores"}),
        ("| `quotas/` |", "| `counts/` |", {"quotas"}, {"counts"}),
        ("`key_text`", "`digest`", set(), {"gate/terms/digest"}),
        ("`lua/`", "`moon/`", set(), {"gate/store/moon/"}),
    ],
)
def test_a_map_that_is_out_of_date_is_found(
    written: str, instead: str, lacks: set[str], gone: set[str]
) -> None:
    text = CONTRIBUTING.read_text()
    assert written in text
    assert not_shown(text.replace(written, instead)) == lacks
    assert not_there(text.replace(written, instead)) == gone
