"""Whether the gate and the ledger say the same: credits and boosts, granted and spent.

What the gate counted is what was drained, what waits in the stream, and what is on hold. All of it
is read without a lock: PostgreSQL first, then Valkey in one transaction of its own, then once more
how far was drained and which version of the account is granted. If either has changed meanwhile, it
is read again. What differs is looked at a second time before anybody is told.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from accounts.models import Account
from gate.store import connection, held, hot_state
from gate.store.held import Held
from gate.store.hot_state import Entry
from gate.store.snapshots import AccountSnapshot
from gate.terms import week
from partitions.models import Partition
from quotas import projection
from quotas.usage import stream

logger = logging.getLogger(__name__)

_ACCOUNTS_AT_ONCE = 200
_WAITING_AT_MOST = 20_000
_TRIES = 10
_PAUSE_SECONDS = 0.2
_BETWEEN_LOOKS_SECONDS = 2.0
# By Valkey's clock a boost may have ended already.
_CLOCKS_APART = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Unequal:
    """The gate says `found` where the ledger says `expected`.

    kind: credits_granted, credits_spent, boost_granted or boost_spent. subject: “account:5”.
    """

    kind: str
    account_id: int
    subject: str
    expected: int
    found: int


def unequal(*, at: datetime, seconds_between: float = _BETWEEN_LOOKS_SECONDS) -> list[Unequal]:
    """What differs, of all accounts that the gate knows. RedisError or OSError without Valkey."""
    suspects = [account for some in _chunks() for account in _differing(some, at=at)]
    if not suspects:
        return []
    time.sleep(seconds_between)
    first = {one.subject + one.kind: one for one in _of(suspects, at=at)}
    if not first:
        return []
    time.sleep(seconds_between)
    # What is there both times was not merely under way.
    return [one for one in _of(suspects, at=at) if one.subject + one.kind in first]


def _chunks() -> Iterator[list[Account]]:
    last = 0
    while some := list(Account.objects.filter(pk__gt=last).order_by("pk")[:_ACCOUNTS_AT_ONCE]):
        yield some
        last = some[-1].pk


def _differing(accounts: Sequence[Account], *, at: datetime) -> list[Account]:
    differ = {one.account_id for one in _of(accounts, at=at)}
    return [account for account in accounts if account.pk in differ]


def _of(accounts: Sequence[Account], *, at: datetime) -> Iterator[Unequal]:
    by_partition: dict[int, list[Account]] = defaultdict(list)
    for account in accounts:
        by_partition[account.partition_index].append(account)
    for index, some in by_partition.items():
        yield from _of_partition(index, some, at=at)


def _of_partition(index: int, accounts: Sequence[Account], *, at: datetime) -> list[Unequal]:
    """What differs at one moment; of accounts of one partition, which are in one slot."""
    for _ in range(_TRIES):
        drained_id = _drained_id(index)
        snapshots = projection.account_snapshots(accounts, at=at)
        hot, waiting, is_whole = _hot(index, accounts, drained_id=drained_id)
        if is_whole and _drained_id(index) == drained_id:
            return [
                one
                for account in accounts
                if (known := hot[account.handle]) is not None
                for one in _compare(
                    account, snapshots[account.handle], known, waiting[account.handle], at=at
                )
            ]
        time.sleep(_PAUSE_SECONDS)
    logger.warning("partition %s: its accounts changed too quickly to be compared", index)
    return []


def _drained_id(index: int) -> str:
    return Partition.objects.values_list("drained_id", flat=True).get(pk=index)


def _hot(
    index: int, accounts: Sequence[Account], *, drained_id: str
) -> tuple[dict[str, Held | None], dict[str, list[Entry]], bool]:
    """What Valkey holds of accounts, and which of their charges wait; whether that was all."""
    client = connection.sync_client(settings.REDIS_URL)
    with client.pipeline(transaction=True) as pipe:
        for account in accounts:
            pipe.hgetall(hot_state.keys_of(account.handle).account)
        pipe.xrange(hot_state.stream_name(index), min=f"({drained_id}", count=_WAITING_AT_MOST)
        *found, raw = pipe.execute()
    waiting: dict[str, list[Entry]] = defaultdict(list)
    for one in stream.read_raw(raw):
        entry = hot_state.read_entry(*one)
        waiting[entry.handle].append(entry)
    hot = {
        account.handle: held.read(fields) for account, fields in zip(accounts, found, strict=True)
    }
    return hot, waiting, len(raw) < _WAITING_AT_MOST


def _compare(
    account: Account,
    said: AccountSnapshot,
    hot: Held,
    waiting: Sequence[Entry],
    *,
    at: datetime,
) -> Iterator[Unequal]:
    if (hot.epoch, hot.version) != (said.epoch, said.version):
        # It is loaded again before it is served, or its change is on its way.
        return
    subject = f"account:{account.pk}"
    spent = said.credits_spent + sum(entry.credits for entry in waiting) + hot.credits_on_hold
    pairs = [
        ("credits_granted", subject, said.credits, hot.credits),
        ("credits_spent", subject, spent, hot.credits_spent),
    ]
    drained_of: dict[int, int] = defaultdict(int)
    for entry in waiting:
        for boost_id, chats in entry.boosts:
            drained_of[boost_id] += chats
    ended_ms = week.to_ms(at + _CLOCKS_APART)
    for boost in said.boosts:
        if boost.expires_ms <= ended_ms:
            continue
        of_boost = f"boost:{boost.boost_id}"
        used = boost.spent + drained_of[boost.boost_id] + hot.boosts_on_hold.get(boost.boost_id, 0)
        pairs += [
            ("boost_granted", of_boost, boost.chats, hot.boosts.get(boost.boost_id, 0)),
            ("boost_spent", of_boost, used, hot.boosts_spent.get(boost.boost_id, 0)),
        ]
    for kind, about, expected, found in pairs:
        if expected != found:
            yield Unequal(kind, account.pk, about, expected, found)
