"""Alerts in words: the heading of a mail and a line of the log, and what follows it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import numbers
from accounts.numbers import thousands
from alerts.models import Alert, Kind


def heading_of(alert: Alert) -> str:
    """One line without a full stop."""
    return _HEADINGS[Kind(alert.kind)](alert.data)


def sentences_of(alert: Alert) -> list[str]:
    """What there is to know besides; paragraphs of plain text."""
    words = _SENTENCES.get(Kind(alert.kind))
    return words(alert.data) if words else []


def _reached(data: dict[str, Any]) -> str:
    return _("%(percent)s %% of this week’s allowance is used") % {"percent": data["percent"]}


def _what_is_left(data: dict[str, Any]) -> list[str]:
    boosts, credits = data["boost_left"], data["credits_left"]
    if boosts and credits > 0:
        then = _("After the allowance, %(boosts)s of boosts and then %(credits)s can pay.")
    elif boosts:
        then = _("After the allowance, %(boosts)s of boosts can pay.")
    elif credits > 0:
        then = _("After the allowance, %(credits)s can pay.")
    else:
        then = _("There is no boost and no credit: after the allowance, requests are refused.")
    used = _("%(used)s of %(cap)s are used.") % {
        "used": thousands(data["used"]),
        "cap": numbers.chats(data["cap"]),
    }
    spare = {"boosts": numbers.chats(boosts), "credits": numbers.credits(credits)}
    return [f"{used} {_begins_anew(data)}", then % spare]


def _overflow(data: dict[str, Any]) -> list[str]:
    boosts, credits = data["boost_chats"], data["credit_chats"]
    if boosts and credits:
        pays = _(
            "The allowance is used up, and what you have on top pays now: "
            "%(boosts)s from boosts and %(credits)s from credits so far."
        )
    elif boosts:
        pays = _(
            "The allowance is used up, and what you have on top pays now: "
            "%(boosts)s from boosts so far."
        )
    else:
        pays = _(
            "The allowance is used up, and what you have on top pays now: "
            "%(credits)s from credits so far."
        )
    paid = {"boosts": numbers.chats(boosts), "credits": numbers.chats(credits)}
    left = {
        "boosts": numbers.chats(data["boost_left"]),
        "credits": numbers.credits(data["credits_left"]),
    }
    return [
        f"{pays % paid} {_begins_anew(data)}",
        _("Left: %(boosts)s of boosts, %(credits)s.") % left,
    ]


def _low_credits(data: dict[str, Any]) -> list[str]:
    return [
        _("You wanted to know when there are fewer than %(credits)s.")
        % {"credits": numbers.credits(data["below"])},
        _("When they are used up, requests past your allowance and boosts are refused."),
    ]


def _key_habit(data: dict[str, Any]) -> list[str]:
    sent = _("The key “%(key)s” (%(masked)s) sent %(chats)s on %(day)s; usual are %(usual)s a day.")
    said = {
        "key": data["key"],
        "masked": data["masked"],
        "chats": numbers.chats(data["chats"]),
        "day": data["day"],
        "usual": thousands(data["usual"]),
    }
    return [
        sent % said,
        _("If you do not know why, somebody else may have it: revoke it, and create another."),
    ]


def _endpoint_off(data: dict[str, Any]) -> list[str]:
    return [
        _("%(url)s has not taken what we sent since %(moment)s.")
        % {"url": data["url"], "moment": _moment(data["since"])},
        _("Nothing more is sent to it until you switch it on again."),
        _("What it missed is in the log, from where you can send it again."),
    ]


def _begins_anew(data: dict[str, Any]) -> str:
    return _("The week begins anew on %(moment)s.") % {"moment": _moment(data["resets_at"])}


def _moment(text: str) -> str:
    return f"{date_format(datetime.fromisoformat(text), 'LONG_WEEKDAY_AND_TIME_FORMAT')} UTC"


def _credits_left(data: dict[str, Any]) -> str:
    left = max(0, data["credits_left"])
    return ngettext("%(n)s credit left", "%(n)s credits left", left) % {"n": thousands(left)}


def _habit_broken(data: dict[str, Any]) -> str:
    return _("“%(key)s” is used far more than usual") % {"key": data["key"]}


def _of_the_week(data: dict[str, Any]) -> str:
    return _("Your week until %(day)s: %(chats)s") % {
        "day": date_format(datetime.fromisoformat(data["week_ends_at"]), "LONG_DAY_FORMAT"),
        "chats": numbers.chats(data["total"]),
    }


_HEADINGS: dict[Kind, Callable[[dict[str, Any]], str]] = {
    Kind.WEEK_50: _reached,
    Kind.WEEK_80: _reached,
    Kind.WEEK_100: lambda _data: _("This week’s allowance is used up"),
    Kind.OVERFLOW: lambda _data: _("Boosts or credits pay now"),
    Kind.LOW_CREDITS: _credits_left,
    Kind.KEY_HABIT: _habit_broken,
    Kind.SUMMARY: _of_the_week,
    Kind.ENDPOINT_OFF: lambda _data: _("A webhook was switched off"),
    Kind.TEST: lambda _data: _("Test of a webhook"),
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
