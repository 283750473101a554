"""The calendar month in UTC, which ceilings of spending are counted by."""

from datetime import UTC, datetime

_MONTHS_OF_A_YEAR = 12


def month_of(at_ms: int) -> int:
    """The number of the month that holds a moment (milliseconds since 1970), from year 0 on."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at.year * _MONTHS_OF_A_YEAR + at.month - 1


def starts_at(month: int) -> datetime:
    """The moment a month begins."""
    year, month_from_0 = divmod(month, _MONTHS_OF_A_YEAR)
    return datetime(year, month_from_0 + 1, 1, tzinfo=UTC)


def ends_at(month: int) -> datetime:
    """The moment a month ends, which is the moment its ceiling begins anew."""
    return starts_at(month + 1)
