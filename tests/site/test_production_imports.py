"""What production does without."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.site.test_settings import PRODUCTION, REPOSITORY

LOOK = """
import sys
import config.asgi
import config.urls
found = {name.partition(".")[0] for name in sys.modules}
print(*sorted(found & {"dev", "jinja2", "stripe_sandbox"}))
"""


@pytest.mark.slow
def test_production_imports_neither_the_sandbox_nor_what_is_for_development(tmp_path: Path) -> None:
    looked = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), **PRODUCTION},
        capture_output=True,
        text=True,
        check=False,
    )
    assert looked.returncode == 0, looked.stderr
    assert looked.stdout.strip() == ""
