"""Refusals leave Valkey's counts and become rollups, exactly once.

The counts of a partition are renamed before they are read, so that new ones go elsewhere; a batch
name, stored in the same transaction as the rows, says whether a renamed hash was counted already.
"""

from collections import defaultdict
from datetime import UTC, datetime
from typing import cast
from uuid import uuid4

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from redis.exceptions import ResponseError

from accounts.models import Account
from gate.store import connection, hot_state
from partitions.models import Partition
from quotas.usage import locks
from quotas.usage.locks import Drained

_BATCH_FIELD = b"batch"


def move_all() -> int:
    """Move the refusal counts of every partition; answers how many refusals were counted."""
    client = connection.sync_client(settings.REDIS_URL)
    with client.pipeline(transaction=False) as pipe:
        for index in range(hot_state.PARTITIONS):
            pipe.exists(hot_state.refusals_name(index))
            pipe.exists(_draining(index))
        there = pipe.execute()
    return sum(
        _move_of(index)
        for index in range(hot_state.PARTITIONS)
        if there[2 * index] or there[2 * index + 1]
    )


def _move_of(index: int) -> int:
    """Move the counts of one partition; 0 when another worker is at it."""
    client = connection.sync_client(settings.REDIS_URL)
    draining = _draining(index)
    with transaction.atomic():
        if not locks.take(Drained.REFUSALS, [index]):
            return 0
        partition = Partition.objects.get(pk=index)
        if not client.exists(draining):
            try:
                client.rename(hot_state.refusals_name(index), draining)
            except ResponseError:
                return 0
        client.hsetnx(draining, _BATCH_FIELD, uuid4().hex)
        counts = cast(dict[bytes, bytes], client.hgetall(draining))
        batch = counts.pop(_BATCH_FIELD).decode()
        refusals = 0
        if partition.refusals_batch != batch:
            refusals = _record(counts)
            partition.refusals_batch = batch
            partition.save(update_fields=["refusals_batch"])
        transaction.on_commit(lambda: client.delete(draining))
    return refusals


def _draining(index: int) -> str:
    return hot_state.refusals_name(index) + ":draining"


def _record(counts: dict[bytes, bytes]) -> int:
    totals: dict[tuple[str, int, datetime, str], int] = defaultdict(int)
    for name, count in counts.items():
        handle, key_id, hour, reason = name.decode().split("|")
        at = datetime.fromtimestamp(int(hour) * 3600, UTC)
        totals[handle, int(key_id), at, reason] += int(count)
    handles = {handle for handle, *_ in totals}
    account_ids = dict(Account.objects.filter(handle__in=handles).values_list("handle", "pk"))
    rows = sorted(
        (account_ids[handle], key_id, hour, reason, count)
        for (handle, key_id, hour, reason), count in totals.items()
        if handle in account_ids
    )
    if rows:
        with database.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO quotas_refusalrollup (account_id, key_id, hour, reason, refusals)
                SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[], %s::text[],
                                     %s::bigint[])
                ON CONFLICT (account_id, hour, key_id, reason) DO UPDATE
                SET refusals = quotas_refusalrollup.refusals + EXCLUDED.refusals
                """,
                [list(column) for column in zip(*rows, strict=True)],
            )
    return sum(count for *_, count in rows)
