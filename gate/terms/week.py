"""The week of the product: Monday 00:00 UTC to the next, derived from the clock alone."""

from datetime import UTC, datetime
from functools import lru_cache

WEEK_MS = 7 * 24 * 3600 * 1000
# 1970-01-05 00:00 UTC was a Monday; week 0 begins there.
FIRST_MONDAY_MS = 4 * 24 * 3600 * 1000


def week_of(at_ms: int) -> int:
    """The number of the week that holds a moment (milliseconds since 1970)."""
    return (at_ms - FIRST_MONDAY_MS) // WEEK_MS


def starts_ms(week: int) -> int:
    """The first millisecond of a week, since 1970."""
    return week * WEEK_MS + FIRST_MONDAY_MS


def starts_at(week: int) -> datetime:
    """The moment a week begins."""
    return datetime.fromtimestamp(starts_ms(week) / 1000, UTC)


@lru_cache(maxsize=64)
def ends_at(week: int) -> datetime:
    """The moment a week ends, which is the moment its allowance resets."""
    return starts_at(week + 1)


@lru_cache(maxsize=64)
def ends_at_text(week: int) -> str:
    """The moment a week ends, as RFC 3339 text."""
    return utc_text(ends_at(week))


def utc_text(at: datetime) -> str:
    """A moment in UTC as RFC 3339 text that ends in Z."""
    return at.isoformat().replace("+00:00", "Z")


def to_ms(at: datetime) -> int:
    """Milliseconds since 1970 of an aware moment."""
    return int(at.timestamp() * 1000)
