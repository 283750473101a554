"""What an account used this week: drained rollups plus what still waits in the stream.

The sum is exact, not a copy that lags. The stream is read first, then rollups and cursor in one
query: what a drain took meanwhile is in the rollups, and the cursor says not to count it again.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection as database

from accounts.models import Account
from gate.terms import week
from keys.models import ApiKey
from quotas.models.plans import Meter
from quotas.models.used import UsageRollup
from quotas.usage import stream

# What a page reads of the stream at most. It holds about a second of charges when the drain runs.
_UNDRAINED_AT_MOST = 20_000
_BAR_HEIGHT = 100

# Rollups of a week with the cursor of the same moment; without any, the cursor alone.
_DRAINED = """
    SELECT drained_id, hour, source, key_id, meter, chats
    FROM accounts_partition LEFT JOIN quotas_usagerollup
        ON account_id = %(account)s AND hour >= %(from)s AND hour < %(to)s
    WHERE index = %(partition)s
"""


@dataclass(frozen=True, slots=True)
class DayUsage:
    """Chats of one day by what paid; heights are parts of the week's highest day, 0 to 100."""

    date: date
    allowance: int
    boost: int
    credits: int
    peak: int
    is_today: bool
    is_future: bool

    @property
    def label(self) -> str:
        """The day in short, as “Mon 23”."""
        return f"{self.date:%a} {self.date.day}"

    @property
    def total(self) -> int:
        """Chats from every source."""
        return self.allowance + self.boost + self.credits

    @property
    def allowance_height(self) -> float:
        """Height of the allowance's part of the bar."""
        return self._height(self.allowance)

    @property
    def boost_height(self) -> float:
        """Height of the boosts' part of the bar."""
        return self._height(self.boost)

    @property
    def credits_height(self) -> float:
        """Height of the credits' part of the bar."""
        return self._height(self.credits)

    def _height(self, chats: int) -> float:
        return round(_BAR_HEIGHT * max(0, chats) / self.peak, 2) if self.peak else 0.0


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """Chats of one key this week."""

    name: str
    masked: str
    chats: int


@dataclass(frozen=True, slots=True)
class MeterUsage:
    """Chats of one endpoint this week."""

    name: str
    chats: int


@dataclass(frozen=True, slots=True)
class WeekUsage:
    """One week of an account, Monday to Sunday."""

    days: tuple[DayUsage, ...]
    keys: tuple[KeyUsage, ...]
    meters: tuple[MeterUsage, ...]

    @property
    def total(self) -> int:
        """Chats of the whole week."""
        return sum(day.total for day in self.days)

    @property
    def peak(self) -> int:
        """Chats of the highest day."""
        return max(day.total for day in self.days)


def usage_of(account: Account, *, at: datetime) -> WeekUsage:
    """The week that holds `at`, by day and by key. RedisError when Valkey gives no answer."""
    this_week = week.week_of(week.to_ms(at))
    chats = _chats(account, this_week)
    by_day: dict[tuple[date, str], int] = defaultdict(int)
    by_key: dict[int, int] = defaultdict(int)
    by_meter: dict[str, int] = defaultdict(int)
    for (hour, source, key_id, meter), count in chats.items():
        by_day[hour.date(), source] += count
        by_key[key_id] += count
        by_meter[meter] += count
    first = week.starts_at(this_week).date()
    dates = [first + timedelta(days=offset) for offset in range(7)]
    sources = UsageRollup.Source
    peak = max(sum(by_day[day, source] for source in sources.values) for day in dates)
    return WeekUsage(
        days=tuple(
            DayUsage(
                date=day,
                allowance=by_day[day, sources.ALLOWANCE],
                boost=by_day[day, sources.BOOST],
                credits=by_day[day, sources.CREDITS],
                peak=peak,
                is_today=day == at.date(),
                is_future=day > at.date(),
            )
            for day in dates
        ),
        keys=_by_key(account, by_key),
        meters=_by_meter(by_meter),
    )


# By hour, source, key and meter.
_Chats = dict[tuple[datetime, str, int, str], int]


def _chats(account: Account, this_week: int) -> _Chats:
    waiting = stream.entries_after("0-0", index=account.partition_index, at_most=_UNDRAINED_AT_MOST)
    cursor, chats = _drained(account, this_week)
    for entry in waiting:
        if stream.order_of(entry.entry_id) <= stream.order_of(cursor):
            continue
        if entry.handle == account.handle and entry.week == this_week:
            hour = stream.hour_of(entry)
            for source, count in (
                (UsageRollup.Source.ALLOWANCE, entry.allowance),
                (UsageRollup.Source.BOOST, entry.boost_chats),
                (UsageRollup.Source.CREDITS, entry.credit_chats),
            ):
                chats[hour, source, entry.key_id, entry.meter] += count
    return chats


def _drained(account: Account, this_week: int) -> tuple[str, _Chats]:
    """The id of the last charge that is drained, and the chats of all that are."""
    with database.cursor() as asked:
        asked.execute(
            _DRAINED,
            {
                "account": account.pk,
                "partition": account.partition_index,
                "from": week.starts_at(this_week),
                "to": week.ends_at(this_week),
            },
        )
        rows = asked.fetchall()
    chats: _Chats = defaultdict(int)
    for _, hour, source, key_id, meter, count in rows:
        if hour is not None:
            chats[hour, source, key_id, meter] += count
    return rows[0][0], chats


def _by_key(account: Account, by_key: dict[int, int]) -> tuple[KeyUsage, ...]:
    keys = ApiKey.objects.filter(pk__in=by_key, account=account).select_related("account")
    usages = [KeyUsage(key.name, key.masked, by_key[key.pk]) for key in keys]
    return tuple(sorted(usages, key=lambda usage: (-usage.chats, usage.name)))


def _by_meter(by_meter: dict[str, int]) -> tuple[MeterUsage, ...]:
    # One that was taken out of the catalogue keeps its slug.
    names = dict(Meter.objects.filter(slug__in=by_meter).values_list("slug", "name"))
    usages = [MeterUsage(names.get(slug, slug), count) for slug, count in by_meter.items()]
    return tuple(sorted(usages, key=lambda usage: (-usage.chats, usage.name)))
