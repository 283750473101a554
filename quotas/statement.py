"""What became of an account's credits, line by line, for people to read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Sum
from django_stubs_ext import StrOrPromise

from accounts.models import Account
from accounts.paging import ListPage, Place, of_kind_between, page_of
from quotas.models.ledger import Boost, CreditEntry

# What lines are about, with what it is called.
KINDS: list[tuple[str, StrOrPromise]] = [(kind.value, kind.label) for kind in CreditEntry.Kind]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the ledger. 1 credit is 1 US cent; negative when used."""

    kind_label: str
    note: str
    created_at: datetime
    credits: int


def last_lines(account: Account, *, at_most: int) -> list[Line]:
    """The newest lines of an account's ledger, the newest first."""
    return [_line(entry) for entry in CreditEntry.objects.filter(account=account)[:at_most]]


def owed_before(account: Account, source_ref: str) -> int:
    """Credits that were owed when something added some: so much of them paid that first."""
    entries = CreditEntry.objects.filter(account=account)
    added = entries.filter(source_ref=source_ref).first()
    if added is None:
        return 0
    before = entries.filter(Place(added.created_at, added.pk).older("created_at"))
    balance: int = before.aggregate(balance=Sum("credits", default=0))["balance"]
    return max(0, -balance)


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

    kind: of the lines, "" is any. since, until: when they were written; `until` is excluded.
    """
    entries = CreditEntry.objects.filter(account=account)
    entries = of_kind_between(entries, kind=kind, since=since, until=until)
    return page_of(entries, asked, kept=kept).of(_line)


def _line(entry: CreditEntry) -> Line:
    return Line(
        kind_label=str(CreditEntry.Kind(entry.kind).label),
        note=entry.note,
        created_at=entry.created_at,
        credits=entry.credits,
    )
