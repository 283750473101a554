"""Nothing ends because a terminal, or the language settings, know no UTF-8."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dev.conditions import REPOSITORY
from tests.running_site import RunningSite, environment, free_port

NO_UTF8 = {"PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""}
ASCII = {**NO_UTF8, "LC_ALL": "C"}
LANGUAGES = {
    "C": ASCII,
    "POSIX": {**NO_UTF8, "LC_ALL": "POSIX"},
    "an ASCII terminal": {**NO_UTF8, "PYTHONIOENCODING": "ascii"},
    "a Latin-1 terminal": {**NO_UTF8, "PYTHONIOENCODING": "latin-1"},
}
SAYS = "print('“x” … ✓')\n"
every_language = pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)


def run(*command: str | Path, **more: str) -> subprocess.CompletedProcess[bytes]:
    """A program of ours, as somebody with such language settings starts it."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=REPOSITORY,
        env={**os.environ, **more},
        capture_output=True,
        timeout=120,
        check=False,
    )


@every_language
def test_what_a_script_says_and_starts_never_fails_at_a_letter(
    language: dict[str, str], tmp_path: Path
) -> None:
    started = tmp_path / "started.py"
    started.write_text(f"{SAYS}print(open({str(started)!r}).read())\n", encoding="utf-8")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(REPOSITORY / 'scripts')!r})\n"
        f"import interpreter\ninterpreter.require()\n{SAYS}"
        f"import environment\nenvironment.replace_by(sys.executable, {str(started)!r})\n",
        encoding="utf-8",
    )
    ended = run(sys.executable, script, **language)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count(b"?x?") == 3


@pytest.mark.slow
@every_language
def test_the_first_start_makes_its_environment_until_packages_are_needed(
    language: dict[str, str], tmp_path: Path
) -> None:
    ended = run(
        *(sys.executable, "scripts/run"),
        **{**language, "VENV": str(tmp_path / "fresh"), "PIP_NO_INDEX": "1"},
    )
    assert b"Making the environment" in ended.stdout
    assert b"The packages could not be installed" in ended.stderr
    assert b"UnicodeEncodeError" not in ended.stderr


@pytest.mark.slow
def test_a_site_starts_and_stops_in_a_folder_with_a_foreign_name(tmp_path: Path) -> None:
    site = RunningSite(tmp_path / "Dåtà", is_measured=False, **ASCII)
    try:
        site.until_ready()
        assert site.status("/readyz") == 200
    finally:
        assert site.end() == 0
    assert re.search(r"\? PostgreSQL 18 ready", site.printed)
    assert "Traceback" not in site.printed


@every_language
def test_a_command_says_what_it_can(language: dict[str, str], tmp_path: Path) -> None:
    command = tmp_path / "command.py"
    command.write_text(
        # The folder of a script is looked through, and here that is the one of the command.
        "import runpy, sys\nsys.path.insert(0, '')\nimport django.core.management as management\n"
        f"def say(_):\n    {SAYS}"
        "management.execute_from_command_line = say\n"
        "runpy.run_path('manage.py', run_name='__main__')\n",
        encoding="utf-8",
    )
    ended = run(sys.executable, command, **environment(tmp_path, free_port(), **language))
    assert ended.returncode == 0, ended.stderr
    assert b"x" in ended.stdout
