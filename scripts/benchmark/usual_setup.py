"""Getting the usual choice ready beside the site: its packages, its tables, its keys."""

import json
import subprocess
import sys
from pathlib import Path

from benchmark.cache import CannotCompare
from benchmark.python_packages import packages
from dev.conditions import REPOSITORY

# Without what they need besides: Django is the site's own.
_PACKAGES = (
    "djangorestframework==3.18.3",
    "djangorestframework-api-key==3.1.0",
    "packaging==26.3",
)
_KEYS = 1_000


def install_usual() -> Path:
    """The folder that its packages are in, for PYTHONPATH; the product never sees them."""
    return packages("usual", _PACKAGES)


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
