"""One at a time drains a partition, whichever process that is."""

from collections.abc import Sequence
from enum import IntEnum

from django.db import connection as database


class Drained(IntEnum):
    """What is drained; both of a partition may be drained at once."""

    CHARGES = 1
    REFUSALS = 2


def take(
    what: Drained,
    indexes: Sequence[int],
    *,
    wait: bool = False,
    within_seconds: float | None = None,
) -> list[int]:
    """Be the only one who drains these partitions until the transaction ends.

    Answers those that nobody else is at; with `wait`, all of them, or OperationalError when that
    takes longer than `within_seconds` for one. Who waits names them in order, so that two who wait
    do not wait for each other. Not locks on the partitions' rows: a push that counts itself there
    would wait for a whole batch.
    """
    with database.cursor() as cursor:
        if within_seconds is not None:
            # Until the transaction ends, as the lock.
            cursor.execute(
                "SELECT set_config('lock_timeout', %s, true)", [f"{within_seconds * 1000:.0f}ms"]
            )
        cursor.execute(_LOCK if wait else _LOCK_WHAT_IS_FREE, [what, list(indexes)])
        return [index for index, is_ours in cursor.fetchall() if wait or is_ours]


_LOCK = "SELECT i, pg_advisory_xact_lock(%s, i) FROM unnest(%s::int[]) AS i"
_LOCK_WHAT_IS_FREE = "SELECT i, pg_try_advisory_xact_lock(%s, i) FROM unnest(%s::int[]) AS i"
