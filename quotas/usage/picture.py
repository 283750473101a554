"""Pictures of use as templates draw them: bars, the grid of a year, a week under its cap.

Only geometry and words; nothing is counted here. Lengths are parts of a hundred unless said.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.numbers import thousands
from quotas.models.used import Source
from quotas.standing import Standing
from quotas.usage.forecast import Forecast
from quotas.usage.report import Report
from quotas.usage.spans import Bar, Shape, Span

# Weeks that a grid shows however new the account is.
_WEEKS_AT_LEAST = 12
_LEVELS = 4
# Labels below bars stand side by side without touching, on a phone too.
_LABELS_AT_MOST = 8


@dataclass(frozen=True, slots=True)
class Part:
    """One source's part of a bar: its height, and how high it begins."""

    kind: str
    chats: int
    height: float
    base: float


@dataclass(frozen=True, slots=True)
class DrawnBar:
    """One bar. label: below it, or empty; name: in full; opens: the day that it leads to."""

    name: str
    label: str
    total: int
    refused: int
    parts: tuple[Part, ...]
    is_now: bool
    is_future: bool
    opens: date | None

    @property
    def says(self) -> str:
        """All of it in words."""
        if self.refused:
            words = ngettext(
                "%(when)s: %(count)s chat, %(refused)s refused",
                "%(when)s: %(count)s chats, %(refused)s refused",
                self.total,
            )
        else:
            words = ngettext("%(when)s: %(count)s chat", "%(when)s: %(count)s chats", self.total)
        told = {
            "when": self.name,
            "count": thousands(self.total),
            "refused": thousands(self.refused),
        }
        return words % told

    def of(self, kind: str) -> int:
        """Chats that one source paid."""
        return sum(part.chats for part in self.parts if part.kind == kind)

    @property
    def allowance(self) -> int:
        """Chats of the allowance."""
        return self.of(Source.ALLOWANCE)

    @property
    def boost(self) -> int:
        """Chats of boosts."""
        return self.of(Source.BOOST)

    @property
    def credits(self) -> int:
        """Chats of credits."""
        return self.of(Source.CREDITS)


def bars_of(report: Report, span: Span, *, at: datetime) -> tuple[DrawnBar, ...]:
    """The bars of a span of hours or days."""
    peak = max((report.of_bar(number) for number in range(len(span.bars))), default=0)
    every = -(-len(span.bars) // _LABELS_AT_MOST)
    return tuple(
        DrawnBar(
            name=_name(bar, span),
            label=_label(bar, span)
            if number % every == 0 and len(span.bars) - number >= every
            else "",
            total=report.of_bar(number),
            refused=sum(report.refused.get(number, {}).values()),
            parts=tuple(_parts(report.by_bar.get(number, {}), peak)),
            is_now=bar.starts_at <= at < bar.ends_at,
            is_future=bar.starts_at > at,
            opens=None if span.shape is Shape.HOURS else bar.local.date(),
        )
        for number, bar in enumerate(span.bars)
    )


def _parts(sources: Mapping[str, int], peak: int) -> Iterator[Part]:
    base = 0.0
    for kind in (*Source.values, ""):
        chats = sources.get(kind, 0)
        # Of a refund there may be less than nothing in an hour.
        height = round(100 * max(0, chats) / peak, 2) if peak > 0 else 0.0
        if chats:
            yield Part(kind, chats, height, base)
        base += height


def _name(bar: Bar, span: Span) -> str:
    if span.shape is Shape.HOURS:
        return date_format(bar.local, "DAY_AND_TIME_FORMAT")
    day = date_format(bar.local, "DAY_FORMAT")
    ends = bar.ends_at.astimezone(span.zone)
    since, until = f"{bar.local:%H:%M}", f"{ends:%H:%M}"
    is_first = bar is span.bars[0] and since != "00:00"
    is_last = bar is span.bars[-1] and until != "00:00"
    if is_first and is_last:
        words = _("%(day)s, from %(since)s, until %(until)s")
    elif is_first:
        words = _("%(day)s, from %(since)s")
    elif is_last:
        words = _("%(day)s, until %(until)s")
    else:
        return day
    return words % {"day": day, "since": since, "until": until}


def _label(bar: Bar, span: Span) -> str:
    if span.shape is Shape.HOURS:
        return f"{bar.local:%H:%M}"
    return date_format(bar.local, "SHORT_DAY_FORMAT" if len(span.bars) <= 8 else "MONTH_DAY_FORMAT")


@dataclass(frozen=True, slots=True)
class DrawnCell:
    """One day of the grid: how deep its colour is, 0 to 4. None of it: not in the span."""

    day: date
    total: int
    level: int


@dataclass(frozen=True, slots=True)
class Row:
    """A week of the grid, Monday to Sunday."""

    monday: date
    cells: tuple[DrawnCell | None, ...]

    @property
    def total(self) -> int:
        """Chats of its days."""
        return sum(cell.total for cell in self.cells if cell is not None)

    @property
    def sunday(self) -> date:
        """Its last day."""
        return self.monday + timedelta(days=6)


def grid_of(report: Report, span: Span) -> tuple[Row, ...]:
    """The days of a long span, a week a row, the newest first; none before the account began."""
    totals = {bar.local.date(): report.of_bar(number) for number, bar in enumerate(span.bars)}
    peak = max(totals.values(), default=0)
    rows = []
    monday = span.first_date - timedelta(days=span.first_date.weekday())
    while monday <= span.last_date:
        days = [monday + timedelta(days=offset) for offset in range(7)]
        cells = (
            DrawnCell(day, totals[day], _level(totals[day], peak)) if day in totals else None
            for day in days
        )
        rows.append(Row(monday, tuple(cells)))
        monday += timedelta(days=7)
    while len(rows) > _WEEKS_AT_LEAST and not rows[0].total:
        del rows[0]
    return tuple(reversed(rows))


def _level(chats: int, peak: int) -> int:
    return 0 if chats <= 0 else max(1, -(-_LEVELS * chats // peak))


@dataclass(frozen=True, slots=True)
class AgainstCap:
    """The week's use adding up, drawn 0 to 100 from the left and from the top.

    used: the line so far; forecast: where it goes at this pace; cap: how high the cap stands.
    """

    used: str
    forecast: str
    cap: float
    cap_chats: int
    now: float
    peak: int


def against_cap(
    report: Report, span: Span, standing: Standing, forecast: Forecast | None, *, at: datetime
) -> AgainstCap | None:
    """The current quota week as a line under its cap; None without a cap or use."""
    if not standing.cap or not report.total:
        return None
    total = report.total
    expected = total if forecast is None else forecast.by_reset
    peak = max(standing.cap, total, expected)
    whole = (span.ends_at - span.starts_at).total_seconds()

    def across(moment: datetime) -> float:
        return round(100 * (moment - span.starts_at).total_seconds() / whole, 2)

    def down(chats: int) -> float:
        return round(100 - 100 * chats / peak, 2)

    points = [(0.0, down(0))]
    so_far = 0
    for number, bar in enumerate(span.bars):
        if bar.starts_at > at:
            break
        so_far += report.of_bar(number)
        points.append((across(min(bar.ends_at, at)), down(so_far)))
    now = across(at)
    return AgainstCap(
        used=" ".join(f"{x},{y}" for x, y in points),
        forecast="" if forecast is None else f"{now},{down(total)} 100,{down(expected)}",
        cap=down(standing.cap),
        cap_chats=standing.cap,
        now=now,
        peak=peak,
    )
