"""Whose requests were refused lately, why, and whether the next one would be, for staff."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max, Sum

from accounts.models import Account
from accounts.numbers import thousands
from quotas.models.used import RefusalRollup
from quotas.standing import left_of
from quotas.usage.explained import explained

# Full hours that are looked at, before the one that runs.
HOURS = 6


@dataclass(frozen=True, slots=True)
class Blocked:
    """An account, its refusals of the last hours by reason, and when the last hour of them began.

    is_blocked: whether the account could pay for no chat at this moment; None is not known.
    """

    account: Account
    refusals: int
    reasons: tuple[tuple[str, int], ...]
    last_hour: datetime
    is_blocked: bool | None

    @property
    def why(self) -> str:
        """The reasons in words, the most frequent first."""
        return ", ".join(
            f"{explained(reason).name} ({thousands(count)})" for reason, count in self.reasons
        )


def most_refused(*, at: datetime, at_most: int, ask_gate: bool = True) -> list[Blocked]:
    """The accounts with the most refusals of the last hours; three queries, however many.

    ask_gate: whether to ask what is so now. When the gate gives no answer, it is asked no more.
    """
    since = at.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS)
    lately = RefusalRollup.objects.filter(hour__gte=since)
    rows = list(
        lately.values("account")
        .annotate(total=Sum("refusals"), last=Max("hour"))
        .order_by("-total", "account")[:at_most]
    )
    if not rows:
        return []
    pks = [row["account"] for row in rows]
    accounts = Account.objects.in_bulk(pks)
    reasons: dict[int, list[tuple[str, int]]] = defaultdict(list)
    told = lately.filter(account__in=pks).values_list("account", "reason")
    for pk, reason, count in told.annotate(total=Sum("refusals")).order_by("-total", "reason"):
        reasons[pk].append((reason, count))
    now = _blocked_now(accounts[pk] for pk in pks) if ask_gate else {}
    return [
        Blocked(
            account=accounts[row["account"]],
            refusals=row["total"],
            reasons=tuple(reasons[row["account"]]),
            last_hour=row["last"],
            is_blocked=now.get(row["account"]),
        )
        for row in rows
    ]


def _blocked_now(accounts: Iterable[Account]) -> dict[int, bool]:
    found: dict[int, bool] = {}
    for account in accounts:
        left = left_of(account)
        if left is None:
            break
        found[account.pk] = not left.can_chat
    return found
