"""The streams of charges in Valkey, one of each partition: reading them and trimming what is done.

An entry stays until it is in PostgreSQL. Everything here raises RedisError or OSError when Valkey
gives no answer.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice

from django.conf import settings

from gate.store import connection, hot_state
from gate.store.hot_state import QUARTER_MS, Entry, RawEntry
from gate.terms import week

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


def newest_id_of(stream: dict[str, bytes] | None) -> str:
    """The newest id that a stream gave out, drained or not, of what XINFO STREAM says of it.

    None where there is no stream: "0-0".
    """
    return "0-0" if stream is None else stream["last-generated-id"].decode()


def order_of(entry_id: str) -> tuple[int, int]:
    """What ids of a stream are compared by: milliseconds, then sequence."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence)


def hour_of(entry: Entry) -> datetime:
    """The hour a charge counts in; never before the week that it counts in.

    A clock that runs behind charges to the week that the gate has opened already.
    """
    return hour(hour_number(entry))


def hour_number(entry: Entry) -> int:
    """The same in hours since 1970, which is cheaper to count by."""
    return quarter_number(entry) // 4


def quarter_number(entry: Entry) -> int:
    """The same in quarters of an hour since 1970: no zone's day begins within one."""
    return max(entry.at_ms, week.starts_ms(entry.week)) // QUARTER_MS


def hour(number: int) -> datetime:
    """When an hour begins that is numbered since 1970."""
    return datetime.fromtimestamp(number * 3600, UTC)
