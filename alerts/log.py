"""What an account was told of, who was told, and what became of it; and telling it again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Prefetch

from accounts.models import Account
from accounts.paging import ListPage, by_moment, page_of
from alerts import wording
from alerts.models import MONEY_KINDS, Alert, Delivery

AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One alert with its deliveries."""

    heading: str
    occurred_at: datetime
    deliveries: Sequence[Delivery]


def page_of_lines(account: Account, asked: Mapping[str, str], *, has_money: bool) -> ListPage[Line]:
    """A page of what an account was told of, as an address asks for it; see `accounts.paging`.

    has_money: with what was told of money, too.
    """
    deliveries = Delivery.objects.select_related("user", "endpoint").order_by("pk")
    told = Alert.objects.filter(account=account, is_passed=False)
    if not has_money:
        told = told.exclude(kind__in=MONEY_KINDS)
    rows = told.prefetch_related(Prefetch("deliveries", queryset=deliveries))
    return page_of(rows, asked, kept={}, order=by_moment("occurred_at"), at_most=AT_ONCE).of(_line)


def _line(alert: Alert) -> Line:
    return Line(
        heading=wording.heading_of(alert),
        occurred_at=alert.occurred_at,
        deliveries=list(alert.deliveries.all()),
    )


def resend(*, account: Account, delivery_id: int, tries: int, at: datetime) -> bool:
    """Try a delivery anew that had come to an end after so many tries; answers whether it is.

    Somebody who asks twice, looking at the same log, means it once.
    """
    ended = Delivery.objects.filter(
        pk=delivery_id, alert__account=account, tries=tries, done_at__isnull=False
    ).exclude(user=None, endpoint=None)
    return bool(
        ended.update(
            state=Delivery.State.WAITING,
            attempts=0,
            next_try_at=at,
            claimed_until=None,
            done_at=None,
            error="",
        )
    )
