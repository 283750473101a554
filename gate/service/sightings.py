"""Where keys are used from, and with what client: noticed beside decisions, written down later.

And which keys an older pepper made: they move to the current one, whose digest only we can tell.

No request waits for it. What a request does is look into a set; once a minute for each key and
network it leaves a line that is written down seconds later. What a process held when it was killed
is lost: the next use says it again.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from gate.decision.check import Decision, Renewal
from gate.service.http import Headers, header_values
from gate.terms.addresses import network_digits

logger = logging.getLogger(__name__)

_WRITTEN_EVERY_SECONDS = 5.0
# What pages show is told by the minute.
_AGAIN_AFTER_SECONDS = 60.0
# More keys and networks within a minute are not noticed.
AT_MOST = 20_000
CLIENT_AT_MOST = 200


@dataclass(frozen=True, slots=True)
class Sighting:
    """A key that was used. address: 32 hex digits; client: what it calls itself, or ""."""

    key_id: int
    address: str
    client: str
    at_ms: int


Record = Callable[[Sequence[Sighting]], Awaitable[None]]
Renew = Callable[[Sequence[Renewal]], Awaitable[None]]
T = TypeVar("T")


class _Line(Generic[T]):
    """What waits to be written down, all at once; what could not be is tried again."""

    def __init__(self, write: Callable[[Sequence[T]], Awaitable[None]] | None, what: str) -> None:
        self.write = write
        self._what = what
        self._waiting: list[T] = []
        self._writing: asyncio.Future[None] | None = None

    @property
    def is_empty(self) -> bool:
        return not self._waiting and self._writing is None

    def add(self, one: T) -> None:
        self._waiting.append(one)

    def take_turn(self) -> None:
        if self.write is not None and self._waiting and self._writing is None:
            taken, self._waiting = self._waiting, []
            self._writing = asyncio.ensure_future(self._write_down(self.write, taken))

    async def _write_down(
        self, write: Callable[[Sequence[T]], Awaitable[None]], taken: list[T]
    ) -> None:
        try:
            await write(taken)
        except Exception:
            self._waiting = [*taken, *self._waiting][:AT_MOST]
            logger.exception("%s could not be written down; it is tried again", self._what)
        finally:
            self._writing = None


class Sightings:
    """What was noticed and is not written down yet. One for a process, used in its loop only.

    record: writes down where keys were used; without it nothing is noticed. renew: has keys move
    to the current pepper that were known by an older one's digest.
    """

    def __init__(
        self,
        *,
        record: Record | None = None,
        renew: Renew | None = None,
        written_every_seconds: float = _WRITTEN_EVERY_SECONDS,
        again_after_seconds: float = _AGAIN_AFTER_SECONDS,
    ) -> None:
        self._places = _Line(record, "where keys are used")
        self._renewals = _Line(renew, "which pepper keys hang on")
        self._every = written_every_seconds
        self._again_after = again_after_seconds
        self._noticed: set[tuple[int, str]] = set()
        self._forget_at = 0.0
        self._turn: asyncio.TimerHandle | None = None

    def notice(self, decision: Decision, address: str, headers: Headers) -> None:
        """Notice the key of a decision, whatever it was, unless the key itself was refused.

        address: 32 hex digits, or "" where nobody knows; that is no place. headers: the
        customer's own, if those are known.
        """
        answer = decision.answer
        if answer is None or not answer.key_id:
            return
        renewal = decision.renewal
        # No network is called "".
        if renewal and self._renewals.write is not None and self._is_new(answer.key_id, ""):
            self._renewals.add(renewal)
        if not address or self._places.write is None:
            return
        if self._is_new(answer.key_id, network_digits(address)):
            self._places.add(Sighting(answer.key_id, address, _client(headers), answer.at_ms))

    def _is_new(self, key_id: int, what: str) -> bool:
        """Whether it was not noticed lately; it is written down soon."""
        seen = (key_id, what)
        if seen in self._noticed or len(self._noticed) >= AT_MOST:
            return False
        self._noticed.add(seen)
        if self._turn is None:
            self._forget_at = time.monotonic() + self._again_after
            self._turn = asyncio.get_running_loop().call_later(self._every, self._take_turn)
        return True

    def _take_turn(self) -> None:
        self._turn = None
        if time.monotonic() >= self._forget_at:
            self._forget_at = time.monotonic() + self._again_after
            self._noticed.clear()
        self._places.take_turn()
        self._renewals.take_turn()
        if self._noticed or not (self._places.is_empty and self._renewals.is_empty):
            self._turn = asyncio.get_running_loop().call_later(self._every, self._take_turn)


def _client(headers: Headers) -> str:
    named = header_values(headers, b"user-agent")
    return named[0].decode("latin-1") if named else ""
