"""The drain: charges leave Valkey's streams and become rollups, spent boosts and ledger rows.

Exactly once: the rows and the cursor of a partition change in one transaction, and entries are
trimmed from the stream only after it has committed. A drain that dies anywhere is repeated from
the cursors. One worker at a time drains a partition, so any number of them may run. All that have
something are drained together, because a transaction and its queries cost more than its charges.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from accounts.models import Account
from gate.store import hot_state
from gate.store.hot_state import RawEntry
from partitions.models import Partition
from quotas.models.ledger import CreditEntry
from quotas.models.used import ChargeMark
from quotas.usage import locks, recents, rollups, stream
from quotas.usage.locks import Drained
from quotas.usage.rollups import Counted

logger = logging.getLogger(__name__)

# Entries of one transaction, of all its partitions together, and of one partition.
_BATCH = 20_000
_OF_A_PARTITION = 2_000
# A drain that is spread out has so many parts.
_TURNS = 8


def move_all(*, over_seconds: float = 0.0) -> int:
    """Drain every partition that has something; answers how many entries were drained.

    over_seconds: a few partitions at a time, spread over so long, because whoever asks meanwhile
    waits for what is done at once. What takes longer is done without a pause.
    """
    began = time.monotonic()
    waiting = stream.partitions_with_entries()
    if not over_seconds:
        return _move_whole(waiting)
    drained = 0
    for turn in range(_TURNS):
        drained += _move_whole(waiting[turn::_TURNS])
        next_at = began + over_seconds * (turn + 1) / _TURNS
        time.sleep(max(0.0, next_at - time.monotonic()))
    return drained


def _move_whole(waiting: list[int]) -> int:
    """Drain all that some partitions have."""
    drained = 0
    while waiting:
        at_most = _at_most(waiting)
        moved = _move(waiting, at_most=at_most)
        drained += sum(moved.values())
        # Those with as much as was asked for may have more.
        waiting = [index for index, count in moved.items() if count == at_most]
    return drained


def move_all_of(indexes: Iterable[int], *, within_seconds: float | None = None) -> None:
    """Drain what partitions hold now, after whoever is at them.

    What another drain has read counts only once that has committed, and nothing in Valkey tells
    that it is under way: the stream may have been emptied since. So this always waits for it.
    within_seconds: OperationalError when the other drain takes longer.
    """
    waiting = sorted(indexes)
    while waiting:
        at_most = _at_most(waiting)
        moved = _move(waiting, at_most=at_most, wait=True, within_seconds=within_seconds)
        waiting = [index for index, count in moved.items() if count == at_most]


def move_some_of(index: int) -> int:
    """Drain one batch of one partition; 0 when there is nothing or another worker is at it."""
    return _move([index], at_most=_OF_A_PARTITION).get(index, 0)


def _at_most(indexes: Sequence[int]) -> int:
    """How many entries of each partition a transaction takes."""
    return max(1, min(_OF_A_PARTITION, _BATCH // len(indexes)))


def _move(
    indexes: Sequence[int],
    *,
    at_most: int,
    wait: bool = False,
    within_seconds: float | None = None,
) -> dict[int, int]:
    """Drain some entries of partitions together; answers how many of each that was free."""
    with transaction.atomic():
        ours = locks.take(Drained.CHARGES, indexes, wait=wait, within_seconds=within_seconds)
        cursors = dict(Partition.objects.filter(pk__in=ours).values_list("pk", "drained_id"))
        found = stream.raw_entries_after(cursors, at_most=at_most)
        moved = {index: len(entries) for index, entries in found.items()}
        drained = {index: entries[-1][0].decode() for index, entries in found.items() if entries}
        if drained:
            _record(found)
            _move_cursors(drained)
        # What an earlier drain wrote down but did not come to trim goes, too.
        done = cursors | drained
        transaction.on_commit(lambda: recents.keep(found, drained=cursors))
        transaction.on_commit(lambda: stream.trim(done))
    return moved


def _move_cursors(drained: Mapping[int, str]) -> None:
    """Say up to which entry partitions are drained, and that it was now."""
    with database.cursor() as cursor:
        # Not bulk_update: to build it costs as much as all else that a drain does.
        cursor.execute(
            """
            UPDATE accounts_partition AS partition
            SET drained_id = drained.id, drained_at = %s
            FROM unnest(%s::int[], %s::text[]) AS drained (index, id)
            WHERE partition.index = drained.index
            """,
            [timezone.now(), list(drained), list(drained.values())],
        )


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
    rollups.add_usage(known, account_ids)
    rollups.add_tags(known, account_ids)
    rollups.add_tokens(known, account_ids)
    _add_to_boosts(known)
    _add_to_ledger(known, account_ids, ranges)
    _mark_keys_used(known)
    _keep_marks(known, account_ids)


def _add_to_boosts(entries: Iterable[Counted]) -> None:
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
    entries: Iterable[Counted], account_ids: dict[str, int], ranges: Mapping[int, str]
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


def _mark_keys_used(entries: Iterable[Counted]) -> None:
    # Written when a minute is new, which is what pages show: a key that is used without pause
    # would otherwise be a row written every second.
    used_at: dict[int, int] = {}
    for entry, _ in entries:
        used_at[entry.key_id] = max(entry.at_ms, used_at.get(entry.key_id, 0))
    with database.cursor() as cursor:
        cursor.execute(
            """
            UPDATE keys_apikey AS key
            SET last_used_at = to_timestamp(used.at_ms / 1000.0)
            FROM unnest(%s::bigint[], %s::bigint[]) AS used (id, at_ms)
            WHERE key.id = used.id
              AND (key.last_used_at IS NULL
                   OR key.last_used_at < to_timestamp(used.at_ms / 60000 * 60))
            """,
            [list(used_at), list(used_at.values())],
        )


def _keep_marks(entries: Iterable[Counted], account_ids: dict[str, int]) -> None:
    # The last one of a charge says what happened to it in the end.
    marks = {
        (account_ids[entry.handle], entry.mark.charge_ref): ChargeMark(
            account_id=account_ids[entry.handle],
            charge_ref=entry.mark.charge_ref,
            content=entry.mark.content,
            made_at=datetime.fromtimestamp(stream.order_of(entry.entry_id)[0] / 1000, UTC),
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
