"""What production does without."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.site.test_settings import PRODUCTION, REPOSITORY

LOOK = """
import sys
import config.{process}
print(*sys.modules)
"""


def imported_by(process: str, tmp_path: Path) -> set[str]:
    """The names of all modules that one of our processes imports."""
    looked = subprocess.run(
        [sys.executable, "-c", LOOK.format(process=process)],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), **PRODUCTION},
        capture_output=True,
        text=True,
        check=False,
    )
    assert looked.returncode == 0, looked.stderr
    return set(looked.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize("process", ["asgi", "wsgi"])
def test_production_imports_neither_the_sandbox_nor_what_is_for_development(
    process: str, tmp_path: Path
) -> None:
    packages = {name.partition(".")[0] for name in imported_by(process, tmp_path)}
    assert packages & {"dev", "jinja2", "stripe_sandbox"} == set()


@pytest.mark.slow
def test_the_gate_imports_no_pages(tmp_path: Path) -> None:
    imported = imported_by("asgi", tmp_path)
    ours = {"accounts", "billing", "config", "keys", "partitions", "quotas"}
    of_pages = {"admin", "context", "forms", "pages", "templatetags", "urls", "views"}
    assert {
        name
        for name in imported
        if name.partition(".")[0] in ours and of_pages & set(name.split("."))
    } == set()
    assert {
        name
        for name in imported
        if name.startswith(("django.contrib.admin", "django.contrib.sessions"))
        or name.partition(".")[0] in {"allauth", "stripe", "whitenoise", "billing"}
    } == set()
