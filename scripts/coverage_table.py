"""Say which share of our lines the tests ran, by room, and in which modules it is lowest.

    python scripts/coverage_table.py FOLDER

The folder holds what `measuring/sitecustomize.py` left there. Nothing fails for a low share: a
number that must be reached is reached by bad tests.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import slipcover

import rooms

LOWEST = 10
Lines = Mapping[str, set[int]]


def known() -> Lines:
    """The lines of every module that can be run, by its path from the repository."""
    notes = slipcover.Slipcover(source=rooms.packages(), omit=["*/migrations/*"])
    files = notes.get_coverage()["files"].items()
    return {name: {*file["executed_lines"], *file["missing_lines"]} for name, file in files}


def read(folder: Path) -> Lines:
    """The lines that were run by any process that left notes in a folder."""
    run = defaultdict(set)
    for path in folder.glob("*.json"):
        for name, lines in json.loads(path.read_text()).items():
            run[name].update(lines)
    return run


def table(known: Lines, run: Lines) -> Iterator[str]:
    """The lines of the table."""
    by_room: dict[str, list[str]] = defaultdict(list)
    for name, lines in known.items():
        if lines:
            by_room[rooms.room_of(name)].append(name)
    names = sorted(name for inside in by_room.values() for name in inside)

    def count(inside: Sequence[str]) -> int:
        return sum(len(known[name]) for name in inside)

    def share(inside: Sequence[str]) -> float:
        return sum(len(known[name] & run.get(name, set())) for name in inside) / count(inside)

    def row(title: str, inside: Sequence[str]) -> str:
        return f"  {title:<40}{count(inside):>8}{share(inside):>9.1%}"

    yield f"  {'room':<40}{'lines':>8}{'run':>9}"
    yield from (row(room, by_room[room]) for room in sorted(by_room))
    yield row("all", names)
    yield "  lowest modules"
    yield from (
        row(name, [name]) for name in sorted(names, key=lambda name: share([name]))[:LOWEST]
    )


if __name__ == "__main__":
    print("\nWhich lines the tests ran, without those that measure time:")
    print("\n".join(table(known(), read(Path(sys.argv[1])))))
