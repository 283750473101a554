"""One transaction's view of what the sandbox remembers."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from stripe_sandbox.configuration import Configuration
from stripe_sandbox.replies import Replies
from stripe_sandbox.sendings import Sendings
from stripe_sandbox.timers import Timers

Json = dict[str, Any]

DELIVERED = {
    True: "NOT EXISTS (SELECT 1 FROM sendings WHERE event_id = id AND state <> 'delivered')",
    False: "EXISTS (SELECT 1 FROM sendings"
    " WHERE event_id = id AND state <> 'delivered' AND (attempts > 0 OR state <> 'pending'))",
}
AFTER = "seq < (SELECT seq FROM objects WHERE id = ?)"
BEFORE = "seq > (SELECT seq FROM objects WHERE id = ?)"
COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "": "="}


@dataclass(frozen=True, kw_only=True)
class Cause:
    """The API request behind what happens; both are None for what a buyer did on a page."""

    request_id: str | None = None
    idempotency_key: str | None = None


ON_THE_PAGE = Cause()


@dataclass(frozen=True, kw_only=True)
class Page:
    """What to list: newest first; `matching` and `among` map JSON paths to values."""

    limit: int = 10
    starting_after: str | None = None
    ending_before: str | None = None
    created: Sequence[tuple[str, int]] = ()
    matching: Sequence[tuple[str, str | bool]] = ()
    among: Sequence[tuple[str, Sequence[str]]] = ()
    delivered: bool | None = None


class Books:
    """Objects, timers, sendings and replies; `now` is the same moment throughout.

    Two clocks: subscriptions and their invoices go by `billing_now`, which a developer may put
    ahead, everything else by `now`.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        now: float,
        configuration: Configuration,
        cause: Cause = ON_THE_PAGE,
    ) -> None:
        self._connection = connection
        self.now = now
        self.configuration = configuration
        self.cause = cause
        self.timers = Timers(connection)
        self.sendings = Sendings(connection, now=now)
        self.replies = Replies(connection, now=now)
        self.billing_now = now + self.ahead_seconds

    @contextmanager
    def undone_by(self, kind: type[Exception]) -> Iterator[None]:
        """Nothing of this stays if it ends in `kind`, unless the exception says it is to stay."""
        self._connection.execute("SAVEPOINT act")
        try:
            yield
        except kind as error:
            if not getattr(error, "stays", False):
                self._connection.execute("ROLLBACK TO act")
            raise
        finally:
            self._connection.execute("RELEASE act")

    # Objects

    def add(self, thing: Json, *, kind: str | None = None, parent: str | None = None) -> None:
        """Keep a new object; `kind` is its "object" unless said otherwise."""
        self._connection.execute(
            "INSERT INTO objects (id, kind, parent, created, body) VALUES (?, ?, ?, ?, ?)",
            (
                thing["id"],
                kind or thing["object"],
                parent,
                int(thing.get("created", self.now)),
                json.dumps(thing),
            ),
        )

    def save(self, thing: Json) -> None:
        """Write an object back under its id."""
        self._connection.execute(
            "UPDATE objects SET body = ? WHERE id = ?", (json.dumps(thing), thing["id"])
        )

    def get(self, kind: str, object_id: str | None) -> Json | None:
        """The object of that kind and id, if there is one."""
        row = self._connection.execute(
            "SELECT body FROM objects WHERE id = ? AND kind = ?", (object_id, kind)
        ).fetchone()
        return None if row is None else json.loads(row[0])

    def known(self, kind: str, object_id: str | None) -> Json:
        """The object that another one names: it must be there."""
        thing = self.get(kind, object_id)
        if thing is None:
            raise LookupError(f"the sandbox lost its {kind} {object_id}")
        return thing

    def whatever(self, object_id: str) -> Json | None:
        """The object of that id, of whatever kind."""
        row = self._connection.execute(
            "SELECT body FROM objects WHERE id = ?", (object_id,)
        ).fetchone()
        return None if row is None else json.loads(row[0])

    def children(self, kind: str, parent: str) -> list[Json]:
        """The objects of a kind that belong to `parent`, oldest first."""
        rows = self._connection.execute(
            "SELECT body FROM objects WHERE parent = ? AND kind = ? ORDER BY seq", (parent, kind)
        )
        return [json.loads(body) for (body,) in rows]

    def every(self, kind: str, **matching: str | bool) -> list[Json]:
        """All objects of a kind whose fields have these values, newest first."""
        conditions = [(f"$.{name}", value) for name, value in matching.items()]
        return self.page(kind, Page(limit=100_000, matching=conditions))[0]

    def page(self, kind: str, page: Page) -> tuple[list[Json], bool]:
        """One page of a list and whether more follow it.

        Only texts of this module are put together; whatever a caller sent is a bound value.
        """
        where = ["kind = ?"]
        values: list[Any] = [kind]
        for comparison, moment in page.created:
            where.append(f"created {COMPARISONS[comparison]} ?")
            values.append(moment)
        for path, value in page.matching:
            where.append("json_extract(body, ?) = ?")
            values += [path, value]
        for path, options in page.among:
            where.append(f"json_extract(body, ?) IN ({', '.join('?' * len(options))})")
            values += [path, *options]
        if page.delivered is not None:
            where.append(DELIVERED[page.delivered])
        for cursor, condition in ((page.starting_after, AFTER), (page.ending_before, BEFORE)):
            if cursor:
                where.append(condition)
                values.append(cursor)
        order = "ASC" if page.ending_before else "DESC"
        rows = self._connection.execute(
            f"SELECT body FROM objects WHERE {' AND '.join(where)}"  # noqa: S608 -- see above
            f" ORDER BY seq {order} LIMIT ?",
            (*values, page.limit + 1),
        ).fetchall()
        found = [json.loads(body) for (body,) in rows[: page.limit]]
        return (found[::-1] if page.ending_before else found), len(rows) > page.limit

    def sessions_past_their_time(self) -> list[Json]:
        """Open sessions whose `expires_at` has come."""
        rows = self._connection.execute(
            "SELECT body FROM objects WHERE kind = 'checkout.session'"
            " AND json_extract(body, '$.status') = 'open'"
            " AND json_extract(body, '$.expires_at') <= ?",
            (self.now,),
        )
        return [json.loads(body) for (body,) in rows.fetchall()]

    # What a developer set

    def setting(self, name: str) -> Any:
        """A value that was kept by name, or None."""
        row = self._connection.execute(
            "SELECT value FROM settings WHERE name = ?", (name,)
        ).fetchone()
        return None if row is None else json.loads(row[0])

    def keep_setting(self, name: str, value: Any) -> None:
        """Keep a value by name; None forgets it."""
        self._connection.execute("DELETE FROM settings WHERE name = ?", (name,))
        if value is not None:
            self._connection.execute(
                "INSERT INTO settings (name, value) VALUES (?, ?)", (name, json.dumps(value))
            )

    @property
    def ahead_seconds(self) -> float:
        """By how much the clock of subscriptions was put ahead of the real one."""
        return float(self.setting("ahead_seconds") or 0)

    # Waiting

    def next_due_at(self) -> float | None:
        """When the background work next has something to do."""
        row = self._connection.execute(
            "SELECT min(json_extract(body, '$.expires_at')) FROM objects"
            " WHERE kind = 'checkout.session' AND json_extract(body, '$.status') = 'open'"
        ).fetchone()
        billing_due_at = self.timers.next_due_at("billing")
        moments = [
            self.sendings.next_due_at(),
            self.timers.next_due_at("real"),
            None if billing_due_at is None else billing_due_at - self.ahead_seconds,
            row[0],
        ]
        known = [float(moment) for moment in moments if moment is not None]
        return min(known, default=None)
