"""What one key used of late, for its own page: this week, and day by day."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import BigIntegerField, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce

from gate.terms import week
from keys.models import ApiKey
from quotas.models.used import UsageRollup
from quotas.strip import Amounts
from quotas.usage.asked import By, Only
from quotas.usage.picture import DrawnBar, bars_of
from quotas.usage.report import report_of
from quotas.usage.so_far import Used, used_by
from quotas.usage.spans import days

DAYS = 14
# A quota week begins with a day of UTC, so that days of UTC add up to it.
_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class UseOfKey:
    """Chats, as far as they are drained.

    amounts: the week under the key's own cap as cells; None without one.
    """

    in_all: int
    bars: tuple[DrawnBar, ...]
    amounts: Amounts | None
    used: Used

    @property
    def this_week(self) -> int:
        """Chats of the week that counts."""
        return self.used.in_week


def chats_of_week(*, at: datetime) -> Coalesce:
    """What each of the keys that are asked for used this week, as far as drained: for lists."""
    this_week = week.week_of(week.to_ms(at))
    rows = UsageRollup.objects.filter(
        account=OuterRef("account"),
        key_id=OuterRef("pk"),
        hour__gte=week.starts_at(this_week),
        hour__lt=week.ends_at(this_week),
    )
    chats = rows.order_by().values("key_id").annotate(chats=Sum("chats")).values("chats")
    return Coalesce(Subquery(chats), 0, output_field=BigIntegerField())


def use_of_key(key: ApiKey, *, at: datetime) -> UseOfKey:
    """What a key used this week and in 14 days, read at once."""
    today = at.astimezone(_UTC).date()
    span = days(today - timedelta(days=DAYS - 1), today, zone=_UTC)
    report = report_of(key.account, span, by=By.SOURCE, only=Only(key=key.pk))
    used = used_by(key.account, [key.pk], at=at)
    amounts = None
    if key.weekly_cap:
        starts_at = week.starts_at(week.week_of(week.to_ms(at)))
        spent = min(used.in_week, key.weekly_cap)
        elapsed = (at - starts_at) / timedelta(days=7)
        amounts = Amounts(spent=spent, allowance=key.weekly_cap - spent, elapsed=elapsed)
    # The usage page, one link away, leads to single days.
    bars = tuple(replace(bar, opens=None) for bar in bars_of(report, span, at=at))
    return UseOfKey(report.total, bars, amounts, used)
