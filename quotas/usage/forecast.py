"""How long what is left lasts at the pace of this week, said honestly: not before there is one."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from quotas.standing import Standing

# Before this nobody can tell a pace from an accident.
_PACE_AFTER = timedelta(hours=6)
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What happens if use goes on as it went since the week began.

    by_reset: chats of all sources that this week has then. allowance_ends_at: when the allowance
    is used up, if before the reset. all_ends_at: when nothing can pay any more, if before it.
    """

    by_reset: int
    allowance_ends_at: datetime | None
    all_ends_at: datetime | None


def forecast(standing: Standing, *, total: int, at: datetime) -> Forecast | None:
    """None where nothing can be said: no use yet, too early in the week, nothing may be used.

    total: chats of all sources since the week began.
    """
    elapsed = at - (standing.resets_at - _WEEK)
    if total <= 0 or elapsed < _PACE_AFTER or not standing.can_chat:
        return None
    per_second = total / elapsed.total_seconds()

    def lasts(chats: int) -> datetime | None:
        ends_at = at + timedelta(seconds=min(chats / per_second, _WEEK.total_seconds()))
        return ends_at if ends_at < standing.resets_at else None

    rest = standing.resets_at - at
    allowance_ends_at = all_ends_at = None
    if standing.left is not None:
        allowance_ends_at = lasts(standing.left) if standing.left else None
        paid = standing.boost_left + standing.chats_from_credits
        all_ends_at = lasts(standing.left + paid)
    return Forecast(
        by_reset=total + round(per_second * rest.total_seconds()),
        allowance_ends_at=allowance_ends_at,
        all_ends_at=all_ends_at,
    )


def part_of_day(moment: datetime, *, at: datetime) -> str:
    """When a moment of the coming days is, roughly, as people say it; both in the reader's zone."""
    if moment - at < timedelta(minutes=90):
        return "within the next hour or so"
    hour, days = moment.hour, (moment.date() - at.date()).days
    part = ("night", "morning", "afternoon", "evening")[hour // 6]
    if days == 0:
        return "tonight" if part == "night" else f"this {part}"
    if days == 1:
        return f"tomorrow {part}" if part != "night" else "in the coming night"
    return f"on {moment:%A} {part}" if part != "night" else f"in the night to {moment:%A}"


def in_words(left: timedelta) -> str:
    """How long until something: “in 2 days 4 h”, “in 3 h 5 min”, “in 4 min”."""
    minutes = max(0, int(left.total_seconds())) // 60
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"in {days} day{'s' if days > 1 else ''} {hours} h"
    return f"in {hours} h {minutes} min" if hours else f"in {minutes} min"
