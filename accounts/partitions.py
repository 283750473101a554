"""What PostgreSQL remembers of the partitions in Valkey."""

from accounts.models import Partition
from gate.store.snapshots import PartitionState


def record_pushes(index: int, pushes: int) -> None:
    """Remember how many projections a partition has confirmed."""
    Partition.objects.filter(pk=index, pushes__lt=pushes).update(pushes=pushes)


def partition_states() -> list[PartitionState]:
    """Every partition, as its catalogue is projected."""
    return [_state(partition) for partition in Partition.objects.order_by("index")]


def partition_state(index: int) -> PartitionState:
    """One partition, as its catalogue is projected."""
    return _state(Partition.objects.get(pk=index))


def _state(partition: Partition) -> PartitionState:
    return PartitionState(
        index=partition.index,
        epoch=partition.epoch,
        pushes=partition.pushes,
        drained_id=partition.drained_id,
    )
