"""A worker that tells accounts of what they used, killed at a step of its work that a test names.

    python -m tests.faults.alerting     reads lines from stdin and answers each with one

A line is the step at which to die, and how many seconds after now it is: "7 0". Each statement of
SQL has two steps, before it and after it; what stands between two of them (a commit, a mail, a
request) is between their steps. 0 does not die. The answer is "killed" or "done".
"""

import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from alerts import delivering, watching, weekly  # noqa: E402


class _Steps:
    """Counts statements, and ends this process without asking at one of them."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._now = 0

    def __call__(self, execute: Callable[..., Any], *statement: Any) -> Any:
        self._step()
        result = execute(*statement)
        self._step()
        return result

    def _step(self) -> None:
        self._now += 1
        if self._now == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def _turn(step: int, seconds: int) -> None:
    at = timezone.now() + timedelta(seconds=seconds)
    with connection.execute_wrapper(_Steps(step)):
        watching.look_at_changed(at=at)
        weekly.summarise(at=at)
        delivering.send_mails(at=at)
        delivering.post_webhooks(at=at)


def _work() -> None:
    """Fork a worker for each line: a new one costs milliseconds instead of an import."""
    for line in sys.stdin:
        step, seconds = map(int, line.split())
        worker = os.fork()
        if worker == 0:
            _turn(step, seconds)
            os._exit(0)
        _, status = os.waitpid(worker, 0)
        assert status in {0, signal.SIGKILL}, status
        sys.stdout.write("killed\n" if status else "done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _work()
