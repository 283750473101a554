"""scripts/run in a DATA_DIR of an earlier release, and the dump that the next one will leave."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from dev.conditions import REPOSITORY
from dev.embedded import EmbeddedPostgres, EmbeddedValkey
from tests.running_site import RunningSite, environment, free_port
from tests.servers import _OURS as OF_A_RUN
from tests.upgrades.kept import Kept, releases

pytestmark = pytest.mark.slow


@pytest.fixture(params=releases(), ids=lambda kept: kept.release)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Kept, RunningSite]]:
    """The site, started in a folder as the release left it."""
    kept: Kept = request.param
    data_dir = tmp_path / "data"
    with EmbeddedPostgres(data_dir, durable=False) as postgres:
        kept.bring_back_database(postgres.url)
    with EmbeddedValkey(data_dir) as valkey, Redis.from_url(valkey.url) as client:
        kept.bring_back_valkey(client)
    (data_dir / "secrets.json").write_text(json.dumps({"KEY_PEPPER": kept.pepper}))
    running = RunningSite(data_dir)
    try:
        yield kept, running
    finally:
        running.end()


def ask(running: RunningSite, token: str, body: dict[str, object]) -> dict[str, object]:
    """What the quota check answers."""
    request = urllib.request.Request(
        f"{running.address}/quota/v1/check",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, object] = json.load(answer)
        return found


def test_scripts_run_starts_on_it_and_keys_are_accepted(site: tuple[Kept, RunningSite]) -> None:
    kept, running = site
    running.until_ready()
    facts = kept.facts
    # Nobody has signed in as the first admin yet, so a password is made and shown.
    assert running.admin[0] == facts.people["admin"]
    for key in facts.keys:
        if key.reason in {"ok", "invalid_key", "suspended"}:
            body = {"key": key.text, "meter": key.meter, "units": 0, "ip": key.address}
            answer = ask(
                running,
                facts.service_token,
                {name: value for name, value in body.items() if value is not None},
            )
            assert answer["reason"] == key.reason, key
    assert running.status("/readyz") == 200


def test_what_this_code_would_leave_to_the_next_release_can_be_kept(tmp_path: Path) -> None:
    folder = tmp_path / "next"
    ours = environment(tmp_path / "data", free_port())
    # It is no part of this run, and has servers of its own.
    alone = {name: ours[name] for name in ours if name not in {"PYTEST_XDIST_WORKER", OF_A_RUN}}
    subprocess.run(
        [sys.executable, "-m", "tests.upgrades.keep", str(folder)],
        cwd=REPOSITORY,
        env=alone,
        check=True,
        timeout=120,
    )
    facts = Kept(folder).facts
    assert facts.undrained
    assert {key.reason for key in facts.keys} >= {"ok", "invalid_key", "suspended"}
    with EmbeddedPostgres(tmp_path / "again", durable=False) as postgres:
        Kept(folder).bring_back_database(postgres.url)
