"""The streams of charges in Valkey, one of each partition: reading them and trimming what is done.

An entry stays until it is in PostgreSQL. Everything here raises RedisError or OSError when Valkey
gives no answer.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from django.conf import settings

from gate.store import connection, hot_state
from gate.store.hot_state import QUARTER_MS, Entry, RawEntry
from gate.terms import week
from quotas.models.used import Source

# So many partitions are read or trimmed in one round trip: Valkey answers no check meanwhile.
_AT_ONCE = 4


def partitions_with_entries() -> list[int]:
    """The partitions whose stream holds something, drained or not."""
    client = connection.sync_client(settings.REDIS_URL)
    with client.pipeline(transaction=False) as pipe:
        for index in range(hot_state.PARTITIONS):
            pipe.xlen(hot_state.stream_name(index))
        return [index for index, length in enumerate(pipe.execute()) if length]


def entries_after(entry_id: str, *, index: int, at_most: int) -> list[Entry]:
    """Entries of one partition that follow an id, oldest first."""
    found = raw_entries_after({index: entry_id}, at_most=at_most)
    return [hot_state.read_entry(*raw) for raw in found[index]]


def raw_entries_after(cursors: Mapping[int, str], *, at_most: int) -> dict[int, list[RawEntry]]:
    """Entries of partitions that follow an id each, so many of each at the most."""
    client = connection.sync_client(settings.REDIS_URL)
    found: dict[int, list[RawEntry]] = {}
    for some in _a_few(cursors):
        with client.pipeline(transaction=False) as pipe:
            for index in some:
                stream = hot_state.stream_name(index)
                pipe.xrange(stream, min=f"({cursors[index]}", count=at_most)
            found |= zip(some, pipe.execute(), strict=True)
    return found


def raw_entries_until(cursors: Mapping[int, str], *, at_most: int) -> dict[int, list[RawEntry]]:
    """Entries of partitions up to an id each, with it; so many of each, the newest first."""
    client = connection.sync_client(settings.REDIS_URL)
    found: dict[int, list[RawEntry]] = {}
    for some in _a_few(cursors):
        with client.pipeline(transaction=False) as pipe:
            for index in some:
                stream = hot_state.stream_name(index)
                pipe.xrevrange(stream, max=cursors[index], count=at_most)
            found |= zip(some, pipe.execute(), strict=True)
    return found


def trim(done: Mapping[int, str]) -> None:
    """Remove entries of partitions up to an id each, with it. Only what PostgreSQL has."""
    client = connection.sync_client(settings.REDIS_URL)
    for some in _a_few(done):
        with client.pipeline(transaction=False) as pipe:
            for index in some:
                milliseconds, sequence = order_of(done[index])
                first_kept = f"{milliseconds}-{sequence + 1}"
                pipe.xtrim(hot_state.stream_name(index), minid=first_kept, approximate=False)
            pipe.execute()


def _a_few(indexes: Iterable[int]) -> Iterator[list[int]]:
    waiting = iter(indexes)
    while some := list(islice(waiting, _AT_ONCE)):
        yield some


def read_raw(answered: Iterable[Any]) -> list[RawEntry]:
    """Entries as a range of a stream is answered in a transaction.

    There the client of a cluster leaves fields and values in one list.
    """
    return [
        (entry_id, fields if isinstance(fields, Mapping) else _by_name(fields))
        for entry_id, fields in answered
    ]


def _by_name(parts: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(parts[::2], parts[1::2], strict=True))


def newest_id_of(stream: Mapping[Any, bytes] | None) -> str:
    """The newest id that a stream gave out, drained or not, of what XINFO STREAM says of it.

    None where there is no stream: "0-0". The client of a cluster leaves names in bytes.
    """
    if stream is None:
        return "0-0"
    name = "last-generated-id"
    return (stream[name] if name in stream else stream[name.encode()]).decode()


def order_of(entry_id: str) -> tuple[int, int]:
    """What ids of a stream are compared by: milliseconds, then sequence."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence)


def paid(entry: Entry) -> Iterator[tuple[Source, int, int]]:
    """What paid for a charge: source, chats and credits; negative in a refund."""
    if entry.allowance:
        yield Source.ALLOWANCE, entry.allowance, 0
    if entry.boosts:
        yield Source.BOOST, entry.boost_chats, 0
    if entry.credit_chats or entry.credits:
        yield Source.CREDITS, entry.credit_chats, entry.credits


def counted_at(entry: Entry) -> datetime:
    """When a charge counts, to the quarter of an hour, as rollups know it."""
    return datetime.fromtimestamp(quarter_number(entry) * 900, UTC)


def hour_number(entry: Entry) -> int:
    """The hour a charge counts in, since 1970."""
    return quarter_number(entry) // 4


def quarter_number(entry: Entry) -> int:
    """The quarter of an hour a charge counts in, since 1970: no zone's day begins within one.

    Never before the week that it counts in: a clock that runs behind charges to the week that the
    gate has opened already.
    """
    return max(entry.at_ms, week.starts_ms(entry.week)) // QUARTER_MS
