"""How the periods of a recurring price follow each other."""

import calendar
from datetime import UTC, datetime, timedelta

from stripe_sandbox.books import Json


def end_of(start: int, *, recurring: Json, anchor: int) -> int:
    """When the period that begins at `start` ends.

    Months are counted from the anchor, so that what began on the 31st ends on the last of a short
    month and on the 31st again after it.
    """
    unit, count = recurring["interval"], recurring["interval_count"]
    begun_at = datetime.fromtimestamp(anchor, UTC)
    step = 0
    while True:
        step += count
        moment = int(_later(begun_at, unit, step).timestamp())
        if moment > start:
            return moment


def months_later(moment: float, months: int) -> float:
    """The same day of the month so many months later, or its last one."""
    return _later(datetime.fromtimestamp(moment, UTC), "month", months).timestamp()


def _later(moment: datetime, unit: str, count: int) -> datetime:
    if unit in ("day", "week"):
        return moment + timedelta(days=count * (7 if unit == "week" else 1))
    months = moment.month - 1 + count * (12 if unit == "year" else 1)
    year, month = moment.year + months // 12, months % 12 + 1
    last = calendar.monthrange(year, month)[1]
    return moment.replace(year=year, month=month, day=min(moment.day, last))
