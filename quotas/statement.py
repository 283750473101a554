"""What became of an account's credits, line by line, for people to read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from django.db import connection
from django.db.models import F, Sum
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrOrPromise

from accounts.models import Account
from accounts.paging import ListPage, Place, of_kind_between, page_of
from quotas.models.ledger import Boost, CreditEntry

# What lines are about, with what it is called.
KINDS: list[tuple[str, StrOrPromise]] = [(kind.value, kind.label) for kind in CreditEntry.Kind]
# What else a list of lines is narrowed down to: use is a line for each drain, and hides the others.
WITHOUT_USE, ALL_LINES = "", "all"
NARROWINGS = [(WITHOUT_USE, _("Without use")), (ALL_LINES, _("All lines")), *KINDS]

# The newest days that have a line are found one by one, in an index; only their lines are read. A
# line of its own is whatever is no use; use between two of those is one, as far as it is of a day.
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
), line AS (
    SELECT id, kind, credits, note, created_at, date_trunc('day', created_at, 'UTC') AS day,
        count(*) FILTER (WHERE kind <> 'spend')
            OVER (ORDER BY created_at DESC, id DESC) AS others
    FROM quotas_creditentry
    WHERE account_id = %(account)s AND created_at >= (
        SELECT min(begins_at) FROM (SELECT begins_at FROM day LIMIT %(at_most)s) AS newest
    )
)
SELECT kind, CASE WHEN kind <> 'spend' THEN max(note) ELSE '' END, max(created_at),
    sum(credits)::bigint,
    (SELECT sum(credits)::bigint FROM quotas_creditentry WHERE account_id = %(account)s)
FROM line
GROUP BY kind, day, others
ORDER BY max(created_at) DESC, max(id) DESC
LIMIT %(at_most)s
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the ledger, or the use of a day in one. 1 credit is 1 US cent; negative is used.

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
    """The newest lines with the balance after each; use is one line a day, and between others."""
    with connection.cursor() as cursor:
        cursor.execute(_BY_DAY, {"account": account.pk, "at_most": at_most})
        rows = cursor.fetchall()
    lines = [
        Line(
            kind_label=_label(kind),
            note=note,
            created_at=created_at,
            credits=credits,
            day=created_at.astimezone(UTC).date() if kind == CreditEntry.Kind.SPEND else None,
        )
        for kind, note, created_at, credits, _balance in rows
    ]
    return _with_balances(lines, after_newest=rows[0][-1]) if rows else []


def _with_balances(lines: Sequence[Line], *, after_newest: int) -> list[Line]:
    """Lines that follow each other, the newest first, with the balance after each."""
    told = []
    balance = after_newest
    for line in lines:
        told.append(replace(line, balance=balance))
        balance -= line.credits
    return told


def owed_before(account: Account, source_ref: str) -> int:
    """Credits that were owed when something added some: so much of them paid that first."""
    entries = CreditEntry.objects.filter(account=account)
    added = entries.filter(source_ref=source_ref).first()
    if added is None:
        return 0
    return max(0, added.credits - _balance_after(added))


def _balance_after(entry: CreditEntry) -> int:
    """What all lines up to this one come to."""
    older = Place(entry.created_at, entry.pk).older("created_at")
    before = CreditEntry.objects.filter(older, account=entry.account_id)
    balance: int = before.aggregate(balance=Sum("credits", default=0))["balance"]
    return balance + entry.credits


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

    kind: one of `NARROWINGS`. since, until: when they were written; `until` is excluded. Where no
    line is left out between others, each says the balance after it.
    """
    entries = CreditEntry.objects.filter(account=account)
    if kind == WITHOUT_USE:
        entries = entries.exclude(kind=CreditEntry.Kind.SPEND)
    is_whole = kind == ALL_LINES
    one_kind = "" if is_whole else kind
    entries = of_kind_between(entries, kind=one_kind, since=since, until=until)
    page = page_of(entries, asked, kept=kept)
    shown = page.of(_line)
    if not is_whole or not page.rows:
        return shown
    newest = _balance_after(page.rows[0])
    return replace(shown, rows=_with_balances(shown.rows, after_newest=newest))


def _line(entry: CreditEntry) -> Line:
    return Line(
        kind_label=_label(entry.kind),
        note=entry.note,
        created_at=entry.created_at,
        credits=entry.credits,
    )


def _label(kind: str) -> str:
    return str(CreditEntry.Kind(kind).label)
