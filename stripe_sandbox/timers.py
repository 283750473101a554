"""What is to happen by itself at a moment, on one of two clocks; each is taken once."""

import sqlite3
from dataclasses import dataclass
from typing import Literal

Clock = Literal["real", "billing"]


@dataclass(frozen=True, kw_only=True)
class Timer:
    """An act that is due, and what it is to be done to."""

    act: str
    object_id: str
    due_at: float


class Timers:
    """The timers of one transaction's view; `billing` ones run on the clock a developer moves."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def set(self, act: str, object_id: str, *, due_at: float, clock: Clock = "real") -> None:
        """Do `act` at that moment, instead of whenever it was set to before."""
        self._connection.execute(
            "INSERT INTO timers (act, object_id, due_at, clock) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (act, object_id) DO UPDATE SET due_at = excluded.due_at",
            (act, object_id, due_at, clock),
        )

    def clear(self, object_id: str) -> None:
        """Whatever was to happen to the object does not happen."""
        self._connection.execute("DELETE FROM timers WHERE object_id = ?", (object_id,))

    def take(self, clock: Clock, *, by: float) -> Timer | None:
        """The first that is due by that moment; taken once, with this transaction."""
        row = self._connection.execute(
            "DELETE FROM timers WHERE id = (SELECT id FROM timers WHERE clock = ? AND due_at <= ?"
            " ORDER BY due_at, id LIMIT 1) RETURNING act, object_id, due_at",
            (clock, by),
        ).fetchone()
        return None if row is None else Timer(act=row[0], object_id=row[1], due_at=row[2])

    def next_due_at(self, clock: Clock) -> float | None:
        """The moment of the first one, on its own clock."""
        row = self._connection.execute(
            "SELECT min(due_at) FROM timers WHERE clock = ?", (clock,)
        ).fetchone()
        return None if row[0] is None else float(row[0])
