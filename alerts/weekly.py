"""The weekly summary: once to each person who wants it, after the week was closed."""

import logging
from datetime import datetime
from typing import Any

from accounts.models import Account
from alerts import raising
from alerts.models import Alert, Kind
from gate.terms import week
from quotas import sums
from quotas.standing import Standing, standing_of
from quotas.sums import AccountWeek

logger = logging.getLogger(__name__)

_AT_ONCE = 500
_KEYS = 5


def summarise(*, at: datetime) -> int:
    """Raise the summary of the week that ended last, of accounts that used anything in it.

    Only once the week is closed: before, what it holds may not be all. Answers how many.
    """
    number = week.week_of(week.to_ms(at)) - 1
    raised = after = 0
    while page := sums.closed_weeks(number, after=after, at_most=_AT_ONCE):
        after = page[-1].account_id
        ids = [used.account_id for used in page]
        of_the_week = Alert.objects.filter(kind=Kind.SUMMARY, occasion=str(number))
        done = set(of_the_week.filter(account__in=ids).values_list("account", flat=True))
        accounts = Account.objects.in_bulk([pk for pk in ids if pk not in done])
        for used in page:
            account = accounts.get(used.account_id)
            if account is not None and (standing := standing_of(account)) is not None:
                raised += raising.raise_alert(
                    account=account,
                    kind=Kind.SUMMARY,
                    occasion=str(number),
                    data=_summary(account, used, standing, number=number),
                    at=at,
                )
    return raised


def _summary(
    account: Account, used: AccountWeek, standing: Standing, *, number: int
) -> dict[str, Any]:
    return {
        "week_starts_at": week.utc_text(week.starts_at(number)),
        "week_ends_at": week.utc_text(week.ends_at(number)),
        "cap": standing.cap,
        "total": used.total,
        "allowance": used.allowance,
        "boost": used.boost,
        "credits": used.credits,
        "keys": [
            {"name": key.name, "chats": key.chats}
            for key in sums.busiest_keys(account, number, at_most=_KEYS)
        ],
        "expires": [
            {"chats_left": boost.left, "at": week.utc_text(boost.expires_at)}
            for boost in standing.boosts
            if boost.left
        ][:1],
        "credits_left": standing.credits_left,
    }
