"""Alerts in words: the heading of a mail and a line of the log, and what follows it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.template.defaultfilters import pluralize

from alerts.models import Alert, Kind


def heading_of(alert: Alert) -> str:
    """One line without a full stop."""
    return _HEADINGS[Kind(alert.kind)](alert.data)


def sentences_of(alert: Alert) -> list[str]:
    """What there is to know besides; paragraphs of plain text."""
    words = _SENTENCES.get(Kind(alert.kind))
    return words(alert.data) if words else []


def _reached(data: dict[str, Any]) -> str:
    return f"{data['percent']} % of this week’s allowance is used"


def _what_is_left(data: dict[str, Any]) -> list[str]:
    spare = []
    if data["boost_left"]:
        spare.append(f"{_chats(data['boost_left'])} of boosts")
    if data["credits_left"] > 0:
        spare.append(_credits(data["credits_left"]))
    if spare:
        then = f"After the allowance, {' and then '.join(spare)} can pay."
    else:
        then = "There is no boost and no credit: after the allowance, requests are refused."
    used = f"{data['used']:,} of {_chats(data['cap'])} are used."
    return [f"{used} {_begins_anew(data)}", then]


def _overflow(data: dict[str, Any]) -> list[str]:
    paid = []
    if data["boost_chats"]:
        paid.append(f"{_chats(data['boost_chats'])} from boosts")
    if data["credit_chats"]:
        paid.append(f"{_chats(data['credit_chats'])} from credits")
    now = "The allowance is used up, and what you have on top pays now:"
    return [
        f"{now} {' and '.join(paid)} so far. {_begins_anew(data)}",
        f"Left: {_chats(data['boost_left'])} of boosts, {_credits(data['credits_left'])}.",
    ]


def _low_credits(data: dict[str, Any]) -> list[str]:
    return [
        f"You wanted to know when there are fewer than {_credits(data['below'])}.",
        "When they are used up, requests past your allowance and boosts are refused.",
    ]


def _key_habit(data: dict[str, Any]) -> list[str]:
    key = f"The key “{data['key']}” ({data['masked']})"
    return [
        f"{key} sent {_chats(data['chats'])} on {data['day']}; usual are {data['usual']:,} a day.",
        "If you do not know why, somebody else may have it: revoke it, and create another.",
    ]


def _endpoint_off(data: dict[str, Any]) -> list[str]:
    return [
        f"{data['url']} has not taken what we sent since {_moment(data['since'])}.",
        "Nothing more is sent to it until you switch it on again.",
        "What it missed is in the log, from where you can send it again.",
    ]


def _begins_anew(data: dict[str, Any]) -> str:
    return f"The week begins anew on {_moment(data['resets_at'])}."


def _chats(number: int) -> str:
    return f"{number:,} chat{pluralize(number)}"


def _credits(number: int) -> str:
    return f"{number:,} credit{pluralize(number)}"


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text):%A %-d %B, %H:%M} UTC"


_HEADINGS: dict[Kind, Callable[[dict[str, Any]], str]] = {
    Kind.WEEK_50: _reached,
    Kind.WEEK_80: _reached,
    Kind.WEEK_100: lambda _data: "This week’s allowance is used up",
    Kind.OVERFLOW: lambda _data: "Boosts or credits pay now",
    Kind.LOW_CREDITS: lambda data: f"{_credits(max(0, data['credits_left']))} left",
    Kind.KEY_HABIT: lambda data: f"“{data['key']}” is used far more than usual",
    Kind.SUMMARY: lambda data: (
        f"Your week until {datetime.fromisoformat(data['week_ends_at']):%-d %B}: "
        f"{_chats(data['total'])}"
    ),
    Kind.ENDPOINT_OFF: lambda _data: "A webhook was switched off",
    Kind.TEST: lambda _data: "Test of a webhook",
}
_SENTENCES: dict[Kind, Callable[[dict[str, Any]], list[str]]] = {
    Kind.WEEK_50: _what_is_left,
    Kind.WEEK_80: _what_is_left,
    Kind.WEEK_100: _what_is_left,
    Kind.OVERFLOW: _overflow,
    Kind.LOW_CREDITS: _low_credits,
    Kind.KEY_HABIT: _key_habit,
    Kind.ENDPOINT_OFF: _endpoint_off,
}
