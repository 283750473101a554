"""The one SQLite file that several web processes share, and transactions on it.

Every change is one `BEGIN IMMEDIATE` transaction, so two processes never act on the same session,
sending or timer at once, and nothing is lost between an act and the events it causes.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stripe_sandbox.books import ON_THE_PAGE, Books, Cause
from stripe_sandbox.configuration import Configuration

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
CREATE TABLE IF NOT EXISTS timers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    act TEXT NOT NULL,
    object_id TEXT NOT NULL,
    due_at REAL NOT NULL,
    clock TEXT NOT NULL DEFAULT 'real',
    UNIQUE (act, object_id)
);
CREATE INDEX IF NOT EXISTS timers_by_moment ON timers (clock, due_at);
CREATE TABLE IF NOT EXISTS sendings (
    event_id TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    begun_at REAL NOT NULL,
    due_at REAL NOT NULL,
    again INTEGER NOT NULL DEFAULT 0,
    UNIQUE (event_id, endpoint_id)
);
CREATE INDEX IF NOT EXISTS pending_sendings ON sendings (due_at) WHERE state = 'pending';
CREATE TABLE IF NOT EXISTS replies (
    idempotency_key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    request_id TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    created INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

# What a file of the first version has instead.
UPGRADES = {
    "settlements": """
INSERT OR IGNORE INTO timers (act, object_id, due_at)
    SELECT outcome, json_extract(body, '$.payment_intent'), due_at FROM settlements
    JOIN objects ON objects.id = session_id
""",
    "deliveries": """
INSERT OR IGNORE INTO sendings (event_id, endpoint_id, state, attempts, begun_at, due_at)
    SELECT event_id, '', state, attempts, due_at, due_at FROM deliveries
""",
}
READY_AT = "ALTER TABLE replies ADD COLUMN ready_at REAL NOT NULL DEFAULT 0"
BUSY_SECONDS = 10.0


class Store:
    """Opens transactions on the file; a connection lives as long as its transaction."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        path.parent.mkdir(parents=True, exist_ok=True)
        self._prepare()

    @contextmanager
    def write(self, configuration: Configuration, *, cause: Cause = ON_THE_PAGE) -> Iterator[Books]:
        """A transaction that may change things; it holds the only write lock from the start."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            # The clock is read after the lock was won: time never runs backwards in the file.
            yield Books(connection, now=self._clock(), configuration=configuration, cause=cause)

    @contextmanager
    def read(self, configuration: Configuration) -> Iterator[Books]:
        """A consistent look that waits for nobody."""
        with self._transaction("BEGIN") as connection:
            yield Books(connection, now=self._clock(), configuration=configuration)

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        connection = self._connect()
        try:
            connection.execute(begin)
            try:
                yield connection
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
                break
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            finally:
                connection.close()
        with self._transaction("BEGIN IMMEDIATE") as connection:
            _upgrade(connection)


def _upgrade(connection: sqlite3.Connection) -> None:
    columns = {row[1] for row in connection.execute("PRAGMA table_info(replies)")}
    if "ready_at" not in columns:
        connection.execute(READY_AT)
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    for table, moving in UPGRADES.items():
        if table in tables:
            connection.execute(moving)
            connection.execute(f"DROP TABLE {table}")
