"""Partitions as their catalogue is projected, and what Valkey confirms of it."""

from collections.abc import Mapping

from django.db import connection

from gate.store.snapshots import PartitionState
from partitions.models import Partition

# Locked in the order of their numbers: of two that record at once, neither waits for the other.
_RECORD = """
WITH confirmed AS (
    SELECT partition.index, new.pushes
    FROM accounts_partition AS partition
    JOIN unnest(%s::smallint[], %s::bigint[]) AS new (index, pushes) USING (index)
    WHERE partition.pushes < new.pushes
    ORDER BY partition.index
    FOR UPDATE OF partition
)
UPDATE accounts_partition AS partition SET pushes = confirmed.pushes
FROM confirmed WHERE partition.index = confirmed.index
"""


def record_pushes(pushes: Mapping[int, int]) -> None:
    """Remember how many projections partitions have confirmed, by the numbers of these."""
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, [list(pushes), list(pushes.values())])


def partition_states() -> list[PartitionState]:
    """Every partition, in order."""
    return [_state(partition) for partition in Partition.objects.order_by("index")]


def partition_state(index: int) -> PartitionState:
    """One partition."""
    return _state(Partition.objects.get(pk=index))


def _state(partition: Partition) -> PartitionState:
    return PartitionState(
        index=partition.index,
        epoch=partition.epoch,
        pushes=partition.pushes,
        drained_id=partition.drained_id,
    )
