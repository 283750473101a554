"""What the usage page says: addresses of other views, and times by the reader’s clock."""

import json
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.numbers import chats
from keys.models import ApiKey
from quotas.strip import BOOST, CREDITS
from quotas.usage.of_key import use_of_key
from quotas.usage.picture import DrawnBar, DrawnCell, Row
from quotas.usage.reading import Question

register = template.Library()

_NO_SPAN = {"span": None, "week": None, "from": None, "to": None}


@register.simple_tag
def span_address(question: Question, name: str) -> str:
    """The same view of another span that has a name."""
    return question.address(**{**_NO_SPAN, "span": name})


@register.simple_tag
def day_address(question: Question, day: date) -> str:
    """The same view of one day."""
    return days_address(question, day, day)


@register.simple_tag
def days_address(question: Question, first: date, last: date) -> str:
    """The same view of some days."""
    days = {"from": first.isoformat(), "to": last.isoformat()}
    return question.address(**{**_NO_SPAN, **days})


@register.simple_tag
def by_address(question: Question, by: str) -> str:
    """The same view by something else."""
    return question.address(by=by)


@register.simple_tag
def page_address(question: Question, step: int) -> str:
    """The page of the list so many before or behind."""
    return question.address(page=question.page + step)


@register.simple_tag
def here(moment: datetime, zone: ZoneInfo) -> SafeString:
    """A moment as the reader's clock shows it."""
    shown = date_format(moment.astimezone(zone), "DAY_AND_MOMENT_FORMAT")
    ends = " UTC" if zone.key == "UTC" else ""
    return format_html('<time datetime="{}">{}{}</time>', moment.isoformat(), shown, ends)


@register.inclusion_tag("keys/_use.html")
def use_of(key: ApiKey) -> dict[str, Any]:
    """What a key used this week and in 14 days."""
    return {"use": use_of_key(key, at=timezone.now()), "key": key}


# Of these there are hundreds on a page: made here, where that costs a tenth.
@register.simple_tag
def bar_of(bar: DrawnBar, question: Question | None) -> SafeString:
    """One bar: what paid for its chats, one above the other; it leads to its day."""
    parts = format_html_join(
        "",
        '<rect class="{}" width="10" y="{}" height="{}"{}/>',
        (
            (
                part.kind or "allowance",
                round(100 - part.base - part.height, 2),
                part.height,
                _SIGNS.get(part.kind, ""),
            )
            for part in bar.parts
        ),
    )
    drawn = format_html(
        '<svg viewBox="0 0 10 100" preserveAspectRatio="none" aria-hidden="true">{}</svg>'
        '{}<span class="visually-hidden">{}</span>',
        parts,
        _REFUSED if bar.refused else "",
        bar.says,
    )
    if bar.opens is None or question is None:
        return format_html('<span class="bar" title="{}">{}</span>', bar.says, drawn)
    address = day_address(question, bar.opens)
    return format_html('<a class="bar" href="{}" title="{}">{}</a>', address, bar.says, drawn)


# What differs by more than its colour; the allowance is plain.
_SIGNS = {kind: SafeString(f' fill="url(#bar-{kind})"') for kind in (BOOST, CREDITS)}
_REFUSED = SafeString('<span class="refused-mark"></span>')


@register.simple_tag
def cells_of_row(row: Row, question: Question) -> SafeString:
    """The days of a week in the grid of a year, each of which leads to its own view."""
    return format_html_join("", "{}", ((_cell(cell, question),) for cell in row.cells))


def _cell(cell: DrawnCell | None, question: Question) -> SafeString:
    if cell is None:
        return SafeString("<td></td>")
    words = chats(cell.total)
    return format_html(
        '<td><a class="l{}" href="{}" title="{}"><span class="visually-hidden">{}</span></a></td>',
        cell.level,
        day_address(question, cell.day),
        f"{date_format(cell.day, 'DAY_FORMAT')}: {words}",
        words,
    )


@register.filter
def as_json(text: str) -> str:
    """A text as JSON spells it."""
    return json.dumps(text)
