"""Notes which lines of ours run, in every Python that starts with this folder in its path.

`scripts/test --coverage` puts it there, for the tests and for all that they start. Each process
leaves a file in COVERAGE_FOLDER when it ends: {path from the repository: [numbers of lines]}. One
that is killed leaves nothing.

SlipCover builds its notes into the code. On Python 3.11 a tracer, as coverage.py has, would cost
more than a third of the time that the tests take.
"""

import atexit
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
# It would take a line's notes out again once they are made, while other threads run that line.
NEVER = 2**31 - 1


def begin(folder: Path) -> None:
    """Note lines from now on."""
    try:
        import slipcover  # noqa: PLC0415 - only where lines are noted
    except ImportError:
        # The Python that makes the environment is outside of it, and runs nothing of ours.
        return

    class Notes(slipcover.Slipcover):  # type: ignore[misc]  # SlipCover has no types
        """Of ours no line is excepted. It would read each file again, as the language settings
        say, to look for such lines, and some processes are started with settings without UTF-8."""

        def _filter_excluded_lines(self, files: object) -> None:
            pass

    packages = [str(path.parent) for path in REPOSITORY.glob("*/__init__.py")]
    notes = Notes(source=[], d_miss_threshold=NEVER)
    matcher = slipcover.FileMatcher(sources=packages, omit=["*/migrations/*"])
    slipcover.ImportManager(notes, matcher).__enter__()
    atexit.register(leave, notes.get_coverage, folder)


def leave(get_coverage: Callable[[], Any], folder: Path) -> None:
    """Leave what was noted, whole or not at all."""
    # It tells paths from here, and the folder that we were in may be gone.
    os.chdir(REPOSITORY)
    lines = {name: file["executed_lines"] for name, file in get_coverage()["files"].items()}
    if lines:
        folder.mkdir(parents=True, exist_ok=True)
        # Numbers of processes come again.
        name = f"{os.getpid()}-{time.time_ns()}"
        unfinished = folder / f"{name}.unfinished"
        unfinished.write_text(json.dumps(lines))
        unfinished.rename(folder / f"{name}.json")


if os.environ.get("COVERAGE_FOLDER"):
    begin(Path(os.environ["COVERAGE_FOLDER"]))
