"""What became of an account's credits, line by line, for people to read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from django.db import connection
from django.db.models import F, QuerySet, Sum
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrOrPromise

from accounts.models import Account
from accounts.paging import ListPage, Place, of_kind_between, page_of
from gate.terms.week import utc_text
from quotas.models.ledger import Boost, CreditEntry

# What lines are about, with what it is called.
KINDS: list[tuple[str, StrOrPromise]] = [(kind.value, kind.label) for kind in CreditEntry.Kind]
# What else a list of lines is narrowed down to: use is a line for each drain, and hides the others.
WITHOUT_USE, ALL_LINES = "", "all"
NARROWINGS = [(WITHOUT_USE, _("Without use")), (ALL_LINES, _("All lines")), *KINDS]

# The newest days that have a line are found one by one, in an index, and others than use in theirs.
# Each begins and ends at a place up to which the index adds up; use is what those differ by.
_BY_DAY = """
WITH RECURSIVE day (begins_at) AS (
    (SELECT date_trunc('day', created_at, 'UTC') FROM quotas_creditentry
     WHERE account_id = %(account)s ORDER BY created_at DESC LIMIT 1)
    UNION ALL
    SELECT date_trunc('day', (
        SELECT created_at FROM quotas_creditentry
        WHERE account_id = %(account)s AND created_at < day.begins_at
        ORDER BY created_at DESC LIMIT 1
    ), 'UTC') FROM day WHERE day.begins_at IS NOT NULL
), newest AS (
    SELECT begins_at FROM day WHERE begins_at IS NOT NULL LIMIT %(at_most)s
), other AS (
    SELECT id, kind, credits, note, created_at FROM quotas_creditentry
    WHERE account_id = %(account)s AND kind <> 'spend'
      AND created_at >= (SELECT min(begins_at) FROM newest)
    ORDER BY created_at DESC, id DESC LIMIT %(at_most)s
), place (at, id, is_end, other_id) AS (
    SELECT begins_at - interval '1 microsecond', %(last_id)s, false, NULL::bigint FROM newest
    UNION ALL
    SELECT begins_at + interval '24 hours' - interval '1 microsecond', %(last_id)s, true, NULL
    FROM newest
    UNION ALL
    SELECT created_at, id - 1, true, NULL FROM other
    UNION ALL
    SELECT created_at, id, true, id FROM other
), step AS (
    SELECT *, lag(at, 1, '-infinity') OVER placed AS after_at,
        lag(id, 1, 0::bigint) OVER placed AS after_id
    FROM place WINDOW placed AS (ORDER BY at, id, is_end DESC)
)
SELECT step.at, step.is_end, other.kind, other.note, other.credits, other.created_at,
    (sum(part.credits) OVER (ORDER BY step.at, step.id))::bigint
FROM step LEFT JOIN other ON other.id = step.other_id, LATERAL (
    SELECT coalesce(sum(credits), 0) AS credits FROM quotas_creditentry AS entry
    WHERE account_id = %(account)s
      AND created_at >= step.after_at AND created_at <= step.at
      AND (created_at > step.after_at OR entry.id > step.after_id)
      AND (created_at < step.at OR entry.id <= step.id)
) AS part
ORDER BY step.at, step.id, step.is_end DESC
"""
# What all lines come to up to each of some places, one after the other: one walk in the index that
# has the amounts, from the place before them.
_BALANCES = """
SELECT place.nth, (%(before)s + sum(step.credits) OVER (ORDER BY place.nth))::bigint
FROM unnest(
    %(after_moments)s::timestamptz[], %(after_ids)s::bigint[],
    %(moments)s::timestamptz[], %(ids)s::bigint[]
) WITH ORDINALITY AS place (after_at, after_id, at, id, nth),
LATERAL (
    SELECT coalesce(sum(credits), 0) AS credits FROM quotas_creditentry AS entry
    WHERE account_id = %(account)s
      AND created_at >= place.after_at AND created_at <= place.at
      AND (created_at > place.after_at OR entry.id > place.after_id)
      AND (created_at < place.at OR entry.id <= place.id)
) AS step
"""
# Before all lines, and behind all of a moment.
_BEFORE_ALL = Place(datetime(1970, 1, 5, tzinfo=UTC), 0)
_LAST_OF_A_MOMENT = 2**63 - 1
_EXPORTED_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the ledger, or the use of a day in one. Negative is used.

    day: in UTC, of use that several lines may say. balance: after it; None is not known.
    """

    kind_label: str
    note: str
    created_at: datetime
    credits: int
    day: date | None = None
    balance: int | None = None


def last_lines(account: Account, *, at_most: int) -> list[Line]:
    """The newest lines of an account's ledger, the newest first."""
    return [_line(entry) for entry in CreditEntry.objects.filter(account=account)[:at_most]]


def last_lines_by_day(account: Account, *, at_most: int) -> list[Line]:
    """The newest lines with the balance after each; use is one line a day, and between others.

    Only others are read: what was used is what balances between them differ by.
    """
    values = {"account": account.pk, "at_most": at_most, "last_id": _LAST_OF_A_MOMENT}
    with connection.cursor() as cursor:
        cursor.execute(_BY_DAY, values)
        steps = cursor.fetchall()
    lines: list[Line] = []
    before = 0
    for at, is_end, kind, note, credits, created_at, balance in steps:
        if kind is not None:
            lines.append(Line(_label(kind), note, created_at, credits, balance=balance))
        elif is_end and balance != before:
            lines.append(
                Line(
                    kind_label=_label(CreditEntry.Kind.SPEND),
                    note="",
                    created_at=at,
                    credits=balance - before,
                    day=at.astimezone(UTC).date(),
                    balance=balance,
                )
            )
        before = balance
    return lines[::-1][:at_most]


def _balances_at(
    account: Account, places: Sequence[Place], *, since: Place = _BEFORE_ALL, before: int = 0
) -> list[int]:
    """What all lines come to up to each of these places, which follow each other in time.

    since: a place before all of them, up to which it was `before`.
    """
    following = [since, *places]
    values: dict[str, Any] = {
        "account": account.pk,
        "after_moments": [place.value for place in following[:-1]],
        "after_ids": [place.pk for place in following[:-1]],
        "moments": [place.value for place in places],
        "ids": [place.pk for place in places],
        "before": before,
    }
    with connection.cursor() as cursor:
        cursor.execute(_BALANCES, values)
        return [balance for _nth, balance in sorted(cursor.fetchall())]


def owed_before(account: Account, source_ref: str) -> int:
    """Credits that were owed when something added some: so much of them paid that first."""
    entries = CreditEntry.objects.filter(account=account)
    added = entries.filter(source_ref=source_ref).first()
    if added is None:
        return 0
    return max(0, added.credits - _balances_at(account, [_place_of(added)])[0])


@dataclass(frozen=True, slots=True)
class LivedBoost:
    """A boost that lived in a span of time: chats granted, and spent as far as is drained."""

    chats: int
    spent: int
    starts_at: datetime
    expires_at: datetime


def boosts_between(
    account: Account, starts_at: datetime, ends_at: datetime, *, at_most: int
) -> list[LivedBoost]:
    """Boosts of an account that lived in a span, the first to expire first."""
    lived = Boost.objects.filter(
        account=account, starts_at__lt=ends_at, expires_at__gt=starts_at
    ).order_by("expires_at", "pk")
    return [
        LivedBoost(boost.granted, boost.spent, boost.starts_at, boost.expires_at)
        for boost in lived[:at_most]
    ]


@dataclass(frozen=True, slots=True)
class EndingBoost:
    """A boost that ends soon and is not used up, as far as is drained."""

    boost_id: int
    account_id: int
    expires_at: datetime


def boosts_that_end(*, after: datetime, until: datetime) -> list[EndingBoost]:
    """Boosts that end in a span, began before it would have, and have chats left.

    The first to end first; those of `after` itself are not among them.
    """
    ending = Boost.objects.filter(
        expires_at__gt=after,
        expires_at__lte=until,
        starts_at__lt=F("expires_at") - (until - after),
        spent__lt=F("chats") - F("taken_back"),
    ).order_by("expires_at", "pk")
    found = ending.values_list("pk", "account", "expires_at")
    return [EndingBoost(*row) for row in found]


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What a grant lost because its money went back: chats of a boost, and credits."""

    chats: int
    credits: int


def taken_back_of(account: Account, source_ref: str) -> TakenBack:
    """What was taken back of a grant until now."""
    boost = Boost.objects.filter(account=account, source_ref=source_ref).first()
    booked = CreditEntry.objects.filter(
        account=account,
        kind=CreditEntry.Kind.RETURN,
        source_ref__startswith=f"{source_ref}:returned:",
    ).aggregate(credits=Sum("credits", default=0))["credits"]
    return TakenBack(chats=boost.taken_back if boost else 0, credits=-booked)


def balance_of(account: Account) -> int:
    """What the whole ledger comes to: as far as is drained; below zero is owed."""
    balance: int = CreditEntry.objects.filter(account=account).aggregate(
        balance=Sum("credits", default=0)
    )["balance"]
    return balance


def last_top_up(account: Account) -> int | None:
    """The line that added credits last, by its number; None for an account that never had any.

    What a refund gives back was had before.
    """
    added = CreditEntry.objects.filter(account=account, credits__gt=0)
    newest = added.exclude(kind=CreditEntry.Kind.SPEND).order_by("-created_at", "-pk")
    return newest.values_list("pk", flat=True).first()


def additions_between(
    account: Account, starts_at: datetime, ends_at: datetime, *, at_most: int
) -> list[Line]:
    """What changed an account's credits in a span other than use, the newest first."""
    entries = (
        CreditEntry.objects.filter(account=account)
        .filter(created_at__gte=starts_at, created_at__lt=ends_at)
        .exclude(kind=CreditEntry.Kind.SPEND)
    )
    return [_line(entry) for entry in entries[:at_most]]


def page_of_lines(
    account: Account,
    asked: Mapping[str, str],
    *,
    kept: Mapping[str, str],
    kind: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> ListPage[Line]:
    """A page of an account's ledger, as an address asks for it; see `accounts.paging`.

    kind: one of `NARROWINGS`. since, until: when they were written; `until` is excluded.
    """
    entries = _narrowed(account, kind=kind, since=since, until=until)
    page = page_of(entries, asked, kept=kept)
    if not page.rows:
        return page.of(_line)
    balances = _balances_at(account, [_place_of(entry) for entry in reversed(page.rows)])
    after = dict(zip((entry.pk for entry in reversed(page.rows)), balances, strict=True))
    return page.of(lambda entry: replace(_line(entry), balance=after[entry.pk]))


def _place_of(entry: CreditEntry) -> Place:
    return Place(entry.created_at, entry.pk)


def _narrowed(
    account: Account, *, kind: str, since: datetime | None, until: datetime | None
) -> QuerySet[CreditEntry]:
    entries = CreditEntry.objects.filter(account=account)
    if kind == WITHOUT_USE:
        entries = entries.exclude(kind=CreditEntry.Kind.SPEND)
    one_kind = "" if kind == ALL_LINES else kind
    return of_kind_between(entries, kind=one_kind, since=since, until=until)


# What an export of the ledger has: the words of the API, in any language.
EXPORTED = ("created_at", "kind", "credits", "balance_after", "note")


def exported(
    account: Account, *, kind: str, since: datetime | None, until: datetime | None
) -> Iterator[list[tuple[object, ...]]]:
    """Every line as `page_of_lines` has them, the oldest first, some at a time, each read anew."""
    entries = _narrowed(account, kind=kind, since=since, until=until)
    last, balance = _BEFORE_ALL, 0
    while True:
        following = entries.filter(last.newer("created_at"))
        some = list(following.order_by("created_at", "pk")[:_EXPORTED_AT_ONCE])
        if some:
            places = [_place_of(entry) for entry in some]
            balances = _balances_at(account, places, since=last, before=balance)
            yield [
                (utc_text(entry.created_at), entry.kind, entry.credits, after, entry.note)
                for entry, after in zip(some, balances, strict=True)
            ]
            last, balance = places[-1], balances[-1]
        if len(some) < _EXPORTED_AT_ONCE:
            return


def _line(entry: CreditEntry) -> Line:
    return Line(
        kind_label=_label(entry.kind),
        note=entry.note,
        created_at=entry.created_at,
        credits=entry.credits,
    )


def _label(kind: str) -> str:
    return str(CreditEntry.Kind(kind).label)
