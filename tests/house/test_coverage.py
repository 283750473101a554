"""scripts/test --coverage notes lines in whatever the tests start, and says what share was run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import coverage_table
import rooms

REPOSITORY = Path(__file__).resolve().parents[2]
WEEK = "gate/terms/week.py"
RUNS_A_LINE = "from gate.terms import week; week.starts_ms(1)"
STARTS_ANOTHER = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {RUNS_A_LINE!r}])"


@pytest.mark.parametrize("code", [RUNS_A_LINE, STARTS_ANOTHER])
def test_a_process_leaves_the_lines_that_it_ran(tmp_path: Path, code: str) -> None:
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env=os.environ
        | {
            "COVERAGE_FOLDER": str(tmp_path),
            "PYTHONPATH": str(REPOSITORY / "scripts" / "measuring"),
        },
        check=True,
    )
    run, known = coverage_table.read(tmp_path), coverage_table.known()
    source = (REPOSITORY / WEEK).read_text().splitlines()
    ran = {number for number in known[WEEK] if source[number - 1].startswith("    return")}
    assert run[WEEK] < known[WEEK]
    assert len(run[WEEK] & ran) == 1


def test_every_room_stands_in_the_table_and_the_modules_that_were_run_least() -> None:
    known = {"gate/terms/week.py": {1, 2, 3, 4}, "gate/asgi.py": {1}, "quotas/usage.py": {1, 2}}
    run = {"gate/terms/week.py": {1, 2, 3}, "quotas/usage.py": {1, 2}, "gone.py": {1}}
    rows = [row.split() for row in coverage_table.table(known, run)]
    assert rows == [
        ["room", "lines", "run"],
        ["gate", "1", "0.0%"],
        ["gate/terms", "4", "75.0%"],
        ["quotas", "2", "100.0%"],
        ["all", "7", "71.4%"],
        ["lowest", "modules"],
        ["gate/asgi.py", "1", "0.0%"],
        ["gate/terms/week.py", "4", "75.0%"],
        ["quotas/usage.py", "2", "100.0%"],
    ]


def test_every_module_that_is_never_run_counts_too() -> None:
    known = coverage_table.known()
    assert {rooms.room_of(name) for name in known} == set(rooms.rooms())
    assert not [name for name in known if "/migrations/" in name]
