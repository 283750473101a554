"""How amounts and moments read."""

from datetime import datetime, timedelta
from typing import NamedTuple

from django import template
from django.template.defaultfilters import date as formatted
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from accounts import money, numbers
from accounts.numbers import thousands

register = template.Library()
register.filter(money.price)
register.filter(money.amount)
register.simple_tag(money.code, name="currency_code")
register.filter(thousands)
register.filter(numbers.chats)
register.filter(numbers.credits)


@register.filter
def translated(text: str) -> str:
    """What an admin wrote, in the language of the page where it is what every site begins with."""
    return gettext(text) if text else ""


@register.filter
def or_unlimited(cap: int | None) -> str:
    """A cap as “1,500”; None is “Unlimited”."""
    return gettext("Unlimited") if cap is None else thousands(cap)


@register.simple_tag
def ago(moment: datetime, now: datetime | None = None) -> SafeString:
    """A moment as seen from now: “3 hours ago”, “in 2 days”; the day itself when that is far off.

    The exact moment is in the title, and stands on paper. Not for pages that are kept: it is true
    when it is made.
    """
    exact = formatted(moment, "DATETIME_FORMAT")
    return format_html(
        '<time datetime="{}" title="{} UTC" data-exact="{} UTC">{}</time>',
        formatted(moment, "c"),
        exact,
        exact,
        in_words(moment, now=now or timezone.now()),
    )


class _Unit(NamedTuple):
    """A unit of time, until how much of it one speaks in it, and how many seconds it has."""

    below: timedelta
    seconds: int
    name: str


_UNITS = (
    _Unit(timedelta(hours=1), 60, "minute"),
    _Unit(timedelta(days=1), 3600, "hour"),
    _Unit(timedelta(days=31), 86400, "day"),
)


def in_words(moment: datetime, *, now: datetime) -> str:
    """How long ago a moment was or how soon it is, in whole units; beyond a month, which day."""
    away = moment - now
    distance = abs(away)
    if distance < timedelta(minutes=1):
        return gettext("just now") if away <= timedelta() else gettext("in a moment")
    for below, seconds, unit in _UNITS:
        if distance < below:
            count = int(distance.total_seconds()) // seconds
            return (_SOON if away > timedelta() else _AGO)[unit](count)
    return formatted(moment, "DATE_FORMAT")


_AGO = {
    "minute": lambda n: ngettext("%(n)d minute ago", "%(n)d minutes ago", n) % {"n": n},
    "hour": lambda n: ngettext("%(n)d hour ago", "%(n)d hours ago", n) % {"n": n},
    "day": lambda n: ngettext("%(n)d day ago", "%(n)d days ago", n) % {"n": n},
}
_SOON = {
    "minute": lambda n: ngettext("in %(n)d minute", "in %(n)d minutes", n) % {"n": n},
    "hour": lambda n: ngettext("in %(n)d hour", "in %(n)d hours", n) % {"n": n},
    "day": lambda n: ngettext("in %(n)d day", "in %(n)d days", n) % {"n": n},
}
