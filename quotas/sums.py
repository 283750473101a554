"""Sums of what was used, for whoever watches or reports: exact as far as it is drained.

Totals hold what came before one hour, and rollups what followed: both are read in one snapshot.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection as database
from django.db.models import Q

from accounts.models import Account
from gate.terms import week
from keys.models import ApiKey
from quotas.models.used import WeekClose


@dataclass(frozen=True, slots=True)
class AccountWeek:
    """Chats of one account in one week, by what paid for them."""

    account_id: int
    allowance: int
    boost: int
    credits: int

    @property
    def total(self) -> int:
        """Chats from every source."""
        return self.allowance + self.boost + self.credits


@dataclass(frozen=True, slots=True)
class KeyDay:
    """Chats of one key on one day, and what it uses on a usual one."""

    key_id: int
    name: str
    masked: str
    chats: int
    usual: int


@dataclass(frozen=True, slots=True)
class KeyWeek:
    """Chats of one key in one week."""

    name: str
    chats: int


def of_week(account_ids: Collection[int], number: int) -> dict[int, AccountWeek]:
    """What accounts used in a week; those that used nothing are not there."""
    sums: dict[int, dict[str, int]] = {}
    with database.cursor() as cursor:
        cursor.execute(
            """
            SELECT account_id, source, sum(chats)::bigint FROM (
                SELECT account_id, source, chats FROM quotas_usagetotal
                WHERE account_id = ANY(%(accounts)s) AND cut = 'account' AND grain = 168
                  AND starts_at = %(from)s
                UNION ALL
                SELECT account_id, source, chats FROM quotas_usagerollup
                WHERE account_id = ANY(%(accounts)s) AND hour < %(to)s
                  AND hour >= greatest(%(from)s, (
                      SELECT coalesce(max(up_to), '1970-01-05 00:00+00') FROM quotas_totalled
                  ))
            ) AS used
            GROUP BY 1, 2
            """,
            {"accounts": list(account_ids), **_bounds(number)},
        )
        for account_id, source, chats in cursor.fetchall():
            sums.setdefault(account_id, {})[source] = chats
    return {
        account_id: AccountWeek(
            account_id, found.get("allowance", 0), found.get("boost", 0), found.get("credits", 0)
        )
        for account_id, found in sums.items()
    }


def closed_weeks(number: int, *, after: int, at_most: int) -> list[AccountWeek]:
    """The same of a week that was closed, of accounts that used anything."""
    rows = WeekClose.objects.filter(week=number, account__gt=after).order_by("account")
    used = rows.filter(Q(allowance__gt=0) | Q(boost__gt=0) | Q(credits__gt=0))[:at_most]
    return [AccountWeek(row.account_id, row.allowance, row.boost, row.credits) for row in used]


def busiest_keys(account: Account, number: int, *, at_most: int) -> list[KeyWeek]:
    """The keys of an account that used most in a week, the busiest first."""
    with database.cursor() as cursor:
        cursor.execute(
            """
            SELECT key_id, sum(chats)::bigint AS chats FROM (
                SELECT part AS key_id, chats FROM quotas_usagetotal
                WHERE account_id = %(account)s AND cut = 'key' AND grain = 168
                  AND starts_at = %(from)s
                UNION ALL
                SELECT key_id, chats FROM quotas_usagerollup
                WHERE account_id = %(account)s AND hour < %(to)s
                  AND hour >= greatest(%(from)s, (
                      SELECT coalesce(max(up_to), '1970-01-05 00:00+00') FROM quotas_totalled
                  ))
            ) AS used
            GROUP BY 1 HAVING sum(chats) > 0 ORDER BY 2 DESC, 1 LIMIT %(at_most)s
            """,
            {"account": account.pk, "at_most": at_most, **_bounds(number)},
        )
        used = dict(cursor.fetchall())
    names = dict(ApiKey.objects.filter(account=account, pk__in=used).values_list("pk", "name"))
    return [KeyWeek(names.get(key_id, "a key"), chats) for key_id, chats in used.items()]


def keys_beyond_habit(
    account_ids: Collection[int], *, at: datetime, at_least: int, times: int, days: int, known: int
) -> dict[int, list[KeyDay]]:
    """Keys that used far more on the day of `at` than on a usual one, by account; one query.

    Far more: `at_least` chats, and more than so many `times` the median of the last `days` on which
    it was used, of at least `known`: what is new has no habit. Nothing older than a quarter counts,
    and of the past only what has totals.
    """
    today = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with database.cursor() as cursor:
        cursor.execute(
            _BEYOND_HABIT,
            {
                "accounts": list(account_ids),
                "today": today,
                "tomorrow": today + timedelta(days=1),
                "since": today - timedelta(days=_HABIT_REACHES_DAYS),
                "at_least": at_least,
                "times": times,
                "days": days,
                "known": known,
            },
        )
        rows = cursor.fetchall()
    keys = ApiKey.objects.select_related("account").in_bulk([row[1] for row in rows])
    found: dict[int, list[KeyDay]] = {}
    for account_id, key_id, chats, usual in rows:
        if (key := keys.get(key_id)) is not None:
            day = KeyDay(key_id, key.name, key.masked, int(chats), round(usual))
            found.setdefault(account_id, []).append(day)
    return found


_HABIT_REACHES_DAYS = 91
# What keys used today is asked first, and the past of the busy ones alone: a row of each day.
_BEYOND_HABIT = """
    WITH busy AS (
        SELECT account_id, key_id, sum(chats) AS chats
        FROM (
            SELECT account_id, part AS key_id, chats FROM quotas_usagetotal
            WHERE account_id = ANY(%(accounts)s) AND cut = 'key' AND grain = 24
              AND starts_at = %(today)s
            UNION ALL
            SELECT account_id, key_id, chats FROM quotas_usagerollup
            WHERE account_id = ANY(%(accounts)s) AND hour < %(tomorrow)s
              AND hour >= greatest(%(today)s, (
                      SELECT coalesce(max(up_to), '1970-01-05 00:00+00') FROM quotas_totalled
                  ))
        ) AS used
        GROUP BY 1, 2
        HAVING sum(chats) >= %(at_least)s
    )
    SELECT busy.account_id, busy.key_id, busy.chats, habit.usual
    FROM busy CROSS JOIN LATERAL (
        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY chats) AS usual, count(*) AS known
        FROM (
            SELECT sum(chats) AS chats
            FROM quotas_usagetotal
            WHERE account_id = busy.account_id AND cut = 'key' AND grain = 24
              AND part = busy.key_id AND starts_at >= %(since)s AND starts_at < %(today)s
            GROUP BY starts_at
            HAVING sum(chats) > 0
            ORDER BY starts_at DESC
            LIMIT %(days)s
        ) AS used_days
    ) AS habit
    WHERE habit.known >= %(known)s AND busy.chats > %(times)s * habit.usual
    ORDER BY busy.account_id, busy.chats DESC, busy.key_id
"""


def _bounds(number: int) -> dict[str, datetime]:
    return {"from": week.starts_at(number), "to": week.ends_at(number)}
