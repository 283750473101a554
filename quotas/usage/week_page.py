"""What an account used this week: drained rollups plus what still waits in the stream.

The sum is exact, not a copy that lags: if a drain commits in between, the reading is repeated.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from accounts.models import Account
from gate.store import hot_state
from gate.terms import week
from keys.models import ApiKey
from partitions.models import Partition
from quotas.models.used import UsageRollup
from quotas.usage import stream

# What a page reads of the stream at most. It holds about a second of charges when the drain runs.
_UNDRAINED_AT_MOST = 20_000
_BAR_HEIGHT = 100


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
class WeekUsage:
    """One week of an account, Monday to Sunday."""

    days: tuple[DayUsage, ...]
    keys: tuple[KeyUsage, ...]

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
    for (hour, source, key_id), count in chats.items():
        by_day[hour.date(), source] += count
        by_key[key_id] += count
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
    )


def _chats(account: Account, this_week: int) -> dict[tuple[datetime, str, int], int]:
    partition = hot_state.partition_of(account.handle)
    for _ in range(3):
        cursor = _cursor(partition)
        chats: dict[tuple[datetime, str, int], int] = defaultdict(int)
        drained = UsageRollup.objects.filter(
            account=account,
            hour__gte=week.starts_at(this_week),
            hour__lt=week.ends_at(this_week),
        ).values_list("hour", "source", "key_id", "chats")
        for hour, source, key_id, count in drained:
            chats[hour, source, key_id] += count
        for entry in stream.entries_after(cursor, index=partition, at_most=_UNDRAINED_AT_MOST):
            if entry.handle == account.handle and entry.week == this_week:
                hour = stream.hour_of(entry)
                chats[hour, UsageRollup.Source.ALLOWANCE, entry.key_id] += entry.allowance
                chats[hour, UsageRollup.Source.BOOST, entry.key_id] += entry.boost_chats
                chats[hour, UsageRollup.Source.CREDITS, entry.key_id] += entry.credit_chats
        if _cursor(partition) == cursor:
            break
    return chats


def _cursor(partition: int) -> str:
    return Partition.objects.values_list("drained_id", flat=True).get(pk=partition)


def _by_key(account: Account, by_key: dict[int, int]) -> tuple[KeyUsage, ...]:
    keys = ApiKey.objects.filter(pk__in=by_key, account=account).select_related("account")
    usages = [KeyUsage(key.name, key.masked, by_key[key.pk]) for key in keys]
    return tuple(sorted(usages, key=lambda usage: (-usage.chats, usage.name)))
