"""What the sandbox remembers: one SQLite file that several web processes share.

Every change is one `BEGIN IMMEDIATE` transaction, so two processes never act on the same session,
delivery or settlement at once, and nothing is lost between an act and the events it causes.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Json = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    parent TEXT,
    created INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS objects_by_kind ON objects (kind, seq);
CREATE INDEX IF NOT EXISTS objects_by_parent ON objects (parent, kind, seq);
CREATE INDEX IF NOT EXISTS open_sessions ON objects (json_extract(body, '$.expires_at'))
    WHERE kind = 'checkout.session' AND json_extract(body, '$.status') = 'open';
CREATE TABLE IF NOT EXISTS settlements (
    session_id TEXT PRIMARY KEY,
    due_at REAL NOT NULL,
    outcome TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS deliveries (
    event_id TEXT PRIMARY KEY,
    state TEXT NOT NULL DEFAULT 'pending',
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS pending_deliveries ON deliveries (due_at) WHERE state = 'pending';
CREATE TABLE IF NOT EXISTS replies (
    idempotency_key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    request_id TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    created INTEGER NOT NULL
);
"""

BUSY_SECONDS = 10.0
REPLIES_KEPT_SECONDS = 24 * 3600
DELIVERED = {
    True: "id IN (SELECT event_id FROM deliveries WHERE state = 'delivered')",
    False: "id IN (SELECT event_id FROM deliveries WHERE state <> 'delivered' AND attempts > 0)",
}
AFTER = "seq < (SELECT seq FROM objects WHERE id = ?)"
BEFORE = "seq > (SELECT seq FROM objects WHERE id = ?)"
COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "": "="}


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The stored first answer to an idempotency key."""

    fingerprint: str
    request_id: str
    status: int
    body: Json


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A webhook this process has claimed; `attempts` counts the one about to be made."""

    event: Json
    attempts: int


@dataclass(frozen=True, kw_only=True)
class Page:
    """What to list: newest first, `matching` maps JSON paths to values."""

    limit: int = 10
    starting_after: str | None = None
    ending_before: str | None = None
    created: Sequence[tuple[str, int]] = ()
    matching: Sequence[tuple[str, str]] = ()
    types: Sequence[str] = ()
    delivered: bool | None = None


class Books:
    """One transaction's view of the store; `now` is the same moment throughout."""

    def __init__(self, connection: sqlite3.Connection, *, now: float) -> None:
        self._connection = connection
        self.now = now

    # Objects

    def add(self, thing: Json, *, kind: str | None = None, parent: str | None = None) -> None:
        """Keep a new object; `kind` is its "object" unless said otherwise."""
        self._connection.execute(
            "INSERT INTO objects (id, kind, parent, created, body) VALUES (?, ?, ?, ?, ?)",
            (thing["id"], kind or thing["object"], parent, int(self.now), json.dumps(thing)),
        )

    def save(self, thing: Json) -> None:
        """Write an object back under its id."""
        self._connection.execute(
            "UPDATE objects SET body = ? WHERE id = ?", (json.dumps(thing), thing["id"])
        )

    def get(self, kind: str, object_id: str) -> Json | None:
        """The object of that kind and id, if there is one."""
        row = self._connection.execute(
            "SELECT body FROM objects WHERE id = ? AND kind = ?", (object_id, kind)
        ).fetchone()
        return None if row is None else json.loads(row[0])

    def children(self, kind: str, parent: str) -> list[Json]:
        """The objects of a kind that belong to `parent`, oldest first."""
        rows = self._connection.execute(
            "SELECT body FROM objects WHERE parent = ? AND kind = ? ORDER BY seq", (parent, kind)
        )
        return [json.loads(body) for (body,) in rows]

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
        if page.types:
            where.append(f"json_extract(body, '$.type') IN ({', '.join('?' * len(page.types))})")
            values += page.types
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

    # Settlements of bank debits

    def add_settlement(self, session_id: str, *, outcome: str, due_at: float) -> None:
        """Remember that a debit is decided at `due_at`."""
        self._connection.execute(
            "INSERT INTO settlements (session_id, due_at, outcome) VALUES (?, ?, ?)",
            (session_id, due_at, outcome),
        )

    def take_settlements(self) -> list[tuple[str, str]]:
        """(session id, outcome) of the debits now due; taken once, with this transaction."""
        rows = self._connection.execute(
            "DELETE FROM settlements WHERE due_at <= ? RETURNING session_id, outcome", (self.now,)
        )
        return list(rows.fetchall())

    # Deliveries of webhooks

    def add_delivery(self, event_id: str) -> None:
        """Send the event as soon as this transaction is committed."""
        self._connection.execute(
            "INSERT INTO deliveries (event_id, due_at) VALUES (?, ?)", (event_id, self.now)
        )

    def claim_delivery(self, *, lease_seconds: float) -> Delivery | None:
        """The next due delivery, put out of every other process's reach for `lease_seconds`."""
        row = self._connection.execute(
            "UPDATE deliveries SET attempts = attempts + 1, due_at = ? WHERE event_id ="
            " (SELECT event_id FROM deliveries WHERE state = 'pending' AND due_at <= ?"
            "  ORDER BY due_at, rowid LIMIT 1) RETURNING event_id, attempts",
            (self.now + lease_seconds, self.now),
        ).fetchone()
        event = None if row is None else self.get("event", row[0])
        return None if event is None else Delivery(event=event, attempts=row[1])

    def end_delivery(self, event_id: str, state: Literal["delivered", "given_up"]) -> None:
        """Nothing more will be sent of this event."""
        self._connection.execute(
            "UPDATE deliveries SET state = ? WHERE event_id = ?", (state, event_id)
        )

    def put_off_delivery(self, event_id: str, *, due_at: float) -> None:
        """Try this event again at `due_at`, unless it was delivered meanwhile."""
        self._connection.execute(
            "UPDATE deliveries SET due_at = ? WHERE event_id = ? AND state = 'pending'",
            (due_at, event_id),
        )

    def is_pending(self, event_id: str) -> bool:
        """Whether the event still waits to be delivered."""
        row = self._connection.execute(
            "SELECT 1 FROM deliveries WHERE event_id = ? AND state = 'pending'", (event_id,)
        ).fetchone()
        return row is not None

    def next_due_at(self) -> float | None:
        """When the background work next has something to do."""
        row = self._connection.execute(
            "SELECT min(due) FROM ("
            "SELECT min(due_at) AS due FROM deliveries WHERE state = 'pending'"
            " UNION ALL SELECT min(due_at) FROM settlements"
            " UNION ALL SELECT min(json_extract(body, '$.expires_at')) FROM objects"
            "  WHERE kind = 'checkout.session' AND json_extract(body, '$.status') = 'open')"
        ).fetchone()
        return None if row[0] is None else float(row[0])

    # Idempotency

    def reply(self, idempotency_key: str) -> Reply | None:
        """The first answer given under this key in the last day."""
        self._connection.execute(
            "DELETE FROM replies WHERE created < ?", (self.now - REPLIES_KEPT_SECONDS,)
        )
        row = self._connection.execute(
            "SELECT fingerprint, request_id, status, body FROM replies WHERE idempotency_key = ?",
            (idempotency_key,),
        ).fetchone()
        if row is None:
            return None
        return Reply(fingerprint=row[0], request_id=row[1], status=row[2], body=json.loads(row[3]))

    def keep_reply(self, idempotency_key: str, reply: Reply) -> None:
        """Answer the same from now on."""
        self._connection.execute(
            "INSERT INTO replies VALUES (?, ?, ?, ?, ?, ?)",
            (
                idempotency_key,
                reply.fingerprint,
                reply.request_id,
                reply.status,
                json.dumps(reply.body),
                int(self.now),
            ),
        )


class Store:
    """Opens transactions on the file; a connection lives as long as its transaction."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        path.parent.mkdir(parents=True, exist_ok=True)
        self._prepare()

    @contextmanager
    def write(self) -> Iterator[Books]:
        """A transaction that may change things; it holds the only write lock from the start."""
        with self._transaction("BEGIN IMMEDIATE") as books:
            yield books

    @contextmanager
    def read(self) -> Iterator[Books]:
        """A consistent look that waits for nobody."""
        with self._transaction("BEGIN") as books:
            yield books

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Books]:
        connection = self._connect()
        try:
            connection.execute(begin)
            try:
                # The clock is read after the lock was won: time never runs backwards in the file.
                yield Books(connection, now=self._clock())
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        finally:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    def _prepare(self) -> None:
        # Switching to WAL takes the file for itself and does not honour the busy timeout, so
        # processes that start together have to take turns.
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            connection = self._connect()
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(SCHEMA)
                return
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            finally:
                connection.close()
