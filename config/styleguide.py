"""Everything that pages are made of, on one page: to look at after a change of the looks."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from quotas.standing import Left
from quotas.strip import BOOST, CREDITS, Amounts
from quotas.usage.picture import DrawnBar, Part

_AT = datetime(2026, 3, 5, 14, 10, tzinfo=UTC)
_CODE = 'curl -N /api/v1/chat \\\n  -H "Authorization: Bearer $SANSXEL_KEY"'
_LONG = "Donaudampfschifffahrtsgesellschaftskapitänspatent " * 2

WEEKS = (
    ("A new week", Amounts(allowance=50, elapsed=0.0)),
    ("Half of a week that is half over", Amounts(spent=25, allowance=25, elapsed=0.5)),
    ("More than a hundred", Amounts(spent=412, allowance=88, boost=500, credits=250, elapsed=0.6)),
    ("All of it spent", Amounts(spent=50, elapsed=0.4)),
    ("Boosts pay", Amounts(spent=50, boost=320, elapsed=0.4)),
    ("A boost is to come", Amounts(spent=50, coming={BOOST: 500}, elapsed=0.4)),
    ("Credits are to come", Amounts(spent=50, boost=12, coming={CREDITS: 250}, elapsed=0.4)),
    ("Very much", Amounts(spent=90_000, allowance=10_000, boost=5_000, elapsed=0.9)),
)
COLOURS = (
    *("bg", "surface", "sunken", "line", "line-strong", "field-line", "ink", "muted"),
    *("accent", "accent-soft", "ok", "ok-soft", "warn", "warn-soft", "bad", "bad-soft"),
    *("pay-allowance", "pay-boost", "pay-credits"),
)


class _Example(forms.Form):
    """One field of every kind."""

    # The page is looked at from its head, whatever is wrong further down.
    bound_field_class = forms.BoundField

    name = forms.CharField(help_text="Where will you use it? For example “production”.")
    cap = forms.IntegerField(min_value=1, required=False)
    meters = forms.ChoiceField(choices=[("", "All"), ("chat", "Chat")], required=False)
    networks = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), required=False)
    reads_usage = forms.BooleanField(label="May read usage", required=False)
    closed = forms.CharField(disabled=True, required=False, initial="Cannot be changed")


@require_safe
@never_cache
def styleguide(request: HttpRequest) -> HttpResponse:
    """Type, colour, the week, forms, tables, charts, what acts answer and ask, waiting, print."""
    context: dict[str, Any] = {
        "weeks": WEEKS,
        "colours": COLOURS,
        "form": _Example(auto_id="good_%s"),
        "form_with_errors": _wrong(),
        "lefts": [
            _left(used=412, left=88),
            _left(used=500, left=0),
            _left(used=31, left=None, cap=None),
        ],
        "bars": [_bar(number) for number in range(7)],
        "rows": [
            ("production", 312, _AT),
            (_LONG, 84, _AT - timedelta(days=3)),
            ("مفتاح", 16, _AT),
        ],
        "at": _AT,
        "long": _LONG,
        "code": _CODE,
    }
    return render(request, "pages/styleguide.html", context)


def _wrong() -> _Example:
    form = _Example(
        {"name": "", "cap": "0", "meters": "?", "networks": "10.0.0.0/40"}, auto_id="bad_%s"
    )
    form.add_error("networks", "“10.0.0.0/40” is no address range. Write one like 10.0.0.0/8.")
    form.add_error(None, "Nothing was saved. Look at the fields below.")
    return form


def _left(**changes: int | None) -> Left:
    said = {"cap": 500, "boost_left": 0, "credits_left": 0} | changes
    return Left(
        resets_at=_AT + timedelta(days=3),
        credits_per_chat=2,
        suspended=False,
        **said,  # type: ignore[arg-type]
    )


def _bar(number: int) -> DrawnBar:
    parts = tuple(
        Part(kind, chats, chats, base)
        for kind, chats, base in (
            ("allowance", 40, 0.0),
            ("boost", 4 * number, 40.0),
            ("credits", 3 * number, 40.0 + 4 * number),
        )
        if chats
    )
    day = _AT - timedelta(days=6 - number)
    return DrawnBar(
        name=f"{day:%a} {day.day} {day:%b}",
        label=f"{day:%a} {day.day}",
        total=sum(part.chats for part in parts),
        refused=number // 5,
        parts=parts,
        is_now=number == 6,
        is_future=False,
        opens=None,
    )
