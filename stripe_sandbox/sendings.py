"""Which event still has to reach which endpoint, and what became of the others."""

import sqlite3
from dataclasses import dataclass
from typing import Literal

State = Literal["pending", "delivered", "given_up", "lost"]
# The endpoint that the sandbox was started with.
CONFIGURED = ""


@dataclass(frozen=True, kw_only=True)
class Sending:
    """An event on its way to one endpoint; `attempts` counts the one about to be made."""

    event_id: str
    endpoint_id: str
    attempts: int
    begun_at: float


class Sendings:
    """The sendings of one transaction's view. They go by the real clock, whatever is billed."""

    def __init__(self, connection: sqlite3.Connection, *, now: float) -> None:
        self._connection = connection
        self._now = now

    def add(
        self,
        event_id: str,
        endpoint_id: str,
        *,
        state: State = "pending",
        later_seconds: float = 0,
        again: int = 0,
    ) -> None:
        """Send the event as soon as this transaction is committed, `again` more times than once."""
        self._connection.execute(
            "INSERT INTO sendings (event_id, endpoint_id, state, begun_at, due_at, again)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (event_id, endpoint_id, state, self._now, self._now + later_seconds, again),
        )

    def claim(self, *, lease_seconds: float) -> Sending | None:
        """The next that is due, put out of every other process's reach for `lease_seconds`."""
        row = self._connection.execute(
            "UPDATE sendings SET attempts = attempts + 1, due_at = ? WHERE rowid ="
            " (SELECT rowid FROM sendings WHERE state = 'pending' AND due_at <= ?"
            "  ORDER BY due_at, rowid LIMIT 1)"
            " RETURNING event_id, endpoint_id, attempts, begun_at",
            (self._now + lease_seconds, self._now),
        ).fetchone()
        if row is None:
            return None
        return Sending(event_id=row[0], endpoint_id=row[1], attempts=row[2], begun_at=row[3])

    def delivered(self, sending: Sending) -> None:
        """It arrived; it is sent once more where a developer asked for that."""
        self._connection.execute(
            "UPDATE sendings SET state = CASE WHEN again > 0 THEN 'pending' ELSE 'delivered' END,"
            " due_at = ?, again = max(again - 1, 0) WHERE event_id = ? AND endpoint_id = ?",
            (self._now, sending.event_id, sending.endpoint_id),
        )

    def give_up(self, sending: Sending) -> None:
        """Nothing more will be sent of it."""
        self._connection.execute(
            "UPDATE sendings SET state = 'given_up' WHERE event_id = ? AND endpoint_id = ?",
            (sending.event_id, sending.endpoint_id),
        )

    def put_off(self, sending: Sending, *, due_at: float) -> None:
        """Try it again at `due_at`, unless it was delivered meanwhile."""
        self._connection.execute(
            "UPDATE sendings SET due_at = ?"
            " WHERE event_id = ? AND endpoint_id = ? AND state = 'pending'",
            (due_at, sending.event_id, sending.endpoint_id),
        )

    def send_again(self, event_id: str) -> bool:
        """Send an event to its endpoints now, whatever became of it; whether it had any."""
        sent = self._connection.execute(
            "UPDATE sendings SET state = 'pending', attempts = 0, begun_at = ?, due_at = ?"
            " WHERE event_id = ?",
            (self._now, self._now, event_id),
        )
        return sent.rowcount > 0

    def forget(self, endpoint_id: str) -> None:
        """An endpoint is gone; what still waited for it is not sent."""
        self._connection.execute(
            "UPDATE sendings SET state = 'given_up' WHERE endpoint_id = ? AND state = 'pending'",
            (endpoint_id,),
        )

    def pending(self, event_id: str) -> int:
        """How many endpoints the event has not reached yet."""
        row = self._connection.execute(
            "SELECT count(*) FROM sendings WHERE event_id = ? AND state IN ('pending', 'lost')",
            (event_id,),
        ).fetchone()
        return int(row[0])

    def states(self, event_id: str) -> list[tuple[str, State, int]]:
        """(endpoint, state, attempts) of an event, in order."""
        return self._connection.execute(
            "SELECT endpoint_id, state, attempts FROM sendings WHERE event_id = ? ORDER BY rowid",
            (event_id,),
        ).fetchall()

    def next_due_at(self) -> float | None:
        """When the next one is to be sent."""
        row = self._connection.execute(
            "SELECT min(due_at) FROM sendings WHERE state = 'pending'"
        ).fetchone()
        return None if row[0] is None else float(row[0])
