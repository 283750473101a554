"""What an account was told of, who was told, and what became of it; and telling it again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Prefetch

from accounts.models import Account
from alerts import wording
from alerts.models import Alert, Delivery, Kind

AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One alert with its deliveries."""

    heading: str
    kind_label: str
    occurred_at: datetime
    deliveries: Sequence[Delivery]


def lines_of(account: Account, *, page: int) -> tuple[list[Line], bool]:
    """The alerts of a page, the newest first, and whether there are more. Pages begin at 1."""
    deliveries = Delivery.objects.select_related("user", "endpoint").order_by("pk")
    found = (
        Alert.objects.filter(account=account, is_passed=False)
        .prefetch_related(Prefetch("deliveries", queryset=deliveries))
        .order_by("-occurred_at", "-pk")
    )
    first = (page - 1) * AT_ONCE
    alerts = list(found[first : first + AT_ONCE + 1])
    lines = [
        Line(
            heading=wording.heading_of(alert),
            kind_label=str(Kind(alert.kind).label),
            occurred_at=alert.occurred_at,
            deliveries=list(alert.deliveries.all()),
        )
        for alert in alerts[:AT_ONCE]
    ]
    return lines, len(alerts) > AT_ONCE


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
