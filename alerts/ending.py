"""Boosts that end within a day with chats that nobody used: told once, of each end."""

import logging
from datetime import datetime, timedelta
from typing import Any

from accounts.models import Account
from alerts import raising
from alerts.models import Alert, Kind
from gate.terms import week
from quotas import statement
from quotas.standing import BoostStanding, standing_of
from quotas.statement import EndingBoost

logger = logging.getLogger(__name__)

TOLD_BEFORE = timedelta(hours=24)
_AT_ONCE = 500


def tell_of_boosts(*, at: datetime) -> int:
    """Tell accounts of their boosts that end within a day, by the gate's own count.

    One of which the gate gives no answer is looked at again. Answers how many were told.
    """
    told = 0
    ending = statement.boosts_that_end(after=at, until=at + TOLD_BEFORE)
    for first in range(0, len(ending), _AT_ONCE):
        some = ending[first : first + _AT_ONCE]
        known = set(
            Alert.objects.filter(
                kind=Kind.BOOST_ENDING,
                account__in={boost.account_id for boost in some},
                occasion__in=[_occasion(boost) for boost in some],
            ).values_list("occasion", flat=True)
        )
        new = [boost for boost in some if _occasion(boost) not in known]
        accounts = Account.objects.in_bulk({boost.account_id for boost in new})
        for boost in new:
            try:
                told += _tell(accounts[boost.account_id], boost, at=at)
            except Exception:
                logger.exception("boost %s could not be looked at", boost.boost_id)
    return told


def _tell(account: Account, boost: EndingBoost, *, at: datetime) -> bool:
    standing = standing_of(account)
    if standing is None or standing.cap is None:
        # Without a cap nothing can use it; a plan may come that has one, within the day.
        return False
    left = left_of(standing.boosts, boost.boost_id)
    if not left:
        return False
    occasion = _occasion(boost)
    if Kind.BOOST_ENDING not in raising.settings_of(account).kinds:
        raising.pass_by(account=account, kinds=[Kind.BOOST_ENDING], occasion=occasion, at=at)
        return False
    data: dict[str, Any] = {
        "boost": boost.boost_id,
        "chats_left": left,
        "ends_at": week.utc_text(boost.expires_at),
        "allowance_left": standing.left or 0,
    }
    return raising.raise_alert(
        account=account, kind=Kind.BOOST_ENDING, occasion=occasion, data=data, at=at
    )


def left_of(boosts: tuple[BoostStanding, ...], boost_id: int) -> int:
    """Chats that are left of one of these boosts; 0 where it is none of them."""
    return next((boost.left for boost in boosts if boost.boost_id == boost_id), 0)


def _occasion(boost: EndingBoost) -> str:
    """An end that moved, because money came again, is another one."""
    return f"{boost.boost_id}:{week.utc_text(boost.expires_at)}"
