"""The tasks, their schedule, and a real worker that runs them from the broker."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from celery.contrib.testing.worker import start_worker
from celery.schedules import crontab
from django.conf import settings
from django.utils import timezone

from accounts.models import Account
from config.celery import app
from quotas import tasks
from quotas.models.ledger import CreditEntry
from quotas.models.used import UsageRollup
from quotas.standing import Standing
from tests.patience import LONGEST_SECONDS, until
from tests.quotas.live_gate import LiveGate

SCHEDULE = settings.CELERY_BEAT_SCHEDULE


def test_everything_that_repeats_is_on_the_schedule() -> None:
    assert {entry["task"] for entry in SCHEDULE.values()} >= {
        "quotas.drain",
        "quotas.push_pending",
        "quotas.reset_weekly_counters",
        "keys.push_pending",
        "billing.handle_pending_events",
        "alerts.watch",
        "alerts.send_mails",
        "alerts.post_webhooks",
        "alerts.summarise",
    }


def test_every_task_on_the_schedule_exists() -> None:
    app.loader.import_default_modules()
    assert {entry["task"] for entry in SCHEDULE.values()} <= set(app.tasks)


@pytest.mark.parametrize(
    ("after", "next_at"),
    [
        (datetime(2031, 3, 5, 12, tzinfo=UTC), datetime(2031, 3, 10, tzinfo=UTC)),
        (datetime(2031, 3, 9, 23, 59, tzinfo=UTC), datetime(2031, 3, 10, tzinfo=UTC)),
        (datetime(2031, 3, 10, tzinfo=UTC), datetime(2031, 3, 17, tzinfo=UTC)),
        (datetime(2027, 1, 3, tzinfo=UTC), datetime(2027, 1, 4, tzinfo=UTC)),
    ],
)
def test_weeks_are_closed_on_monday_at_midnight_utc(after: datetime, next_at: datetime) -> None:
    (entry,) = [e for e in SCHEDULE.values() if e["task"] == "quotas.reset_weekly_counters"]
    schedule = entry["schedule"]
    assert isinstance(schedule, crontab)
    assert str(app.timezone) == "UTC"
    with time_machine.travel(after, tick=False):
        last, wait, _ = schedule.remaining_delta(after)
    assert last + wait == next_at


def test_the_drain_runs_every_second_and_a_late_tick_is_dropped() -> None:
    (entry,) = [e for e in SCHEDULE.values() if e["task"] == "quotas.drain"]
    assert entry["schedule"] == 1.0
    assert entry["options"] == {"expires": 1}


@pytest.fixture
def worker() -> Iterator[None]:
    """A Celery worker on the real broker."""
    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=LONGEST_SECONDS):
        yield


@pytest.mark.django_db(transaction=True)
def test_a_worker_drains_and_brings_what_is_pending(
    account: Account,
    key: str,
    gate: LiveGate,
    standing: Callable[[], Standing],
    worker: None,
) -> None:
    gate.use(key, 30)
    # Committed behind the back of the seam, as if Valkey had been away.
    CreditEntry.objects.create(account=account, credits=7, kind="grant", source_ref="test:1")
    account.entitlement.version += 1
    account.entitlement.save()
    tasks.drain_all.delay()
    tasks.push_pending.delay()
    until(lambda: UsageRollup.objects.filter(chats=30).exists())
    until(lambda: standing().credits_left == 7)


@pytest.mark.django_db(transaction=True)
def test_a_task_that_comes_twice_does_its_work_once(key: str, gate: LiveGate) -> None:
    gate.use(key, 30, at=timezone.now() - timedelta(minutes=1))
    for _ in range(3):
        tasks.drain_all.delay()
    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=LONGEST_SECONDS):
        until(UsageRollup.objects.exists)
        tasks.drain_all.delay()
        time.sleep(0.2)
    assert UsageRollup.objects.get().chats == 30
