"""What the usage page says: addresses of other views, and times by the reader’s clock."""

import json
from collections.abc import Iterable
from datetime import date, datetime
from zoneinfo import ZoneInfo

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from quotas.usage.picture import Part
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
def by_words(cuts: Iterable[tuple[str, str]], by: str) -> str:
    """What a list is by, within a heading."""
    return dict(cuts)[by].lower()


@register.simple_tag
def here(moment: datetime, zone: ZoneInfo) -> SafeString:
    """A moment as the reader's clock shows it."""
    there = moment.astimezone(zone)
    shown = f"{there:%a} {there.day} {there:%b %Y, %H:%M}"
    ends = " UTC" if zone.key == "UTC" else ""
    return format_html('<time datetime="{}">{}{}</time>', moment.isoformat(), shown, ends)


@register.filter
def top(part: Part) -> float:
    """Where a part of a bar begins, from the top."""
    return round(100 - part.base - part.height, 2)


@register.filter
def as_json(text: str) -> str:
    """A text as JSON spells it."""
    return json.dumps(text)
