"""What those used that have a budget, for the gate to count on from: exact, whatever is drained.

The cursor of the drain and the sums are read by one statement: they are of one moment. What was
charged since stands in the stream, and the gate adds it (`count` in `gate.store.lua`). Nobody
drains the partition meanwhile.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import Account
from gate.store import connection, hot_state, snapshots
from gate.store.snapshots import UsedSoFar
from gate.terms import budget, month, week
from gate.terms.budget import Budget
from gate.terms.reasons import Outcome
from keys.models import ApiKey
from keys.projection import push_key
from quotas import projection
from quotas.projection import budgets_of
from quotas.usage import drain, locks
from quotas.usage.locks import Drained

# As for a cold account: a drain that hangs must not keep whoever waits for the gate.
_WITHIN_SECONDS = 4.0
_CLOCKS_APART = timedelta(days=1)
_MENDED_AT_MOST = 50
_STATEMENT = """
SELECT partition.epoch, partition.drained_id, key.id, lately.in_day, lately.in_week,
       lately.in_month,
       coalesce((SELECT sum(total.chats) FROM quotas_usagetotal AS total
                  WHERE total.account_id = %(account)s AND total.cut = 'key'
                    AND total.part = key.id AND total.grain = 168), 0)
       + coalesce((SELECT sum(rollup.chats) FROM quotas_usagerollup AS rollup
                    WHERE rollup.account_id = %(account)s AND rollup.key_id = key.id
                      AND rollup.hour >= coalesce((SELECT up_to FROM quotas_totalled),
                                                  '-infinity'::timestamptz)), 0)
  FROM accounts_partition AS partition
 CROSS JOIN unnest(%(keys)s::bigint[]) AS key (id)
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(rollup.chats) FILTER (WHERE rollup.hour >= %(day)s), 0) AS in_day,
              coalesce(sum(rollup.chats) FILTER (WHERE rollup.hour >= %(week)s), 0) AS in_week,
              coalesce(sum(rollup.chats) FILTER (WHERE rollup.hour >= %(month)s), 0) AS in_month
         FROM quotas_usagerollup AS rollup
        WHERE rollup.account_id = %(account)s AND rollup.key_id = key.id
          AND rollup.hour >= least(%(week)s::timestamptz, %(month)s::timestamptz)) AS lately
 WHERE partition.index = %(partition)s
"""


def count_used(handle: str) -> set[Outcome]:
    """Tell the gate what keys and members of an account used that have a budget, and what it said.

    Nothing is told of what is no account. What the gate already counts stays as it is.
    """
    account = Account.objects.filter(handle=handle).first()
    if account is None:
        return set()
    budgets = budgets_of([account])[account.pk]
    _mend(account, budgets)
    keys = list(
        ApiKey.objects.filter(account=account).values_list(
            *("pk", "created_by_id", "is_counted_for_member", "revoked_at"),
            *("daily_cap", "monthly_cap", "total_cap"),
        )
    )
    of_member: dict[int, list[int]] = defaultdict(list)
    for key_id, creator, *_ in keys:
        if creator in budgets:
            of_member[creator].append(key_id)
    # Of a key that was revoked something may come back for as long.
    since = timezone.now() - timedelta(milliseconds=hot_state.REFUND_WINDOW_MS) - _CLOCKS_APART
    wanted = {
        key_id: creator if for_member else None
        for key_id, creator, for_member, revoked_at, *caps in keys
        if (for_member or any(cap is not None for cap in caps))
        and (revoked_at is None or revoked_at > since)
    }
    # Less is left to add then.
    drain.move_all_of([account.partition_index], within_seconds=_WITHIN_SECONDS)
    client = connection.sync_client(settings.REDIS_URL)
    with transaction.atomic():
        # Whoever drains takes out of the stream what was written down: it would be in neither.
        locks.take(
            Drained.CHARGES, [account.partition_index], wait=True, within_seconds=_WITHIN_SECONDS
        )
        # After the lock, so that nothing that is drained is of a later day.
        now_ms = connection.server_ms(client, hot_state.stream_name(account.partition_index))
        ids = {*wanted, *chain.from_iterable(of_member.values())}
        sums = _Sums(account, ids, now_ms=now_ms)
        told = [
            *(
                sums.told(snapshots.used_by_key(key_id), [key_id], member=member)
                for key_id, member in wanted.items()
            ),
            *(
                sums.told(snapshots.used_by_member(member), of_member[member])
                for member in sorted(of_member)
            ),
        ]
        said = hot_state.run_all(client, [snapshots.count_call(used) for used in told])
    return {Outcome(status.decode()) for (status,) in said}


def _mend(account: Account, budgets: Mapping[int, Budget]) -> None:
    """Bring to the gate what it does not know yet of members' budgets and whose keys count there.

    Whoever changed them has done so, or it is repeated; a key that waits for it needs it now.
    """
    projection.push_if_behind(account)
    behind = ApiKey.objects.filter(account=account, pushed_version__lt=F("version"))
    for key in behind.filter(revoked_at=None).select_related("account")[:_MENDED_AT_MOST]:
        push_key(key)


@dataclass(frozen=True, slots=True)
class Used:
    """Chats of a day, a week, a month and in all, as far as drained."""

    in_day: int
    in_week: int
    in_month: int
    in_all: int


def used_by(account: Account, keys: Iterable[int], *, at: datetime) -> Used:
    """What some keys of an account used together, for a page."""
    ids = tuple(keys)
    return _Sums(account, ids, now_ms=week.to_ms(at)).used(ids)


class _Sums:
    """Sums of one moment, by key."""

    def __init__(self, account: Account, keys: Iterable[int], *, now_ms: int) -> None:
        self._account = account
        self._day, self._week = budget.day_of(now_ms), week.week_of(now_ms)
        self._month = month.month_of(now_ms)
        self._epoch, self._drained_id = 0, "0-0"
        self._sums: dict[int, Used] = {}
        asked: dict[str, Any] = {
            "account": account.pk,
            "partition": account.partition_index,
            "keys": sorted(keys),
            "day": datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=self._day),
            "week": week.starts_at(self._week),
            "month": month.starts_at(self._month),
        }
        with database.cursor() as cursor:
            cursor.execute(_STATEMENT, asked)
            for self._epoch, self._drained_id, key_id, *sums in cursor.fetchall():
                self._sums[key_id] = Used(*map(int, sums))

    def used(self, keys: Sequence[int]) -> Used:
        """What some keys used together."""
        of_keys = [self._sums[key_id] for key_id in keys]
        return Used(
            in_day=max(0, sum(one.in_day for one in of_keys)),
            in_week=max(0, sum(one.in_week for one in of_keys)),
            in_month=max(0, sum(one.in_month for one in of_keys)),
            in_all=max(0, sum(one.in_all for one in of_keys)),
        )

    def told(self, counts_as: str, keys: Sequence[int], *, member: int | None = None) -> UsedSoFar:
        """The same as the gate is told it."""
        used = self.used(keys)
        return UsedSoFar(
            handle=self._account.handle,
            epoch=self._epoch,
            drained_id=self._drained_id,
            counts_as=counts_as,
            key_ids=tuple(keys),
            day=self._day,
            in_day=used.in_day,
            week=self._week,
            in_week=used.in_week,
            month=self._month,
            in_month=used.in_month,
            in_all=used.in_all,
            member=member,
        )
