"""Calls to servers that are not ours, such as Stripe's and the mail server: they may hang.

Whoever calls holds nothing that others need: no transaction (and with it no lock) is open, and the
thread's connection has gone back to the pool. The caller waits for a bounded time, and a process
has a bounded number of calls under way: one more is refused at once, and nothing queues up.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from django.conf import settings
from django.db import connections

logger = logging.getLogger(__name__)

T = TypeVar("T")


class CannotCall(Exception):
    """There is no answer. Whether the call was heard is not known, unless it was TooManyCalls."""


class TooManyCalls(CannotCall):
    """So many calls are under way that this one was not made."""


class NoAnswerInTime(CannotCall):
    """The call was made, and its answer did not come in time."""


class HoldsATransaction(RuntimeError):
    """Somebody else's server was to be asked inside a transaction. A mistake in our own code."""


class Line:
    """Calls of one kind, of which so many may be under way at once in this process."""

    def __init__(self, name: str, *, at_once: int) -> None:
        self._name = name
        self._free = threading.BoundedSemaphore(at_once)

    def call(self, act: Callable[[], T], *, within_seconds: float) -> T:
        """What `act` answers, which runs in a thread of its own and must not use PostgreSQL.

        Raises CannotCall, or what `act` raises. A call that is given up counts until it really
        ends: whoever trickles an answer holds a place in this line, and nothing else.
        """
        let_go()
        if not self._free.acquire(blocking=False):
            logger.warning("%s: too many calls are under way", self._name)
            raise TooManyCalls(f"{self._name}: too many calls are under way")
        answer: Future[T] = Future()
        try:
            # A daemon: a process that is asked to stop does not wait for somebody else's server.
            threading.Thread(
                target=self._run, args=(act, answer), name=self._name, daemon=True
            ).start()
        except RuntimeError as error:
            self._free.release()
            raise TooManyCalls(f"{self._name}: no thread could be started") from error
        if not wait([answer], timeout=within_seconds).done:
            raise NoAnswerInTime(f"{self._name}: no answer within {within_seconds:g} s")
        return answer.result()

    def _run(self, act: Callable[[], T], answer: "Future[T]") -> None:
        try:
            result = act()
        except BaseException as error:  # noqa: BLE001 - it is raised where the call was made
            self._free.release()
            answer.set_exception(error)
        else:
            self._free.release()
            answer.set_result(result)


def let_go() -> None:
    """Give this thread's connections back to the pool before it waits for anybody.

    Raises HoldsATransaction in development and tests; in production it is an alarm in the log.
    """
    for connection in connections.all(initialized_only=True):
        # As durable transactions do: the one around a whole test is not ours.
        if any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
            if settings.IS_DEVELOPMENT:
                raise HoldsATransaction("A call to somebody else's server inside a transaction.")
            logger.critical("a call is made inside a transaction", stack_info=True)
        elif not connection.in_atomic_block:
            connection.close()
