"""Older code beside newer data says so and stops, before it has changed anything."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

import config
from config import release
from config.models import Installation
from dev.conditions import REPOSITORY
from quotas.models.plans import Plan
from tests.faults.conftest import database_url
from tests.running_site import environment, free_port

CELERY = ("-m", "celery", "-A", "config.celery")


def migrated_later() -> None:
    """A later release was here, and had one migration more."""
    MigrationRecorder(connection).record_applied("quotas", "9999_more_of_it")


def prepared_by(version: str, *, works_beside: str) -> None:
    """A release was here and left its row."""
    Installation.objects.update_or_create(
        pk=1, defaults={"release": version, "works_beside": works_beside}
    )


def start(data_dir: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Start a process of the site on the tests' database, and wait until it ends."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=REPOSITORY,
        env={**environment(data_dir, free_port(), DATABASE_URL=database_url()), **_valkey()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _valkey() -> dict[str, str]:
    return {"REDIS_URL": "unix:///nonexistent/valkey.sock"}


def test_a_preparation_names_the_newer_migration_and_changes_nothing(db: None) -> None:
    migrated_later()
    with pytest.raises(CommandError, match=r"quotas\.9999_more_of_it.*Nothing was changed"):
        call_command("prepare")
    assert not Plan.objects.exists()
    assert not Installation.objects.exists()


def test_a_preparation_names_the_newer_release(db: None) -> None:
    prepared_by("9.1", works_beside="0.1.0")
    with pytest.raises(CommandError, match=f"belongs to release 9.1, .* {config.__version__}"):
        call_command("prepare")
    assert Installation.objects.get().release == "9.1"


def test_a_preparation_writes_down_whose_the_data_is(
    db: None, collected_static_files: None
) -> None:
    prepared_by("0.1.0", works_beside="0.1.0")
    call_command("prepare", verbosity=0)
    assert Installation.objects.get().release == config.__version__


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "command",
    [
        ("-c", "import config.asgi"),
        ("-c", "import config.wsgi"),
        (*CELERY, "worker", "--pool", "solo"),
        (*CELERY, "beat", "--pidfile", ""),
    ],
    ids=["gate", "site", "worker", "beat"],
)
def test_no_process_starts_on_data_that_does_not_let_it(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    prepared_by("9.1", works_beside="9.0")
    refused = start(tmp_path, *command)
    assert refused.returncode != 0
    assert "The data belongs to release 9.1, and this is release" in refused.stderr


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_process_goes_on_while_the_next_release_takes_over(tmp_path: Path) -> None:
    prepared_by("9.1", works_beside=config.__version__)
    MigrationRecorder(connection).record_applied("quotas", "9999_more_of_it")
    try:
        started = start(tmp_path, "-c", "import config.asgi")
    finally:
        MigrationRecorder(connection).record_unapplied("quotas", "9999_more_of_it")
    assert started.returncode == 0, started.stderr
    assert "the data belongs to release 9.1, which lets release" in started.stderr


def test_versions_have_an_order() -> None:
    versions = ["0.1.0", "0.2.0.dev0", "0.2.0rc1", "0.2.0", "0.2.1", "0.10.0", "1.0"]
    assert sorted(versions, key=release.order_of) == versions


def test_the_project_says_one_version() -> None:
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{config.__version__}"\n' in project
