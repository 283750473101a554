"""The drain: charges leave Valkey's streams and become rollups, spent boosts and ledger rows.

Exactly once: the rows and the cursor of a partition change in one transaction, and entries are
trimmed from the stream only after it has committed. A drain that dies anywhere is repeated from
the cursor. One worker at a time drains a partition, so any number of them may run.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import IntEnum
from typing import cast

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.utils import timezone
from redis.exceptions import ResponseError

from accounts.models import Account, Partition
from gate import connection, hot_state, week
from gate.hot_state import Entry
from quotas.models import ChargeMark, CreditEntry, UsageRollup

logger = logging.getLogger(__name__)

_BATCH = 5_000
_HOUR_MS = 3600 * 1000


def drain() -> int:
    """Drain every partition that has something; answers how many entries were drained."""
    client = connection.sync_client(settings.REDIS_URL)
    drained = 0
    for index in range(hot_state.PARTITIONS):
        if client.xlen(hot_state.stream_name(index)):
            while (entries := drain_partition(index)) > 0:
                drained += entries
                if entries < _BATCH:
                    break
    return drained


def drain_partition_fully(index: int) -> None:
    """Drain what stands in a partition's stream now, waiting for whoever is at it."""
    goal = order_of(newest_id(index))
    while order_of(Partition.objects.get(pk=index).drained_id) < goal:
        if drain_partition(index, wait=True) == 0:
            # What the newest id belonged to is trimmed already.
            return


def newest_id(index: int) -> str:
    """The newest id that a partition's stream gave out, drained or not; "0-0" without a stream."""
    client = connection.sync_client(settings.REDIS_URL)
    try:
        newest = cast(bytes, client.xinfo_stream(hot_state.stream_name(index))["last-generated-id"])
    except ResponseError:
        # Nothing was ever charged here, or Valkey was emptied.
        return "0-0"
    return newest.decode()


def drain_partition(index: int, *, wait: bool = False) -> int:
    """Drain one batch of one partition; 0 when there is nothing or another worker is at it."""
    with transaction.atomic():
        if not lock_drain(Drain.CHARGES, index, wait=wait):
            return 0
        partition = Partition.objects.get(pk=index)
        entries = undrained(index, after=partition.drained_id, at_most=_BATCH)
        if entries:
            _record(index, entries)
            partition.drained_id = entries[-1].entry_id
            partition.drained_at = timezone.now()
            partition.save(update_fields=["drained_id", "drained_at"])
        done = partition.drained_id
        transaction.on_commit(lambda: _trim(index, done))
    return len(entries)


class Drain(IntEnum):
    """What is drained; both of a partition may be drained at once."""

    CHARGES = 1
    REFUSALS = 2


def lock_drain(what: Drain, index: int, *, wait: bool = False) -> bool:
    """Be the only one who drains a partition until the transaction ends; False if somebody is.

    Not a lock on the partition's row: a push that counts itself there would wait for a whole batch.
    """
    lock = "pg_advisory_xact_lock" if wait else "pg_try_advisory_xact_lock"
    with database.cursor() as cursor:
        cursor.execute(f"SELECT {lock}(%s, %s)", [what, index])
        return wait or bool(cursor.fetchone()[0])


def order_of(entry_id: str) -> tuple[int, int]:
    """What ids of a stream are compared by: milliseconds, then sequence."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence)


def undrained(index: int, *, after: str, at_most: int) -> list[Entry]:
    """Entries of a partition's stream that follow an id, oldest first."""
    client = connection.sync_client(settings.REDIS_URL)
    raw = cast(
        list[tuple[bytes, dict[bytes, bytes]]],
        client.xrange(hot_state.stream_name(index), min=f"({after}", count=at_most),
    )
    return [hot_state.read_entry(entry_id, fields) for entry_id, fields in raw]


def _trim(index: int, done: str) -> None:
    milliseconds, sequence = order_of(done)
    first_kept = f"{milliseconds}-{sequence + 1}"
    connection.sync_client(settings.REDIS_URL).xtrim(
        hot_state.stream_name(index), minid=first_kept, approximate=False
    )


def _record(index: int, entries: list[Entry]) -> None:
    handles = {entry.handle for entry in entries}
    account_ids = dict(Account.objects.filter(handle__in=handles).values_list("handle", "pk"))
    unknown = handles - account_ids.keys()
    if unknown:
        # Accounts are never deleted; a stream of another database is the likely reason.
        logger.error(
            "partition %s: charges of %s unknown accounts are dropped", index, len(unknown)
        )
    known = [entry for entry in entries if entry.handle in account_ids]
    _add_to_rollups(known, account_ids)
    _add_to_boosts(known)
    _add_to_ledger(index, known, account_ids)
    _mark_keys_used(known)
    _keep_marks(known, account_ids)


_ALLOWANCE, _BOOST, _CREDITS = (
    UsageRollup.Source.ALLOWANCE.value,
    UsageRollup.Source.BOOST.value,
    UsageRollup.Source.CREDITS.value,
)


def _add_to_rollups(entries: Iterable[Entry], account_ids: dict[str, int]) -> None:
    # By account, key, meter, hour since 1970 and source: chats and credits.
    totals: dict[tuple[int, int, str, int, str], list[int]] = defaultdict(lambda: [0, 0])
    for entry in entries:
        key = (account_ids[entry.handle], entry.key_id, entry.meter, _hour_number(entry))
        if entry.allowance:
            totals[*key, _ALLOWANCE][0] += entry.allowance
        if entry.boosts:
            totals[*key, _BOOST][0] += entry.boost_chats
        if entry.credit_chats or entry.credits:
            of_credits = totals[*key, _CREDITS]
            of_credits[0] += entry.credit_chats
            of_credits[1] += entry.credits
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
    return max(entry.at_ms, week.starts_ms(entry.week)) // _HOUR_MS


def _hour(number: int) -> datetime:
    return datetime.fromtimestamp(number * 3600, UTC)


def _add_to_boosts(entries: Iterable[Entry]) -> None:
    spent: dict[int, int] = defaultdict(int)
    for entry in entries:
        for boost_id, chats in entry.boosts:
            spent[boost_id] += chats
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


def _add_to_ledger(index: int, entries: list[Entry], account_ids: dict[str, int]) -> None:
    spent: dict[str, int] = defaultdict(int)
    for entry in entries:
        spent[entry.handle] += entry.credits
    if not entries:
        return
    drained_range = f"drain:{index}:{entries[0].entry_id}:{entries[-1].entry_id}"
    CreditEntry.objects.bulk_create(
        CreditEntry(
            account_id=account_ids[handle],
            credits=-credits,
            kind=CreditEntry.Kind.SPEND,
            source_ref=f"{drained_range}:{handle}",
        )
        for handle, credits in sorted(spent.items())
        if credits
    )


def _mark_keys_used(entries: Iterable[Entry]) -> None:
    used_at: dict[int, int] = {}
    for entry in entries:
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


def _keep_marks(entries: Iterable[Entry], account_ids: dict[str, int]) -> None:
    # The last one of a charge says what happened to it in the end.
    marks = {
        (account_ids[entry.handle], entry.mark.charge_ref): ChargeMark(
            account_id=account_ids[entry.handle],
            charge_ref=entry.mark.charge_ref,
            content=entry.mark.content,
            made_at=datetime.fromtimestamp(order_of(entry.entry_id)[0] / 1000, UTC),
        )
        for entry in entries
        if entry.mark is not None
    }
    ChargeMark.objects.bulk_create(
        marks.values(),
        update_conflicts=True,
        unique_fields=["account", "charge_ref"],
        update_fields=["content", "made_at"],
    )
