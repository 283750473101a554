"""git asks scripts/lint before it commits, with nothing but what is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import checks

REPOSITORY = Path(__file__).resolve().parents[2]
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv*", ".data", ".cache", ".*_cache", "__pycache__", "tests", "docs"
)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository of its own with the project in it, hooks installed."""
    folder = tmp_path / "clone"
    shutil.copytree(REPOSITORY, folder, ignore=NOT_COPIED)
    for command in (
        ["git", "init", "--quiet"],
        ["git", "add", "--all"],
        [sys.executable, "-m", "pre_commit", "install"],
    ):
        run(folder, *command).check_returncode()
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, far from the settings of whoever runs the tests."""
    somebody = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Somebody"), ("EMAIL", "somebody@example.com"))
    }
    unwanted = {"GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"}
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    environment |= somebody | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "PRE_COMMIT_HOME": str(folder.parent / "pre-commit"),
        "VENV": sys.prefix,
    }
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_a_commit_with_findings_is_stopped_until_they_are_mended(clone: Path) -> None:
    lua, python = clone / "gate/store/lua/clock.lua", clone / "gate/terms/addresses.py"
    good = {path: path.read_text() for path in (lua, python)}
    lua.write_text(good[lua].replace("return now, ", "return  now,"))
    python.write_text(good[python] + "\n\nimport keys.models\n")
    run(clone, "git", "add", "--all")

    stopped = run(clone, "git", "commit", "--message", "Odd")
    assert stopped.returncode != 0
    says = stopped.stdout + stopped.stderr
    assert "clock.lua:9: is not formatted" in says
    assert "E402" in says
    assert "gate.terms.addresses -> keys.models" in says
    assert "http" not in says

    for path, text in good.items():
        path.write_text(text)
    run(clone, "git", "add", "--all")
    committed = run(clone, "git", "commit", "--message", "Good")
    assert committed.returncode == 0, committed.stdout + committed.stderr


def test_a_hook_asks_for_a_check_that_there_is() -> None:
    with pytest.raises(SystemExit, match=r"no check 'luac'.*ruff check.*lua"):
        checks.chosen(["luac"])
    assert [check.name for check in checks.chosen(["lua", "mypy"])] == ["lua", "mypy"]
    assert checks.chosen([]) == checks.checks()
