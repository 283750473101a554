"""A file that the first version of the sandbox left behind."""

import json
import sqlite3
from pathlib import Path

from tests.stripe_sandbox.running_sandbox import Receiver, running

FIRST_VERSION = """
CREATE TABLE objects (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL, parent TEXT, created INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE settlements (
    session_id TEXT PRIMARY KEY, due_at REAL NOT NULL, outcome TEXT NOT NULL);
CREATE TABLE deliveries (event_id TEXT PRIMARY KEY, state TEXT NOT NULL DEFAULT 'pending',
    attempts INTEGER NOT NULL DEFAULT 0, due_at REAL NOT NULL);
CREATE TABLE replies (idempotency_key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL,
    request_id TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL,
    created INTEGER NOT NULL);
"""


def test_what_waited_in_a_file_of_the_first_version_goes_on(
    tmp_path: Path, receiver: Receiver
) -> None:
    path = tmp_path / "old.sqlite3"
    event = {
        "id": "evt_old",
        "object": "event",
        "type": "checkout.session.expired",
        "data": {"object": {"id": "cs_old", "object": "checkout.session"}},
    }
    with sqlite3.connect(path) as connection:
        connection.executescript(FIRST_VERSION)
        connection.execute(
            "INSERT INTO objects (id, kind, parent, created, body) VALUES (?, ?, ?, ?, ?)",
            ("evt_old", "event", "cs_old", 1, json.dumps(event)),
        )
        connection.execute("INSERT INTO deliveries (event_id, due_at) VALUES ('evt_old', 0)")
    connection.close()
    with running(path, receiver) as sandbox:
        receiver.wait_for("checkout.session.expired")
        assert sandbox.session().status == "open"
    with running(path, receiver) as sandbox:
        assert sandbox.session().status == "open"
