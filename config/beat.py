"""Celery's beat, which shows that it lives, and does not die of a disk that is full."""

import dbm
import logging
import time
from typing import Any

from celery.beat import PersistentScheduler
from redis.exceptions import RedisError

from config import signs_of_life

logger = logging.getLogger(__name__)


class _Memory(dict[str, Any]):
    """A schedule that is kept nowhere, with what beat asks of a file."""

    def sync(self) -> None:
        """There is nothing to write."""

    def close(self) -> None:
        """There is nothing to close."""


class Scheduler(PersistentScheduler):
    """What it remembers of earlier runs is worth less than that it runs."""

    _gave_sign_at = float("-inf")
    _complained = False

    def tick(self, *args: Any, **more: Any) -> float:
        """Do what is due, and give a sign of life every few seconds."""
        now = time.monotonic()
        if now - self._gave_sign_at >= signs_of_life.EVERY_SECONDS:
            self._gave_sign_at = now
            try:
                signs_of_life.give(signs_of_life.BEAT)
            except (RedisError, OSError) as error:
                logger.warning("no sign of life given: %s", type(error).__name__)
        delay: float = super().tick(*args, **more)
        return delay

    def setup_schedule(self) -> None:
        """Read the schedule's file; without it, begin anew in memory."""
        try:
            super().setup_schedule()
        except (OSError, *dbm.error) as error:
            self._complain(error)
            self._store = _Memory(entries={})
            self.merge_inplace(self.app.conf.beat_schedule)
            self.install_default_entries(self.schedule)

    def sync(self) -> None:
        """Write the schedule's file; what could not be written is written next time."""
        try:
            super().sync()
        except (OSError, *dbm.error) as error:
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            logger.error("the schedule's file cannot be written, beat goes on: %s", error)
        self._complained = True
