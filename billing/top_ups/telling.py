"""Telling an account that nothing is bought by itself any more, and why."""

from datetime import datetime

from alerts import raising
from alerts.models import Kind
from billing.top_ups.models import AutoTopUp
from quotas import statement


def of_stop(wish: AutoTopUp, *, at: datetime) -> None:
    """It was switched off by itself; once for each time."""
    raising.raise_alert(
        account=wish.account,
        kind=Kind.TOP_UP_STOPPED,
        occasion=f"{at:%Y%m%dT%H%M%S.%f}",
        data={
            "why": wish.stopped,
            "card": wish.card,
            "credits_left": statement.balance_of(wish.account),
        },
        at=at,
    )
