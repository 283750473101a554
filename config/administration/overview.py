"""The first page of the admin: are we healthy, what was sold, who is blocked and why."""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from accounts.models import User
from billing import watching
from billing.sales import sales
from config.administration import health
from config.administration.alarms import open_alarms
from quotas.entitlements import suspensions_now
from quotas.usage.blocked import HOURS, most_refused

_ACCOUNTS_AT_MOST = 10


def of(user: User | AnonymousUser) -> dict[str, Any]:
    """What the page shows whoever looks: each part to those who may see what it is made of."""
    at = timezone.now()
    told: dict[str, Any] = {"at": at}
    has_gate = True
    watched = watching.facts()
    if user.has_perm("partitions.view_partition"):
        parts = health.parts(at=at, watched=watched)
        told["parts"] = parts
        has_gate = next(part.is_well is not False for part in parts if part.name == "Valkey")
        told["is_healthy"] = all(part.is_well for part in parts)
    if user.has_perm("billing.view_purchase"):
        told["alarms"] = open_alarms(watched)
        told["sales"] = sales(at=at)
        told["paying"] = watched.paying
    if user.has_perm("billing.view_difference"):
        told["differences"] = watched.differences
    if user.has_perm("accounts.view_account"):
        told["hours"] = HOURS
        told["blocked"] = most_refused(at=at, at_most=_ACCOUNTS_AT_MOST, ask_gate=has_gate)
        told["suspensions"] = suspensions_now(at_most=_ACCOUNTS_AT_MOST)
    return told
