"""The first answer to every idempotency key, kept for a day."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

KEPT_SECONDS = 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The stored answer, which is not given before `ready_at`: its first request still hangs."""

    fingerprint: str
    request_id: str
    status: int
    body: dict[str, Any]
    ready_at: float


class Replies:
    """The replies of one transaction's view."""

    def __init__(self, connection: sqlite3.Connection, *, now: float) -> None:
        self._connection = connection
        self._now = now

    def get(self, idempotency_key: str) -> Reply | None:
        """The first answer given under this key in the last day."""
        self._connection.execute(
            "DELETE FROM replies WHERE created < ?", (self._now - KEPT_SECONDS,)
        )
        row = self._connection.execute(
            "SELECT fingerprint, request_id, status, body, ready_at FROM replies"
            " WHERE idempotency_key = ?",
            (idempotency_key,),
        ).fetchone()
        if row is None:
            return None
        return Reply(
            fingerprint=row[0],
            request_id=row[1],
            status=row[2],
            body=json.loads(row[3]),
            ready_at=row[4],
        )

    def keep(self, idempotency_key: str, reply: Reply) -> None:
        """Answer the same from now on."""
        self._connection.execute(
            "INSERT INTO replies"
            " (idempotency_key, fingerprint, request_id, status, body, created, ready_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                idempotency_key,
                reply.fingerprint,
                reply.request_id,
                reply.status,
                json.dumps(reply.body),
                int(self._now),
                reply.ready_at,
            ),
        )
