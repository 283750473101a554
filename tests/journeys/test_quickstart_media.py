"""The quickstart's examples of pictures, speech and looking, run on a site with the demo model."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journeys.test_quickstart import MAKE_KEY, example, run
from tests.running_site import RunningSite

pytestmark = pytest.mark.slow

Runs = Callable[[str], str]


@pytest.fixture(params=["curl", "python", "javascript"])
def runs(
    request: pytest.FixtureRequest,
    site: RunningSite,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Runs:
    """Runs an example in a language, in a folder of its own; answers what it printed."""
    program, ending = {
        "curl": ("curl", ""),
        "python": (sys.executable, "-py"),
        "javascript": ("node", "-js"),
    }[request.param]
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program} here")
    key = site.manage("shell", "--no-imports", "--command", MAKE_KEY).splitlines()[-1]
    monkeypatch.chdir(tmp_path)

    def running(code_id: str) -> str:
        code = example(site, f"{code_id}{ending}")
        if not ending:
            return run(["sh", "-c", code], key)
        path = tmp_path / ("example.py" if ending == "-py" else "example.mjs")
        path.write_text(code)
        return run([program, str(path)], key)

    return running


def test_a_picture_and_a_sound_are_kept_as_files(runs: Runs, tmp_path: Path) -> None:
    runs("q-image")
    runs("q-voice")
    for name in ("picture", "speech"):
        assert (tmp_path / name).stat().st_size > 100


def test_the_models_and_what_is_left_are_printed(runs: Runs) -> None:
    assert "sansxel-chat" in runs("q-models")
    assert "credits_per_chat" in runs("q-quota")
