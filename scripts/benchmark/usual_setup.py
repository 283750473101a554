"""Getting the usual choice ready beside the site: its packages, its tables, its keys."""

import json
import subprocess
import sys
from pathlib import Path

from dev.conditions import REPOSITORY

PACKAGES = (
    "djangorestframework==3.18.3",
    "djangorestframework-api-key==3.1.0",
    "packaging==26.3",
)
_KEYS = 1_000


class CannotCompare(Exception):
    """The usual choice is not to be had here; the message says why."""


def install_usual(folder: Path) -> Path:
    """The folder that its packages are in, for PYTHONPATH; the product never sees them."""
    # Without what they need besides: Django is the site's own.
    arguments = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
    try:
        subprocess.run(
            [sys.executable, *arguments, "--target", str(folder), *PACKAGES],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
    except subprocess.CalledProcessError as error:
        raise CannotCompare(error.stderr.strip().splitlines()[-1]) from None
    except subprocess.TimeoutExpired:
        raise CannotCompare("its packages did not arrive within two minutes") from None
    return folder


def make_usual_keys(environment: dict[str, str]) -> tuple[str, ...]:
    """Its tables in the site's database, and keys."""
    made = subprocess.run(
        [sys.executable, "-m", "benchmark.usual", str(_KEYS)],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if made.returncode:
        raise CannotCompare((made.stderr.strip().splitlines() or ["it ended"])[-1])
    return tuple(json.loads(made.stdout))
