"""Noticing that Valkey knows less than PostgreSQL, and loading every account again.

An older copy of Valkey's files answers as if nothing had happened: accounts are there, with old
counters, old boosts, even revoked keys. Two things give it away: a stream whose newest id is older
than what was drained, and fewer projections than were confirmed. The epoch of such a partition is
raised, and no account of it is served before it was loaded anew.
"""

import logging
from collections.abc import Iterable

from django.conf import settings
from django.db import transaction
from redis import Redis, RedisCluster
from redis.exceptions import ResponseError

from gate.store import connection, durability, hot_state, snapshots
from gate.store.durability import Examined
from partitions.models import Partition
from partitions.states import partition_state, record_pushes
from quotas import catalogue
from quotas.usage import drain, stream

logger = logging.getLogger(__name__)


class CannotTrust(Exception):
    """The server may forget what it is told; the message says why and what to set."""


def verify() -> list[int]:
    """Look at every partition; answers those whose accounts are loaded again.

    Raises CannotTrust for a server that evicts or does not persist, unless a setting allows it.
    """
    require_durable()
    client = connection.sync_client(settings.REDIS_URL)
    behind = _behind(client, Partition.objects.order_by("index"))
    for index in behind:
        logger.error("partition %s: Valkey holds an older copy; its accounts load again", index)
        raise_epoch(index, only_if_behind=True)
    return behind


def require_durable() -> None:
    """Look at every server. Raises CannotTrust for one that evicts or does not persist.

    A setting may allow it: then there is a warning.
    """
    for server in examine_servers():
        reasons = server.forgetful
        if not reasons:
            continue
        message = f"REDIS_URL names a server that forgets: {'; '.join(reasons)}."
        if not settings.ALLOW_FORGETFUL_REDIS:
            raise CannotTrust(f"{message} Development may allow it with ALLOW_FORGETFUL_REDIS=yes.")
        logger.warning("%s Allowed by ALLOW_FORGETFUL_REDIS.", message)


def examine_servers(*, patience: float | None = None) -> list[Examined]:
    """What every server says of itself. RedisError or OSError when one gives no answer.

    patience: seconds that a server may take to answer.
    """
    url = settings.REDIS_URL
    client = (
        connection.sync_client(url)
        if patience is None
        else connection.sync_client(url, patience=patience)
    )
    servers = (
        [node.redis_connection for node in client.get_primaries()]  # type: ignore[no-untyped-call]
        if isinstance(client, RedisCluster)
        else [client]
    )
    return [durability.examine(server) for server in servers]


def rebuild() -> int:
    """Load every account of every partition again; answers how many partitions."""
    drain.move_all()
    for index in range(hot_state.PARTITIONS):
        raise_epoch(index)
    return hot_state.PARTITIONS


def raise_epoch(index: int, *, only_if_behind: bool = False) -> None:
    """Make every account of a partition cold, for good if PostgreSQL has committed."""
    client = connection.sync_client(settings.REDIS_URL)
    with transaction.atomic():
        partition = Partition.objects.select_for_update().get(pk=index)
        # Another process may have seen the same and been faster.
        if only_if_behind and not _behind(client, [partition]):
            return
        partition.epoch += 1
        partition.save(update_fields=["epoch"])
    call = snapshots.put_catalogue_call(partition_state(index), catalogue.snapshot())
    _, pushes = hot_state.run(client, call)
    record_pushes({index: pushes})


def _behind(client: Redis | RedisCluster, partitions: Iterable[Partition]) -> list[int]:
    """The partitions that Valkey knows less of than these rows say, in one round trip."""
    rows = list(partitions)
    with client.pipeline(transaction=False) as pipe:
        for row in rows:
            pipe.hmget(hot_state.catalogue_name(row.index), ["epoch", "pushes"])
            pipe.xinfo_stream(hot_state.stream_name(row.index))
        answers = pipe.execute(raise_on_error=False)
    for answer in answers:
        # That there is no stream is an answer, too.
        if isinstance(answer, Exception) and str(answer) != "no such key":
            raise answer
    return [
        row.index
        for row, known, told in zip(rows, answers[::2], answers[1::2], strict=True)
        if _knows_less(row, known, told)
    ]


def _knows_less(
    partition: Partition,
    known: list[bytes | None],
    told: dict[str, bytes] | ResponseError,
) -> bool:
    if known[0] is None:
        # Nothing is served from a partition without a catalogue; loading it brings the epoch.
        return False
    if int(known[0]) < partition.epoch or int(known[1] or 0) < partition.pushes:
        return True
    newest = stream.newest_id_of(None if isinstance(told, ResponseError) else told)
    return stream.order_of(newest) < stream.order_of(partition.drained_id)
