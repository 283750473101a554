"""Where keys are used from, and with what client: noticed beside decisions, written down later.

No request waits for it. What a request does is look into a set; once a minute for each key and
network it leaves a line that is written down seconds later. What a process held when it was killed
is lost: the next use says it again.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gate.decision.check import Decision
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


class Sightings:
    """What was noticed and is not written down yet. One for a process, used in its loop only.

    record: writes down where keys were used; without it nothing is noticed.
    """

    def __init__(
        self,
        *,
        record: Record | None = None,
        written_every_seconds: float = _WRITTEN_EVERY_SECONDS,
        again_after_seconds: float = _AGAIN_AFTER_SECONDS,
    ) -> None:
        self._record = record
        self._every = written_every_seconds
        self._again_after = again_after_seconds
        self._noticed: set[tuple[int, str]] = set()
        self._waiting: list[Sighting] = []
        self._forget_at = 0.0
        self._turn: asyncio.TimerHandle | None = None
        self._recording: asyncio.Future[None] | None = None

    def notice(self, decision: Decision, address: str, headers: Headers) -> None:
        """Notice the key of a decision, whatever it was, unless the key itself was refused.

        address: 32 hex digits, or "" where nobody knows; that is no place. headers: the
        customer's own, if those are known.
        """
        answer = decision.answer
        if answer is None or not address or self._record is None or not answer.key_id:
            return
        seen = (answer.key_id, network_digits(address))
        if seen in self._noticed or len(self._noticed) >= AT_MOST:
            return
        self._noticed.add(seen)
        self._waiting.append(
            Sighting(answer.key_id, address, _client(headers), answer.at_ms),
        )
        if self._turn is None:
            self._forget_at = time.monotonic() + self._again_after
            self._turn = asyncio.get_running_loop().call_later(self._every, self._take_turn)

    def _take_turn(self) -> None:
        self._turn = None
        if time.monotonic() >= self._forget_at:
            self._forget_at = time.monotonic() + self._again_after
            self._noticed.clear()
        if self._record is not None and self._waiting and self._recording is None:
            taken, self._waiting = self._waiting, []
            self._recording = asyncio.ensure_future(self._write_down(self._record, taken))
        if self._noticed or self._waiting or self._recording is not None:
            self._turn = asyncio.get_running_loop().call_later(self._every, self._take_turn)

    async def _write_down(self, record: Record, taken: list[Sighting]) -> None:
        try:
            await record(taken)
        except Exception:
            self._waiting = [*taken, *self._waiting][:AT_MOST]
            logger.exception("where keys are used could not be written down; it is tried again")
        finally:
            self._recording = None


def _client(headers: Headers) -> str:
    named = header_values(headers, b"user-agent")
    return named[0].decode("latin-1") if named else ""
