"""Python packages that are only compared with, installed by pip into a folder for PYTHONPATH."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.cache import CannotCompare, kept

_INSTALLED_WITHIN_SECONDS = 120


def packages(name: str, wanted: Sequence[str]) -> Path:
    """A folder with these and nothing that they need besides; the product never sees them."""

    def install(folder: Path) -> None:
        arguments = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
        try:
            subprocess.run(
                [sys.executable, *arguments, "--target", str(folder), *wanted],
                capture_output=True,
                text=True,
                check=True,
                timeout=_INSTALLED_WITHIN_SECONDS,
            )
        except subprocess.CalledProcessError as error:
            raise CannotCompare(error.stderr.strip().splitlines()[-1]) from None
        except subprocess.TimeoutExpired:
            raise CannotCompare("its packages did not arrive within two minutes") from None

    return kept(name, "\n".join((sys.version, *wanted)), make=install)
