"""What the usage page tells, put together: the sentence, the pictures, the lists."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, User
from keys.models import ApiKey
from quotas import statement
from quotas.models.plans import Meter
from quotas.models.used import Source
from quotas.standing import outlook_of
from quotas.usage import forecast, live, picture
from quotas.usage.asked import By, Only
from quotas.usage.explained import Explained, explained
from quotas.usage.live import Live
from quotas.usage.reading import OTHER_TAGS, Question
from quotas.usage.report import Report
from quotas.usage.spans import Named, Shape

ROWS_OF_A_PAGE = 20
_EVENTS_AT_MOST = 50

SPANS = (
    (Named.WEEK, _("This week")),
    (Named.FOUR_WEEKS, _("4 weeks")),
    (Named.NINETY_DAYS, _("90 days")),
    (Named.YEAR, _("A year")),
)
CUTS = (
    (By.KEY, _("Key")),
    (By.SOURCE, _("What paid")),
    (By.METER, _("Endpoint")),
    (By.MODEL, _("Model")),
    (By.TAG, _("Tag")),
    (By.MEMBER, _("Member")),
)
_HEADINGS = {
    By.KEY: _("By key"),
    By.SOURCE: _("By what paid"),
    By.METER: _("By endpoint"),
    By.MODEL: _("By model"),
    By.TAG: _("By tag"),
    By.MEMBER: _("By member"),
}
SOURCES = {
    Source.ALLOWANCE: _("Allowance"),
    Source.BOOST: _("Weekly Boost"),
    Source.CREDITS: _("Credits"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One part in a list: what it is, what it used, and the address that shows it alone."""

    name: str
    detail: str
    chats: int
    credits: int
    percent: float
    address: str


@dataclass(frozen=True, slots=True)
class Lines:
    """A page of a list. rest: chats of parts that are too many to be told."""

    lines: tuple[Line, ...]
    page: int
    pages: int
    rest: int


@dataclass(frozen=True, slots=True)
class ReasonLine:
    """Why requests were refused, what to do about it, and how many they were."""

    reason: str
    explained: Explained
    refusals: int


def page_of(
    account: Account, question: Question, *, keys: QuerySet[ApiKey], at: datetime
) -> dict[str, Any]:
    """What the template of the page draws. keys: those that its reader may see the names of."""
    seen = live.look(account, question.span, by=question.by, only=question.only)
    meters = dict(Meter.objects.values_list("slug", "name"))
    lines = _lines(keys, question, seen.report, meters)
    return {
        "question": question,
        "span": question.span,
        "at": at.astimezone(question.zone),
        "has_now": question.span.starts_at <= at < question.span.ends_at,
        "seen": seen,
        "report": seen.report,
        **_standing(seen, question, at=at),
        **_pictures(seen, question, at=at),
        "lines": lines,
        "page_is_past": question.page > lines.pages,
        "reasons": [
            ReasonLine(reason, explained(reason), refusals)
            for reason, refusals in seen.report.refusals.most_common()
        ],
        "tokens": sorted(seen.report.tokens.items(), key=lambda told: (-told[1].chats, told[0])),
        "only_lines": _only_lines(keys, question, meters),
        **_events(account, question),
        "spans": SPANS,
        "cuts": CUTS,
        "by_heading": _HEADINGS[question.by],
    }


def _standing(seen: Live, question: Question, *, at: datetime) -> dict[str, Any]:
    standing = seen.standing
    told: dict[str, Any] = {"standing": standing, "outlook": outlook_of(standing)}
    if standing is None:
        return told
    local = at.astimezone(question.zone)
    told |= {
        "resets_in": forecast.in_words(standing.resets_at - at),
        "expires_next": standing.boosts[0] if standing.boosts else None,
        "held": None,
    }
    if question.span.named is Named.WEEK and question.only == Only():
        # Charged, and not settled yet: in the gate's count, in no bar.
        told["held"] = max(0, standing.used - seen.report.by_source[Source.ALLOWANCE])
        foreseen = forecast.forecast(standing, total=seen.report.total, at=at)
        told["forecast"] = foreseen
        if foreseen is not None:
            for name in ("allowance_ends_at", "all_ends_at"):
                moment: datetime | None = getattr(foreseen, name)
                if moment is not None:
                    there = moment.astimezone(question.zone)
                    told[name] = forecast.part_of_day(there, at=local)
        told["against_cap"] = picture.against_cap(
            seen.report, question.span, standing, foreseen, at=at
        )
    return told


def _pictures(seen: Live, question: Question, *, at: datetime) -> dict[str, Any]:
    if question.span.shape is Shape.GRID:
        return {"grid": picture.grid_of(seen.report, question.span)}
    return {"bars": picture.bars_of(seen.report, question.span, at=at)}


def _lines(
    keys: QuerySet[ApiKey], question: Question, report: Report, meters: Mapping[str, str]
) -> Lines:
    ranked = _ranked(question.by, report)
    pages = max(1, -(-len(ranked) // ROWS_OF_A_PAGE))
    shown = ranked[(question.page - 1) * ROWS_OF_A_PAGE :][:ROWS_OF_A_PAGE]
    most = ranked[0][1][0] if ranked else 0
    names = _names(keys, question.by, [part for part, _ in shown], meters)
    return Lines(
        lines=tuple(
            Line(
                *names[part],
                chats=chats,
                credits=credits,
                percent=round(100 * max(0, chats) / most, 1) if most > 0 else 0.0,
                address=_alone(question, part),
            )
            for part, (chats, credits) in shown
        ),
        page=question.page,
        pages=pages,
        rest=report.rest,
    )


def named_parts(
    keys: QuerySet[ApiKey], by: By, report: Report
) -> list[tuple[int | str, str, int, int]]:
    """Every part that is told: what it is asked for by, its name, chats and credits."""
    meters = dict(Meter.objects.values_list("slug", "name")) if by is By.METER else {}
    ranked = _ranked(by, report)
    names = _names(keys, by, [part for part, _ in ranked], meters)
    return [(part, names[part][0], *amounts) for part, amounts in ranked]


def _ranked(by: By, report: Report) -> list[tuple[int | str, tuple[int, int]]]:
    """Parts with their chats and credits, those of most first."""
    amounts = _amounts(by, report)
    ranked = sorted(amounts.items(), key=lambda part: (-part[1][0], str(part[0])))
    return [part for part in ranked if part[1] != (0, 0)]


def _amounts(by: By, report: Report) -> dict[int | str, tuple[int, int]]:
    """Chats and credits of each part."""
    match by:
        case By.SOURCE:
            paid = {Source.CREDITS: report.credits}
            return {
                name: (n, paid.get(Source(name), 0)) for name, n in report.by_source.items() if name
            }
        case By.METER:
            return {name: (chats, 0) for name, chats in report.by_meter.items()}
        case By.MODEL:
            return {name: (told.chats, 0) for name, told in report.tokens.items()}
        case _:
            return {part: (paid.chats, paid.credits) for part, paid in report.parts.items()}


def _alone(question: Question, part: int | str) -> str:
    """The address of the same view of one part alone; "" where it cannot be asked for."""
    value = OTHER_TAGS if question.by is By.TAG and part == "" else str(part)
    if not value:
        return ""
    by = By.SOURCE if question.by in {By.KEY, By.MEMBER, By.TAG} else None
    return question.address(**{"by": by, question.by: value})


# By part: its name, and what else it is recognised by.
_Names = dict[int | str, tuple[str, str]]


def _names(
    keys: QuerySet[ApiKey], by: By, parts: Iterable[int | str], meters: Mapping[str, str]
) -> _Names:
    match by:
        case By.KEY:
            return _key_names(keys, parts)
        case By.MEMBER:
            people = {user.pk: user for user in User.objects.filter(pk__in=[*parts])}
            return {
                part: (people[part].name or people[part].email, people[part].email)
                if part in people
                else (str(_("Somebody who is gone")), "")
                for part in parts
            }
        case By.SOURCE:
            return {part: (str(SOURCES[Source(str(part))]), "") for part in parts}
        case By.METER:
            # One that was taken out of the catalogue keeps its slug.
            return {part: (meters.get(str(part), str(part)), "") for part in parts}
        case By.TAG:
            return {part: (str(part) or str(_("Other tags")), "") for part in parts}
        case By.MODEL:
            return {part: (str(part) or str(_("Not told")), "") for part in parts}


def _key_names(keys: QuerySet[ApiKey], parts: Iterable[int | str]) -> _Names:
    """Others than these have a number, and no name."""
    names: _Names = {part: (_("Key %(id)s") % {"id": part}, "") for part in parts}
    for key in keys.filter(pk__in=[*parts]).select_related("account"):
        if key.is_active:
            detail = key.masked
        else:
            ended = _("revoked") if key.revoked_at else _("expired")
            detail = f"{key.masked} · {ended}"
        names[key.pk] = (key.name, detail)
    return names


@dataclass(frozen=True, slots=True)
class OnlyLine:
    """One thing that a view is narrowed to, and the address without it."""

    what: str
    name: str
    address: str


def _only_lines(
    keys: QuerySet[ApiKey], question: Question, meters: Mapping[str, str]
) -> list[OnlyLine]:
    only, words = question.only, dict(CUTS)
    parts: dict[By, int | str | None] = {
        By.SOURCE: only.source,
        By.METER: only.meter,
        By.KEY: only.key,
        By.MODEL: only.model,
        By.MEMBER: only.member,
        By.TAG: only.tag,
    }
    return [
        OnlyLine(
            str(words[by]),
            _names(keys, by, [part], meters)[part][0],
            question.address(**{by: None, "by": None if only.part is by else question.by}),
        )
        for by, part in parts.items()
        if part is not None
    ]


def _events(account: Account, question: Question) -> dict[str, Any]:
    """What was granted in the span, and lived in it."""
    between = question.span.starts_at, question.span.ends_at
    return {
        "boosts": statement.boosts_between(account, *between, at_most=_EVENTS_AT_MOST),
        "credit_entries": statement.additions_between(account, *between, at_most=_EVENTS_AT_MOST),
    }
