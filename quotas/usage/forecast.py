"""How long what is left lasts at the pace of this week, said honestly: not before there is one."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

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
        paid = standing.boost_open + standing.chats_from_credits
        all_ends_at = lasts(standing.left + paid)
    return Forecast(
        by_reset=total + round(per_second * rest.total_seconds()),
        allowance_ends_at=allowance_ends_at,
        all_ends_at=all_ends_at,
    )


def part_of_day(moment: datetime, *, at: datetime) -> str:
    """When a moment of the coming days is, roughly, as people say it; both in the reader's zone."""
    if moment - at < timedelta(minutes=90):
        return _("within the next hour or so")
    quarter, days = moment.hour // 6, (moment.date() - at.date()).days
    if days == 0:
        return (_("tonight"), _("this morning"), _("this afternoon"), _("this evening"))[quarter]
    if days == 1:
        return (
            _("in the coming night"),
            _("tomorrow morning"),
            _("tomorrow afternoon"),
            _("tomorrow evening"),
        )[quarter]
    words = (
        _("in the night to %(weekday)s"),
        _("on %(weekday)s morning"),
        _("on %(weekday)s afternoon"),
        _("on %(weekday)s evening"),
    )[quarter]
    return words % {"weekday": date_format(moment, "l")}


def in_words(left: timedelta) -> str:
    """How long until something: “in 2 days 4 h”, “in 3 h 5 min”, “in 4 min”."""
    minutes = max(0, int(left.total_seconds())) // 60
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        words = ngettext("in %(days)s day %(hours)s h", "in %(days)s days %(hours)s h", days)
    else:
        words = _("in %(hours)s h %(minutes)s min") if hours else _("in %(minutes)s min")
    return words % {"days": days, "hours": hours, "minutes": minutes}
