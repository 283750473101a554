"""How many connections a process has, and who goes when there are too many.

Connections that wait for their client go first, and among them the one that waits longest. Those
that are being answered stay: when there is nobody to go, new ones are refused, but for a few that
may be probes.
"""

import logging
import time
from collections.abc import Iterable
from typing import Protocol
from weakref import WeakKeyDictionary

from uvicorn.server import ServerState

from gate.service import limits

logger = logging.getLogger(__name__)

_COMPLAIN_EVERY_SECONDS = 10.0
# When nobody could go, nobody is asked again for a moment: looking at all of them takes time.
_ASK_AGAIN_AFTER_SECONDS = 0.1


class Waiting(Protocol):
    """A connection, as far as it concerns the others."""

    @property
    def waits_since(self) -> float | None:
        """Since when the client has said nothing that was due; None while it is answered."""

    @property
    def was_answered(self) -> bool:
        """Whether it has sent a whole request before."""

    def give_way(self) -> None:
        """End it now."""


class Crowd:
    """All connections of one server, and what their bodies hold together."""

    def __init__(self) -> None:
        self.members: set[Waiting] = set()
        self.body_bytes = 0
        self._at_most = limits.connections_at_most()
        self._ask_again_at = 0.0
        self._complain_at = 0.0

    @property
    def is_too_large(self) -> bool:
        """Whether only probes are answered on new connections."""
        return len(self.members) > self._at_most

    @property
    def is_full(self) -> bool:
        """Whether there is no room even for probes."""
        return len(self.members) > self._at_most + limits.ROOM_FOR_PROBES

    def join(self, member: Waiting, *, at: float) -> None:
        """One more; others may have to go. `at` by the clock of the loop."""
        self.members.add(member)
        self.make_room(at=at)

    def make_room(self, *, at: float) -> bool:
        """Let others go if there are too many; whether there are few enough now."""
        if self.is_too_large and at >= self._ask_again_at:
            gone = self._ask_to_go(at)
            if not gone:
                self._ask_again_at = at + _ASK_AGAIN_AFTER_SECONDS
            self._complain(gone)
        return not self.is_too_large

    def leave(self, member: Waiting) -> None:
        """One less; leaving twice is nothing."""
        self.members.discard(member)

    def _ask_to_go(self, at: float) -> int:
        heard_before = at - limits.GIVE_WAY_AFTER_SECONDS
        waiting = sorted(self._waiting(heard_before), key=lambda one: one[:2])
        count = max(1, int(self._at_most * limits.GIVE_WAY_PART))
        for _, _, member in waiting[:count]:
            self.members.discard(member)
            member.give_way()
        return len(waiting[:count])

    def _waiting(self, heard_before: float) -> Iterable[tuple[bool, float, Waiting]]:
        for member in self.members:
            since = member.waits_since
            if since is not None and since <= heard_before:
                yield member.was_answered, since, member

    def _complain(self, gone: int) -> None:
        now = time.monotonic()
        if now >= self._complain_at:
            self._complain_at = now + _COMPLAIN_EVERY_SECONDS
            logger.warning(
                "more than %s connections: %s that waited longest were closed", self._at_most, gone
            )


_crowds: "WeakKeyDictionary[ServerState, Crowd]" = WeakKeyDictionary()


def crowd_of(server: ServerState) -> Crowd:
    """The crowd of a server."""
    crowd = _crowds.get(server)
    if crowd is None:
        crowd = _crowds[server] = Crowd()
    return crowd
