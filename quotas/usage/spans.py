"""Spans of time that a reader looks at, cut into bars of their own zone.

A bar is an hour, a day or (in the grid of a year) a day again, as the reader's clock shows it: days
have 23 or 25 hours when the clock is changed, and begin at half or quarter hours of UTC in some
zones. Quota weeks are of UTC everywhere; a span of them is cut by the reader's days, so that its
first and last bar may be a part of one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from gate.terms import week

LONGEST_DAYS = 732
FIRST_DATE = date(2020, 1, 1)
# More bars than this are no picture any more; then days are cells of a grid.
_BARS_AT_MOST = 100
_HOURS_UP_TO_DAYS = 1
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


class Named(StrEnum):
    """Spans that have a name, up to now."""

    WEEK = "week"
    FOUR_WEEKS = "4weeks"
    NINETY_DAYS = "90days"
    YEAR = "year"


class Shape(StrEnum):
    """What a span is cut into."""

    HOURS = "hours"
    DAYS = "days"
    GRID = "grid"


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a span, from `starts_at` up to `ends_at`; `local` is when it begins there."""

    starts_at: datetime
    ends_at: datetime
    local: datetime


@dataclass(frozen=True, slots=True)
class Span:
    """What is looked at, in bars that follow one another without a gap."""

    shape: Shape
    bars: tuple[Bar, ...]
    zone: ZoneInfo
    named: Named | None = None

    @property
    def starts_at(self) -> datetime:
        """When its first bar begins, in UTC."""
        return self.bars[0].starts_at

    @property
    def ends_at(self) -> datetime:
        """When its last bar ends, in UTC."""
        return self.bars[-1].ends_at

    @property
    def first_date(self) -> date:
        """The first day in the reader's zone."""
        return self.bars[0].local.date()

    @property
    def last_date(self) -> date:
        """The last day in the reader's zone."""
        return (self.ends_at - timedelta(microseconds=1)).astimezone(self.zone).date()

    def bar_at(self, moment: datetime) -> int | None:
        """Which bar a moment is in; None outside the span."""
        if not self.starts_at <= moment < self.ends_at:
            return None
        low, high = 0, len(self.bars) - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self.bars[middle].starts_at <= moment:
                low = middle
            else:
                high = middle - 1
        return low


def named(which: Named, *, zone: ZoneInfo, at: datetime) -> Span:
    """A span by its name, as it is at a moment."""
    today = at.astimezone(zone).date()
    if which is Named.WEEK:
        return quota_weeks(1, zone=zone, at=at, which=which)
    if which is Named.FOUR_WEEKS:
        return quota_weeks(4, zone=zone, at=at, which=which)
    if which is Named.NINETY_DAYS:
        return days(today - 89 * _DAY, today, zone=zone, which=which)
    monday = today - timedelta(days=today.weekday())
    return days(monday - 52 * 7 * _DAY, today, zone=zone, which=which)


def quota_weeks(count: int, *, zone: ZoneInfo, at: datetime, which: Named | None = None) -> Span:
    """So many quota weeks, the last of which holds a moment."""
    last = week.week_of(week.to_ms(at))
    starts_at, ends_at = week.starts_at(last - count + 1), week.ends_at(last)
    first_date = starts_at.astimezone(zone).date()
    last_date = (ends_at - timedelta(microseconds=1)).astimezone(zone).date()
    middle = [_begins(day, zone) for day in _dates(first_date + _DAY, last_date)]
    return Span(Shape.DAYS, _bars([starts_at, *middle, ends_at], zone), zone, which)


def days(first: date, last: date, *, zone: ZoneInfo, which: Named | None = None) -> Span:
    """Days of a zone, the last one included: of one its hours, of many a grid."""
    starts_at, ends_at = _begins(first, zone), _begins(last + _DAY, zone)
    count = (last - first).days + 1
    if count <= _HOURS_UP_TO_DAYS:
        bounds = []
        while starts_at < ends_at:
            bounds.append(starts_at)
            starts_at += _HOUR
        return Span(Shape.HOURS, _bars([*bounds, ends_at], zone), zone, which)
    shape = Shape.DAYS if count <= _BARS_AT_MOST else Shape.GRID
    bounds = [_begins(day, zone) for day in _dates(first, last + _DAY)]
    return Span(shape, _bars(bounds, zone), zone, which)


def _begins(day: date, zone: ZoneInfo) -> datetime:
    """When a day begins, in UTC: at its first midnight, or when the clock leaps over that."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _dates(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += _DAY


def _bars(bounds: list[datetime], zone: ZoneInfo) -> tuple[Bar, ...]:
    return tuple(Bar(begins, ends, begins.astimezone(zone)) for begins, ends in pairwise(bounds))


_REGIONS = (
    *("Africa/", "America/", "Antarctica/", "Asia/", "Atlantic/", "Australia/", "Europe/"),
    *("Indian/", "Pacific/"),
)


@cache
def zone_names() -> tuple[str, ...]:
    """The zones that readers choose from, by region and city."""
    cities = (name for name in available_timezones() if name.startswith(_REGIONS))
    return ("UTC", *sorted(cities))
