"""The site does not start on a Valkey that may forget."""

import subprocess
import sys
from pathlib import Path

import pytest

from dev.conditions import REPOSITORY
from tests.faults.conftest import database_url
from tests.faults.servers import Valkey
from tests.running_site import environment, free_port

pytestmark = pytest.mark.slow


def _start(data_dir: Path, redis_url: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import config.asgi"],
        cwd=REPOSITORY,
        env=environment(
            data_dir, free_port(), DATABASE_URL=database_url(), REDIS_URL=redis_url, **more
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"appendonly": "no"}, "it has no append-only file (set appendonly yes)"),
        (
            {"maxmemory-policy": "allkeys-lru"},
            "it may evict keys (set maxmemory-policy noeviction)",
        ),
        (
            {"appendfsync": "everysec"},
            "it may lose acknowledged writes (set appendfsync always)",
        ),
    ],
)
def test_it_says_no_to_a_server_that_may_forget(
    options: dict[str, str], sentence: str, plans: None, tmp_path: Path
) -> None:
    with Valkey(tmp_path, **options) as forgetful:
        refused = _start(tmp_path / "web", forgetful.url)
    assert refused.returncode != 0
    said = refused.stderr.strip().splitlines()[-1]
    assert said.startswith("django.core.exceptions.ImproperlyConfigured: REDIS_URL names")
    assert sentence in said
    assert "ALLOW_FORGETFUL_REDIS=yes" in said


def test_development_may_allow_it_and_is_warned(plans: None, tmp_path: Path) -> None:
    with Valkey(tmp_path, appendonly="no") as forgetful:
        started = _start(tmp_path / "web", forgetful.url, ALLOW_FORGETFUL_REDIS="yes")
    assert started.returncode == 0, started.stderr
    assert "WARNING quotas.epochs: REDIS_URL names a server that forgets" in started.stderr


def test_a_server_that_still_loads_is_not_taken_for_one_that_forgets(
    plans: None, tmp_path: Path
) -> None:
    with Valkey(tmp_path) as loading:
        loading.fill(1_000)
        loading.kill()
        loading.start_loading(key_load_delay="10000", loading_process_events_interval_bytes="1024")
        started = _start(tmp_path / "web", loading.url)
        assert loading.is_loading, "it had loaded before it was asked"
        loading.kill()
    assert started.returncode == 0, started.stderr
    assert "Valkey is away: BusyLoadingError" in started.stderr
