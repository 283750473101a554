"""Whether what an alert says is still so: a mail may wait for hours before it is sent."""

from collections.abc import Callable
from datetime import datetime

from accounts.models import Account
from alerts.ending import left_of
from alerts.models import PLAN_KINDS, Alert, Kind
from quotas.standing import standing_of


def is_still_so(alert: Alert, *, at: datetime) -> bool:
    """Whether a mail about it would be true at this moment. What nobody can tell stays so."""
    asked = _ASKED.get(Kind(alert.kind))
    return asked(alert, at) if asked else True


def _credits_are_low(alert: Alert, _at: datetime) -> bool:
    standing = standing_of(alert.account)
    below: int = alert.data["below"]
    return standing is None or standing.credits_left < below


def _boost_will_end(alert: Alert, at: datetime) -> bool:
    if datetime.fromisoformat(alert.data["ends_at"]) <= at:
        return False
    standing = standing_of(alert.account)
    return standing is None or left_of(standing.boosts, alert.data["boost"]) > 0


def _nothing_went_back_since(alert: Alert, _at: datetime) -> bool:
    """Of money that goes back in parts, or comes again, the last word is told."""
    newest = last_return_of(alert.account, alert.data["purchase"])
    return newest is None or newest.pk == alert.pk


def _is_paid(alert: Alert, _at: datetime) -> bool:
    """What it gave is there, or some of it."""
    returned = last_return_of(alert.account, alert.data["purchase"])
    return returned is None or returned.data["returned_cents"] < returned.data["paid_cents"]


def _nothing_was_said_since(alert: Alert, _at: datetime) -> bool:
    """Of a plan that changes and changes again, the last word is told."""
    subscription = alert.data["subscription"]
    said = Alert.objects.filter(
        account=alert.account, kind__in=PLAN_KINDS, occasion__startswith=f"{subscription}:"
    )
    newest = said.order_by("-occurred_at", "-pk").first()
    return newest is None or newest.pk == alert.pk


def last_return_of(account: Account, purchase_id: str) -> Alert | None:
    """What was said last of money of a purchase that went back."""
    said = Alert.objects.filter(
        account=account, kind=Kind.MONEY_BACK, occasion__startswith=f"{purchase_id}:"
    )
    return said.order_by("-occurred_at").first()


_ASKED: dict[Kind, Callable[[Alert, datetime], bool]] = {
    Kind.LOW_CREDITS: _credits_are_low,
    Kind.BOOST_ENDING: _boost_will_end,
    Kind.MONEY_BACK: _nothing_went_back_since,
    Kind.RECEIPT: _is_paid,
    Kind.PLAN: _nothing_was_said_since,
    Kind.PLAN_UNPAID: _nothing_was_said_since,
}
