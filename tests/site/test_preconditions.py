"""What was true at the start is looked at again: what is lost is an alarm, once."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import time_machine
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from pytest_django import Settings
from redis import Redis

from config import readiness, signs_of_life, tasks
from config.beat import Scheduler
from config.celery import app
from gate.store.connection import sync_client
from quotas.models.plans import Plan
from tests.faults.servers import Valkey

pytestmark = pytest.mark.usefixtures("plans")


@pytest.fixture(autouse=True)
def _fresh_alarms(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has run for a while and knows of no problem."""
    alarms = readiness.Alarms()
    alarms._began = time.monotonic() - 3600
    monkeypatch.setattr(readiness, "alarms", alarms)


@pytest.fixture(autouse=True)
def _alive() -> None:
    """Beat and worker have just given a sign."""
    for name in signs_of_life.expected():
        signs_of_life.give(name)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A Valkey that may be set to anything."""
    with Valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def valkey(server: Valkey, settings: Settings) -> Iterator[Redis]:
    """The same, in use, as it should be before and after."""
    settings.REDIS_URL = server.url
    with server.client as client:
        client.config_resetstat()
        yield client
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("appendonly", "yes")
        client.config_set("appendfsync", "always")
        client.flushall()


FORGETFUL = "Valkey may forget quota now: it may lose acknowledged writes (set appendfsync always)"


def ready(client: Client) -> tuple[int, str, list[str]]:
    answer = client.get("/readyz")
    said = answer.json()
    return answer.status_code, said["status"], said["problems"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [("maxmemory-policy", "allkeys-lru"), ("appendfsync", "everysec"), ("appendonly", "no")],
)
def test_a_valkey_that_may_forget_now_is_not_ready_until_it_may_not(
    client: Client, valkey: Redis, setting: str, value: str
) -> None:
    before = str(valkey.config_get(setting)[setting])
    assert ready(client) == (200, "ok", [])
    valkey.config_set(setting, value)
    assert ready(client) == (503, "unavailable", ["forgetful_valkey"])
    valkey.config_set(setting, before)
    assert ready(client) == (200, "ok", [])


def test_records_that_were_evicted_are_an_alarm_until_somebody_has_seen_to_it(
    client: Client, valkey: Redis
) -> None:
    valkey.mset({f"ballast:{number}": b"x" * 1_000 for number in range(2_000)})
    used = int(valkey.info("memory")["used_memory"])
    valkey.config_set("maxmemory-policy", "allkeys-lru")
    valkey.config_set("maxmemory", used - 500_000)
    valkey.set("one", "more")
    assert ready(client) == (503, "unavailable", ["forgetful_valkey", "records_lost"])
    valkey.config_set("maxmemory", 0)
    valkey.config_set("maxmemory-policy", "noeviction")
    assert ready(client) == (200, "degraded", ["records_lost"])
    valkey.config_resetstat()
    assert ready(client) == (200, "ok", [])


def test_records_that_expired_are_none_that_were_lost(client: Client, valkey: Redis) -> None:
    valkey.set("short", "lived", px=1)
    while valkey.exists("short"):
        time.sleep(0.001)
    assert int(valkey.info("stats")["expired_keys"]) >= 1
    assert ready(client) == (200, "ok", [])


def test_without_a_default_plan_it_is_an_alarm(client: Client) -> None:
    with connection.cursor() as cursor:
        # Nothing but its owner's tampering with the table can bring this about.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE quotas_plan DISABLE TRIGGER USER")
    Plan.objects.update(is_default=False)
    assert ready(client) == (200, "degraded", ["default_plan"])


@pytest.mark.parametrize("name", ["worker", "worker-waiting"])
def test_a_silent_worker_is_named_and_pages_go_on(client: Client, name: str) -> None:
    sync_client(django_settings.CACHE_URL).delete(f"alive:{name}")
    assert ready(client) == (200, "degraded", [name])
    tasks.heartbeat(name)
    assert ready(client) == (200, "ok", [])


def beat(schedule: Path) -> Scheduler:
    """Beat as Celery makes it."""
    scheduler = Scheduler(app=app, lazy=True, schedule_filename=str(schedule))
    scheduler.setup_schedule()
    return scheduler


def test_a_silent_beat_is_named_and_the_workers_it_sends_nothing_are_not(
    client: Client, tmp_path: Path
) -> None:
    sync_client(django_settings.CACHE_URL).flushdb()
    assert ready(client) == (200, "degraded", ["gate", "site", "beat"])
    beat(tmp_path / "schedule").tick()
    assert ready(client)[2] == ["gate", "site", "worker", "worker-waiting"]


def test_beat_goes_on_without_the_file_of_its_schedule(client: Client, tmp_path: Path) -> None:
    (tmp_path / "no-folder").touch()
    sync_client(django_settings.CACHE_URL).flushdb()
    scheduler = beat(tmp_path / "no-folder" / "schedule")
    assert scheduler.schedule.keys() >= django_settings.CELERY_BEAT_SCHEDULE.keys()
    scheduler.tick()
    scheduler.sync()
    scheduler.close()
    assert ready(client)[2] == ["gate", "site", "worker", "worker-waiting"]


def test_a_sign_of_life_ends_by_itself() -> None:
    ttl = sync_client(django_settings.CACHE_URL).ttl("alive:worker")
    assert 0 < int(ttl) <= signs_of_life.KEPT_SECONDS


@pytest.mark.parametrize("seconds", [-5, 5])
def test_a_clock_that_is_off_is_an_alarm(client: Client, seconds: int) -> None:
    with time_machine.travel(time.time() + seconds):
        assert ready(client) == (200, "degraded", ["clock"])
        signs_of_life.give("worker")
    # This clock is right, and that of the worker's machine is not.
    assert ready(client) == (200, "degraded", ["clock"])
    signs_of_life.give("worker")
    assert ready(client) == (200, "ok", [])


def test_an_alarm_is_logged_once_and_once_more_when_it_is_over(
    valkey: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "config.readiness")
    valkey.config_set("appendfsync", "everysec")
    for _ in range(5):
        tasks.look()
    valkey.config_set("appendfsync", "always")
    for _ in range(5):
        tasks.look()
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert said == [
        ("ERROR", f"alarm: forgetful_valkey: {FORGETFUL}"),
        ("WARNING", "alarm over: forgetful_valkey"),
    ]


def test_who_has_just_started_does_not_cry_over_who_starts_with_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "alarms", readiness.Alarms())
    sync_client(django_settings.CACHE_URL).flushdb()
    assert readiness.look() == ["gate", "site", "beat"]
    assert [r for r in caplog.records if r.name == "config.readiness"] == []


def test_strangers_learn_words_and_no_more(client: Client, settings: Settings) -> None:
    settings.REDIS_URL = "redis://user:hidden@127.0.0.1:9/0"
    answer = client.get("/readyz")
    assert answer.json() == {"status": "unavailable", "problems": ["valkey"]}
    assert b"hidden" not in answer.content
