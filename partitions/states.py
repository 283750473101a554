"""Partitions as their catalogue is projected, and what Valkey confirms of it."""

from gate.store.snapshots import PartitionState
from partitions.models import Partition


def record_pushes(index: int, pushes: int) -> None:
    """Remember how many projections a partition has confirmed."""
    Partition.objects.filter(pk=index, pushes__lt=pushes).update(pushes=pushes)


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
