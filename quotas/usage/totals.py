"""Totals by hours, days and weeks, made of the rollups of hours that have ended.

A drain writes rollups alone. Behind it, hour by hour, a function of the database adds what they say
to the totals and notes up to where, in one transaction (`models.used.Totalled`); what comes later
for such an hour is added by a trigger, in the drain's own. Whoever reads takes totals before that
hour and rollups from it on, in one snapshot: that is exact at every moment, and however far behind
this is. Old hours of single keys are folded: their days stay.
"""

from datetime import UTC, datetime, timedelta

from django.db import connection as database
from django.db.models import Min, Q, Sum

from quotas.models.used import RefusalRollup, TagRollup, TokenRollup, Totalled, UsageRollup

# An hour is totalled when most of its late charges have come.
_AFTER = timedelta(minutes=10)
# How much is totalled in one transaction, which drains wait for.
_AT_ONCE = timedelta(hours=6)
# How long single keys and tags are kept by the hour; a year, and some weeks to look back from.
HOURS_ARE_KEPT = timedelta(days=400)
_ROWS_AT_ONCE = 20_000


def catch_up(*, at: datetime) -> int:
    """Make the totals of hours that have ended; answers in how many transactions."""
    target = _hour_of(at - _AFTER)
    done = totalled_up_to() or _first_hour() or target - _AT_ONCE
    steps = 0
    with database.cursor() as cursor:
        while done < target:
            done = min(target, done + _AT_ONCE)
            cursor.execute("SELECT quotas_total_up_to(%s)", [done])
            steps += 1
    return steps


def totalled_up_to() -> datetime | None:
    """The hour from which on rollups alone know; None before totals are made for the first time."""
    return Totalled.objects.values_list("up_to", flat=True).first()


def _first_hour() -> datetime | None:
    """The first hour of any rollup."""
    firsts = (rollup.objects.aggregate(first=Min("hour"))["first"] for rollup in _ROLLUPS)
    return min((first for first in firsts if first is not None), default=None)


def fold(*, before: datetime) -> int:
    """Remove rollups of whole days before a moment, whose totals are made; answers how many."""
    up_to = totalled_up_to()
    if up_to is None:
        return 0
    limit = min(_hour_of(before), up_to).replace(hour=0)
    # Said first: whoever reads takes days from then on, and never both.
    Totalled.objects.filter(Q(folded_before=None) | Q(folded_before__lt=limit)).update(
        folded_before=limit
    )
    return sum(_remove(rollup, limit) for rollup in _ROLLUPS)


def _remove(rollup: "type[_Rollup]", limit: datetime) -> int:
    removed = 0
    while True:
        some = rollup.objects.filter(hour__lt=limit).values_list("pk", flat=True)[:_ROWS_AT_ONCE]
        count, _ = rollup.objects.filter(pk__in=some).delete()
        removed += count
        if count < _ROWS_AT_ONCE:
            return removed


def accounts_used_since(moment: datetime) -> dict[int, int]:
    """Chats of each account that used some since the hour of a moment, as far as drained."""
    used = (
        UsageRollup.objects.filter(hour__gte=_hour_of(moment))
        .values_list("account_id")
        .annotate(chats=Sum("chats"))
    )
    return dict(used)


def _hour_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


_Rollup = UsageRollup | TagRollup | TokenRollup | RefusalRollup
_ROLLUPS: tuple[type[_Rollup], ...] = (UsageRollup, TagRollup, TokenRollup, RefusalRollup)
