"""The drain: charges leave Valkey's streams and become rollups, spent boosts and ledger rows.

Exactly once: the rows and the cursor of a partition change in one transaction, and entries are
trimmed from the stream only after it has committed. A drain that dies anywhere is repeated from
the cursors. One worker at a time drains a partition, so any number of them may run. All that have
something are drained together, because a transaction and its queries cost more than its charges.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import IntEnum
from itertools import islice

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from accounts.models import Account, Partition
from gate.store import connection, hot_state
from gate.store.hot_state import HOUR_MS, Entry, RawEntry
from gate.terms import week
from quotas.models.ledger import CreditEntry
from quotas.models.used import ChargeMark, UsageRollup

logger = logging.getLogger(__name__)

# Entries of one transaction, of all its partitions together, and of one partition.
_BATCH = 20_000
_OF_A_PARTITION = 2_000
# So many partitions are read or trimmed in one round trip: Valkey answers no check meanwhile.
_AT_ONCE = 4


def drain() -> int:
    """Drain every partition that has something; answers how many entries were drained."""
    drained = 0
    waiting = _partitions_with_entries()
    while waiting:
        at_most = _at_most(waiting)
        moved = _drain(waiting, at_most=at_most)
        drained += sum(moved.values())
        # Those with as much as was asked for may have more.
        waiting = [index for index, count in moved.items() if count == at_most]
    return drained


def drain_fully(indexes: Iterable[int], *, within_seconds: float | None = None) -> None:
    """Drain what partitions hold now, after whoever is at them.

    What another drain has read counts only once that has committed, and nothing in Valkey tells
    that it is under way: the stream may have been emptied since. So this always waits for it.
    within_seconds: OperationalError when the other drain takes longer.
    """
    waiting = sorted(indexes)
    while waiting:
        at_most = _at_most(waiting)
        moved = _drain(waiting, at_most=at_most, wait=True, within_seconds=within_seconds)
        waiting = [index for index, count in moved.items() if count == at_most]


def newest_id_of(stream: dict[str, bytes] | None) -> str:
    """The newest id that a stream gave out, drained or not, of what XINFO STREAM says of it.

    None where there is no stream: "0-0".
    """
    return "0-0" if stream is None else stream["last-generated-id"].decode()


def drain_partition(index: int) -> int:
    """Drain one batch of one partition; 0 when there is nothing or another worker is at it."""
    return _drain([index], at_most=_OF_A_PARTITION).get(index, 0)


def _at_most(indexes: Sequence[int]) -> int:
    """How many entries of each partition a transaction takes."""
    return max(1, min(_OF_A_PARTITION, _BATCH // len(indexes)))


def _drain(
    indexes: Sequence[int],
    *,
    at_most: int,
    wait: bool = False,
    within_seconds: float | None = None,
) -> dict[int, int]:
    """Drain some entries of partitions together; answers how many of each that was free."""
    with transaction.atomic():
        ours = lock_drains(Drain.CHARGES, indexes, wait=wait, within_seconds=within_seconds)
        mine = Partition.objects.in_bulk(ours)
        cursors = {index: partition.drained_id for index, partition in mine.items()}
        found = _raw_entries(cursors, at_most=at_most)
        moved = {index: len(entries) for index, entries in found.items()}
        drained = [mine[index] for index, entries in found.items() if entries]
        if drained:
            _record(found)
            now = timezone.now()
            for partition in drained:
                partition.drained_id = found[partition.index][-1][0].decode()
                partition.drained_at = now
            Partition.objects.bulk_update(drained, ["drained_id", "drained_at"])
        # What an earlier drain wrote down but did not come to trim goes, too.
        done = {index: partition.drained_id for index, partition in mine.items()}
        transaction.on_commit(lambda: _trim(done))
    return moved


class Drain(IntEnum):
    """What is drained; both of a partition may be drained at once."""

    CHARGES = 1
    REFUSALS = 2


def lock_drains(
    what: Drain,
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


def order_of(entry_id: str) -> tuple[int, int]:
    """What ids of a stream are compared by: milliseconds, then sequence."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence)


def undrained(index: int, *, after: str, at_most: int) -> list[Entry]:
    """Entries of a partition's stream that follow an id, oldest first."""
    found = _raw_entries({index: after}, at_most=at_most)
    return [hot_state.read_entry(*raw) for raw in found[index]]


def _partitions_with_entries() -> list[int]:
    client = connection.sync_client(settings.REDIS_URL)
    with client.pipeline(transaction=False) as pipe:
        for index in range(hot_state.PARTITIONS):
            pipe.xlen(hot_state.stream_name(index))
        return [index for index, length in enumerate(pipe.execute()) if length]


def _raw_entries(cursors: Mapping[int, str], *, at_most: int) -> dict[int, list[RawEntry]]:
    """Entries of streams that follow an id each, so many of each at the most."""
    client = connection.sync_client(settings.REDIS_URL)
    found: dict[int, list[RawEntry]] = {}
    for some in _a_few(cursors):
        with client.pipeline(transaction=False) as pipe:
            for index in some:
                stream = hot_state.stream_name(index)
                pipe.xrange(stream, min=f"({cursors[index]}", count=at_most)
            found |= zip(some, pipe.execute(), strict=True)
    return found


def _trim(done: Mapping[int, str]) -> None:
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


# Charges that are alike, and how many of them.
_Counted = tuple[Entry, int]


def _record(found: Mapping[int, list[RawEntry]]) -> None:
    """Write down what was found in the streams of partitions."""
    entries = [counted for raw in found.values() for counted in hot_state.read_alike(raw)]
    ranges = {
        index: f"drain:{index}:{raw[0][0].decode()}:{raw[-1][0].decode()}"
        for index, raw in found.items()
        if raw
    }
    handles = {entry.handle for entry, _ in entries}
    account_ids = dict(Account.objects.filter(handle__in=handles).values_list("handle", "pk"))
    unknown = handles - account_ids.keys()
    if unknown:
        # Accounts are never deleted; a stream of another database is the likely reason.
        logger.error("charges of %s unknown accounts are dropped", len(unknown))
    known = [counted for counted in entries if counted[0].handle in account_ids]
    _add_to_rollups(known, account_ids)
    _add_to_boosts(known)
    _add_to_ledger(known, account_ids, ranges)
    _mark_keys_used(known)
    _keep_marks(known, account_ids)


_ALLOWANCE, _BOOST, _CREDITS = (
    UsageRollup.Source.ALLOWANCE.value,
    UsageRollup.Source.BOOST.value,
    UsageRollup.Source.CREDITS.value,
)


def _add_to_rollups(entries: Iterable[_Counted], account_ids: dict[str, int]) -> None:
    # By account, key, meter, hour since 1970 and source: chats and credits.
    totals: dict[tuple[int, int, str, int, str], list[int]] = defaultdict(lambda: [0, 0])
    for entry, count in entries:
        key = (account_ids[entry.handle], entry.key_id, entry.meter, _hour_number(entry))
        if entry.allowance:
            totals[*key, _ALLOWANCE][0] += count * entry.allowance
        if entry.boosts:
            totals[*key, _BOOST][0] += count * entry.boost_chats
        if entry.credit_chats or entry.credits:
            of_credits = totals[*key, _CREDITS]
            of_credits[0] += count * entry.credit_chats
            of_credits[1] += count * entry.credits
    if not totals:
        return
    # In one order everywhere: two drains that meet in the same rows cannot wait for each other.
    rows = [
        (account_id, key_id, meter, _hour(number), source, *amounts)
        for (account_id, key_id, meter, number, source), amounts in sorted(totals.items())
    ]
    with database.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO quotas_usagerollup
                (account_id, key_id, meter, hour, source, chats, credits)
            SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[],
                                 %s::text[], %s::bigint[], %s::bigint[])
            ON CONFLICT (account_id, hour, key_id, meter, source) DO UPDATE
            SET chats = quotas_usagerollup.chats + EXCLUDED.chats,
                credits = quotas_usagerollup.credits + EXCLUDED.credits
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )


def hour_of(entry: Entry) -> datetime:
    """The hour a charge counts in; never before the week that it counts in.

    A clock that runs behind charges to the week that the gate has opened already.
    """
    return _hour(_hour_number(entry))


def _hour_number(entry: Entry) -> int:
    return max(entry.at_ms, week.starts_ms(entry.week)) // HOUR_MS


def _hour(number: int) -> datetime:
    return datetime.fromtimestamp(number * 3600, UTC)


def _add_to_boosts(entries: Iterable[_Counted]) -> None:
    spent: dict[int, int] = defaultdict(int)
    for entry, count in entries:
        for boost_id, chats in entry.boosts:
            spent[boost_id] += count * chats
    if not spent:
        return
    with database.cursor() as cursor:
        cursor.execute(
            """
            UPDATE quotas_boost AS boost SET spent = boost.spent + used.chats
            FROM unnest(%s::bigint[], %s::bigint[]) AS used (id, chats)
            WHERE boost.id = used.id
            """,
            [list(spent), list(spent.values())],
        )


def _add_to_ledger(
    entries: Iterable[_Counted], account_ids: dict[str, int], ranges: Mapping[int, str]
) -> None:
    spent: dict[str, int] = defaultdict(int)
    for entry, count in entries:
        spent[entry.handle] += count * entry.credits
    CreditEntry.objects.bulk_create(
        CreditEntry(
            account_id=account_ids[handle],
            credits=-credits,
            kind=CreditEntry.Kind.SPEND,
            source_ref=f"{ranges[hot_state.partition_of(handle)]}:{handle}",
        )
        for handle, credits in sorted(spent.items())
        if credits
    )


def _mark_keys_used(entries: Iterable[_Counted]) -> None:
    used_at: dict[int, int] = {}
    for entry, _ in entries:
        used_at[entry.key_id] = max(entry.at_ms, used_at.get(entry.key_id, 0))
    with database.cursor() as cursor:
        cursor.execute(
            """
            UPDATE keys_apikey AS key
            SET last_used_at = GREATEST(key.last_used_at, to_timestamp(used.at_ms / 1000.0))
            FROM unnest(%s::bigint[], %s::bigint[]) AS used (id, at_ms)
            WHERE key.id = used.id
            """,
            [list(used_at), list(used_at.values())],
        )


def _keep_marks(entries: Iterable[_Counted], account_ids: dict[str, int]) -> None:
    # The last one of a charge says what happened to it in the end.
    marks = {
        (account_ids[entry.handle], entry.mark.charge_ref): ChargeMark(
            account_id=account_ids[entry.handle],
            charge_ref=entry.mark.charge_ref,
            content=entry.mark.content,
            made_at=datetime.fromtimestamp(order_of(entry.entry_id)[0] / 1000, UTC),
        )
        for entry, _ in entries
        if entry.mark is not None
    }
    ChargeMark.objects.bulk_create(
        marks.values(),
        update_conflicts=True,
        unique_fields=["account", "charge_ref"],
        update_fields=["content", "made_at"],
    )
