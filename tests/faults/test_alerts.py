"""Alerts, with the worker killed between any two steps, are told exactly once."""

import email
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from accounts.models import Account, User
from alerts.models import Alert, Delivery, Kind, LastLook, Watch, WebhookEndpoint
from dev.conditions import REPOSITORY
from gate.terms import week
from keys.models import ApiKey
from quotas.models.used import UsageRollup
from quotas.usage import closing, drain
from tests.alerts.receiver import Receiver, receiving
from tests.alerts.webhooks import endpoint_of
from tests.faults.conftest import database_url, peppers
from tests.quotas.live_gate import live_gate
from tests.running_site import environment, free_port

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

# Longer than a claim, and than the first pause of a webhook.
LATER_SECONDS = 200


class Worker:
    """Tells accounts, in processes that die where they are told to."""

    def __init__(self, data_dir: Path) -> None:
        self.inbox = data_dir / "inbox"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.alerting"],
            cwd=REPOSITORY,
            env=environment(
                data_dir,
                free_port(),
                DATABASE_URL=database_url(),
                REDIS_URL=django_settings.REDIS_URL,
                KEY_PEPPERS=peppers(),
                SECRET_KEY=django_settings.SECRET_KEY,
                WEBHOOKS_MAY_STAY_HERE="yes",
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def turn(self, *, dies_at: int = 0, after_seconds: int = 0) -> bool:
        """One turn; answers whether it came to its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{dies_at} {after_seconds}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer in {"killed", "done"}, answer
        return answer == "done"

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def mails(self) -> Counter[str]:
        """How often each mail is in the inbox, by its Message-ID."""
        letters = (email.message_from_bytes(p.read_bytes()) for p in self.inbox.glob("*.eml"))
        return Counter(str(letter["Message-ID"]) for letter in letters)

    def forget(self) -> None:
        """Begin anew, as if nobody had been told of anything."""
        Alert.objects.all().delete()
        Watch.objects.all().delete()
        LastLook.objects.all().delete()
        for path in self.inbox.glob("*.eml"):
            path.unlink()


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """A worker on the servers of the tests."""
    worker = Worker(tmp_path)
    try:
        yield worker
    finally:
        worker.end()


@pytest.fixture
def told(
    account: Account, owner: User, issued: tuple[ApiKey, str]
) -> Iterator[tuple[Receiver, WebhookEndpoint]]:
    """Whom the owner's account tells: it used 45 of 50 chats, and some in the week before."""
    key, text = issued
    this_week = week.starts_at(week.week_of(week.to_ms(timezone.now())))
    UsageRollup.objects.create(
        account=account,
        key_id=key.pk,
        meter="chat",
        hour=this_week - timedelta(hours=3),
        source="allowance",
        chats=7,
    )
    closing.close_ended_weeks(at=timezone.now())
    with live_gate() as gate:
        gate.check(text, 45)
    drain.move_all()
    with receiving() as receiver:
        yield receiver, endpoint_of(account, owner, f"{receiver.origin}/hook")


def test_a_worker_that_is_killed_between_any_two_steps_tells_exactly_once(
    worker: Worker,
    told: tuple[Receiver, WebhookEndpoint],
    figures: Callable[[str], None],
) -> None:
    receiver, _ = told
    repeats = 0
    not_known: list[int] = []
    step, is_done = 0, False
    while not is_done:
        step += 1
        worker.forget()
        receiver.received.clear()
        is_done = worker.turn(dies_at=step)
        # Another one begins at once, and again when the claims of the first have run out.
        for seconds in (0, LATER_SECONDS):
            assert worker.turn(after_seconds=seconds)

        alerts = Alert.objects.values_list("kind", "is_passed")
        assert sorted(alerts) == [
            (Kind.WEEK_50, True),
            (Kind.WEEK_80, False),
            (Kind.SUMMARY, False),
        ], step
        assert len(set(receiver.ids)) == 1, step
        repeats += len(receiver.ids) - 1
        states = Counter(Delivery.objects.values_list("state", flat=True))
        unknown = states.pop("unknown", 0)
        assert states == {"delivered": 3 - unknown}, step
        mails = worker.mails()
        assert set(mails.values()) == {1}, step
        if len(mails) < 2:
            # Between saying that it is sent and sending it: told in the log, and sent no more.
            assert unknown == 1, step
            not_known.append(step)
    # One such moment for each of the two mails.
    assert len(not_known) == 2, not_known
    figures(
        f"alerts: killed at each of {step - 1} steps; no mail twice, {repeats} webhooks repeated "
        f"by their id, {len(not_known)} moments at which a mail is marked as not known"
    )
