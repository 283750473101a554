"""The week as cells (`quotas.strip`), drawn: large beside what is left, compact in a header."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import template
from django.template.context import RequestContext
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrOrPromise

from accounts.current import membership_of
from accounts.numbers import chats, thousands
from accounts.roles import Act, may
from quotas.entitlements import suspension_of
from quotas.standing import Left, left_of
from quotas.strip import (
    ALLOWANCE,
    BOOST,
    CELL_HEIGHT,
    CREDITS,
    SPENT,
    Amounts,
    Mark,
    Run,
    Strip,
    amounts_of,
    strip_of,
)

register = template.Library()

# Cells of a row and rows at most: on a wide page, on a phone, and in a header.
_WIDE, _NARROW, _COMPACT = (50, 4), (25, 8), (60, 1)
_COMPACT_AT_LEAST = 25
_MAIL = (25, 6)
# Cells of a mail that is text.
_SIGNS = {SPENT: "□", ALLOWANCE: "■", BOOST: "▨", CREDITS: "▩"}
_NAMES: Mapping[str, StrOrPromise] = {
    SPENT: _("Spent"),
    ALLOWANCE: _("Allowance"),
    BOOST: _("Weekly Boost"),
    CREDITS: _("Credits"),
}


@register.inclusion_tag("quotas/_strip.html")
def week_strip(left: Left, at: datetime | None = None) -> dict[str, Any]:
    """The week of an account, large, with what the signs mean; nothing without a limit."""
    return _figure(amounts_of(left, at=at or timezone.now()))


@register.inclusion_tag("quotas/_strip.html")
def amounts_strip(amounts: Amounts) -> dict[str, Any]:
    """The same of amounts that are nobody's, or that a purchase changes."""
    return _figure(amounts)


@register.inclusion_tag("quotas/_strip_compact.html", takes_context=True)
def week_in_short(context: RequestContext) -> dict[str, Any]:
    """The visitor's week in a line, for the head of every account page; nothing if nobody knows."""
    left = _left_now(context)
    if left is None:
        return {}
    amounts = amounts_of(left, at=timezone.now())
    columns, rows = _COMPACT
    return {
        "left": left,
        "drawn": amounts
        and drawn(strip_of(amounts, columns=columns, rows=rows).cut_to(_COMPACT_AT_LEAST), ""),
    }


@register.inclusion_tag("alerts/email/_cells.html")
def cells_of_mail(amounts: Amounts) -> dict[str, Any]:
    """The week as a table, which mail programs show that show no SVG."""
    strip = strip_of(amounts, columns=_MAIL[0], rows=_MAIL[1])
    return {**_key(strip), "rows": strip.by_row()}


@register.inclusion_tag("alerts/email/_cells.txt")
def cells_of_text(amounts: Amounts) -> dict[str, Any]:
    """The week as text."""
    strip = strip_of(amounts, columns=_MAIL[0], rows=_MAIL[1])
    rows = ["".join(_SIGNS[kind] for kind in row) for row in strip.by_row()]
    return {**_key(strip), "rows": rows}


def _key(strip: Strip) -> dict[str, Any]:
    there = {run.kind for run in strip.runs}
    return {
        "a_cell": strip.chats_a_cell,
        "kinds": [(kind, _SIGNS[kind], name) for kind, name in _NAMES.items() if kind in there],
    }


def _left_of_visitor(context: RequestContext) -> Left | None:
    request = context.get("request")
    membership = membership_of(request) if request else None
    return left_of(membership.account) if membership else None


@register.inclusion_tag("quotas/_suspension.html", takes_context=True)
def suspension_notice(context: RequestContext) -> dict[str, Any]:
    """Since when and why the visitor's account is suspended; nothing while it is not."""
    request = context.get("request")
    membership = membership_of(request) if request else None
    left = _left_now(context)
    if membership is None or left is None or not left.suspended:
        return {}
    return {
        "suspension": suspension_of(membership.account),
        # Others are told that it is so, and ask them.
        "may_know_why": may(membership, Act.SEE_AUDIT),
    }


def _left_now(context: RequestContext) -> Left | None:
    """Asked once for each page."""
    if "standing" in context:
        known: Left | None = context["standing"]
        return known
    request = context.get("request")
    if request is None:
        return None
    kept = vars(request)
    if "left_now" not in kept:
        kept["left_now"] = _left_of_visitor(context)
    left: Left | None = kept["left_now"]
    return left


def _figure(amounts: Amounts | None) -> dict[str, Any]:
    if amounts is None:
        return {}
    wide = strip_of(amounts, columns=_WIDE[0], rows=_WIDE[1])
    narrow = strip_of(amounts, columns=_NARROW[0], rows=_NARROW[1])
    says = in_words(amounts)
    there = {run.kind for run in wide.runs}
    coming = {run.kind for run in wide.runs if run.is_coming}
    return {
        "wide": drawn(wide, says),
        "narrow": drawn(narrow, says),
        "wide_cell": wide.chats_a_cell,
        "narrow_cell": narrow.chats_a_cell,
        "kinds": [(kind, name) for kind, name in _NAMES.items() if kind in there],
        "coming": [name for kind, name in _NAMES.items() if kind in coming],
        "has_marks": bool(wide.marks),
    }


def in_words(amounts: Amounts) -> str:
    """All of the picture in a sentence."""
    parts = [
        gettext("%(spent)s of %(chats)s of this week are spent")
        % {"spent": thousands(amounts.spent), "chats": chats(amounts.week)}
    ]
    parts += [
        words % {"chats": chats(number)}
        for words, number in (
            (gettext("from boosts: %(chats)s"), amounts.boost),
            (gettext("from credits: %(chats)s"), amounts.credits),
            (gettext("to come: %(chats)s"), sum(amounts.coming.values())),
        )
        if number
    ]
    return "; ".join(parts)


# Of these there are many on a page of many accounts: made here, where that costs a tenth.
def drawn(strip: Strip, says: str) -> SafeString:
    """A strip as SVG; says: what it shows in words, or nothing where the text beside it does."""
    role: Mapping[str, str] = (
        {"role": "img", "aria-label": says} if says else {"aria-hidden": "true"}
    )
    return format_html(
        '<svg viewBox="-2 0 {} {}"{}>{}{}</svg>',
        strip.width + 4,
        strip.height,
        format_html_join("", ' {}="{}"', role.items()),
        format_html_join("", "{}", ((_run(run),) for run in strip.runs)),
        format_html_join("", "{}", ((_mark(mark),) for mark in strip.marks)),
    )


def _run(run: Run) -> SafeString:
    return format_html(
        '<rect{} x="{}" y="{}" width="{}" height="{}" fill="url(#cell-{}{})"/>',
        SafeString(' class="coming"') if run.is_coming else "",
        run.x,
        run.y,
        run.width,
        CELL_HEIGHT,
        run.kind,
        "-coming" if run.is_coming else "",
    )


def _mark(mark: Mark) -> SafeString:
    if mark.kind == "now":
        path = f"M{mark.x - 4} {mark.y}h8l-4 5zM{mark.x} {mark.y + 3}v{CELL_HEIGHT - 3}"
    else:
        path = f"M{mark.x} {mark.y + CELL_HEIGHT}v-{CELL_HEIGHT}l8 3.5l-8 3.5"
    return format_html('<path class="strip-mark" d="{}"/>', path)
