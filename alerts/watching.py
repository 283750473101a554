"""Looking whether accounts have something to be told of, a moment behind what they use.

Nothing of it is near a check: what is drained says which accounts used anything since the last
look, and only those are looked at, with the gate's own count, so that an alert says what the gate
says. A look that was cut short is repeated; what it raised is not raised again.
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from accounts.models import Account
from alerts import raising
from alerts.models import OF_THE_WEEK, Alert, AlertSettings, Kind, LastLook, Watch
from gate.terms import week
from quotas import statement, sums
from quotas.standing import Standing, standing_of
from quotas.sums import AccountWeek, KeyDay
from quotas.usage import totals

logger = logging.getLogger(__name__)

_AT_ONCE = 500
# How late a charge may be drained and still be looked at by itself.
_LATE = timedelta(hours=1)
_FIRST_LOOKS_BACK = timedelta(days=1)
# A key is far above its habit with so many chats a day, and so many times its usual day.
_HABIT_CHATS = 100
_HABIT_TIMES = 5
_HABIT_DAYS = 14
_HABIT_KNOWN_DAYS = 3
# An account with a thousand keys that are all busy has heard enough.
_HABIT_TOLD_A_DAY = 10


@dataclass(frozen=True, slots=True)
class _Look:
    """What is known of one account at one moment."""

    account: Account
    wants: AlertSettings
    used: AccountWeek
    standing: Standing
    week: int
    passed: Collection[str]
    keys: Collection[KeyDay]
    at: datetime


def look_at_changed(*, at: datetime) -> int:
    """Look at every account that used anything since its last look; answers how many.

    Those whose wishes have changed, too.
    """
    since = _since(at)
    used = totals.accounts_used_since(since)
    wishes = AlertSettings.objects.filter(changed_at__isnull=False)
    ids = sorted({*used, *wishes.values_list("account", flat=True)})
    looked, is_whole = 0, True
    for some in _batches(ids):
        changed = _changed(some, used, since=since)
        done = _look_at(changed, at=at)
        looked += len(done)
        is_whole = is_whole and len(done) == len(changed)
        Watch.objects.bulk_create(
            [Watch(account_id=pk, since=since, chats=used.get(pk, 0)) for pk in done],
            update_conflicts=True,
            unique_fields=["account"],
            update_fields=["since", "chats"],
        )
    if is_whole:
        # Until everybody was looked at, the next turn looks back as far.
        LastLook.objects.update_or_create(pk=1, defaults={"at": at})
    return looked


def _since(at: datetime) -> datetime:
    """From when on use counts as new: before the last look, since a drain may be late.

    At most a week back: of weeks that have ended nobody is told.
    """
    last_at = LastLook.objects.values_list("at", flat=True).first() or at - _FIRST_LOOKS_BACK
    this_week = week.starts_at(week.week_of(week.to_ms(at)))
    return max(this_week, last_at - _LATE).replace(minute=0, second=0, microsecond=0)


def _batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[first : first + _AT_ONCE] for first in range(0, len(ids), _AT_ONCE))


def _changed(some: Sequence[int], used: Mapping[int, int], *, since: datetime) -> list[int]:
    """Those that are not as they were at their last look."""
    seen = dict(Watch.objects.filter(account__in=some, since=since).values_list("account", "chats"))
    wishes = AlertSettings.objects.filter(account__in=some, changed_at__isnull=False)
    anew = set(wishes.values_list("account", flat=True))
    return [pk for pk in some if pk in anew or seen.get(pk) != used.get(pk, 0)]


def _look_at(ids: Sequence[int], *, at: datetime) -> list[int]:
    """Look at these accounts; answers those of which the gate gave an answer."""
    number = week.week_of(week.to_ms(at))
    accounts = Account.objects.in_bulk(ids)
    wishes = {row.account_id: row for row in AlertSettings.objects.filter(account__in=ids)}
    used = sums.of_week(ids, number)
    passed = _passed(ids, number)
    keys = sums.keys_beyond_habit(
        ids,
        at=at,
        at_least=_HABIT_CHATS,
        times=_HABIT_TIMES,
        days=_HABIT_DAYS,
        known=_HABIT_KNOWN_DAYS,
    )
    done = []
    for pk in ids:
        standing = standing_of(accounts[pk])
        if standing is None:
            continue
        wants = wishes.get(pk) or AlertSettings(account=accounts[pk])
        look = _Look(
            account=accounts[pk],
            wants=wants,
            used=used.get(pk) or AccountWeek(pk, 0, 0, 0),
            standing=standing,
            week=number,
            passed=passed.get(pk, ()),
            keys=keys.get(pk, ()),
            at=at,
        )
        try:
            # Its week may have begun while ours ends: the next turn looks at the new one.
            if _week_of(standing) == number:
                _raise_due(look)
        except Exception:
            logger.exception("account %s could not be looked at", pk)
            continue
        if wants.changed_at is not None:
            same = AlertSettings.objects.filter(pk=wants.pk, changed_at=wants.changed_at)
            same.update(changed_at=None)
        done.append(pk)
    return done


def _passed(ids: Sequence[int], number: int) -> dict[int, set[str]]:
    """What was told of a week, or has passed by, by account."""
    passed: dict[int, set[str]] = {}
    found = Alert.objects.filter(
        account__in=ids, kind__in=[*OF_THE_WEEK, Kind.OVERFLOW], occasion=str(number)
    )
    for account_id, kind in found.values_list("account", "kind"):
        passed.setdefault(account_id, set()).add(kind)
    return passed


def _week_of(standing: Standing) -> int:
    return week.week_of(week.to_ms(standing.resets_at)) - 1


def _raise_due(look: _Look) -> None:
    _tell_percent(look)
    if look.used.boost + look.used.credits > 0 and Kind.OVERFLOW not in look.passed:
        paid = {"boost_chats": look.used.boost, "credit_chats": look.used.credits}
        _tell(look, Kind.OVERFLOW, str(look.week), {**_of_the_week(look), **paid})
    _tell_low_credits(look)
    _tell_habits(look)


def _tell_percent(look: _Look) -> None:
    """The highest that was reached; those below it pass by."""
    standing = look.standing
    if not standing.cap:
        # Nothing to have a part of: unlimited, or no allowance at all.
        return
    reached = [
        kind
        for kind, percent in OF_THE_WEEK.items()
        if standing.used * 100 >= percent * standing.cap and kind not in look.passed
    ]
    told = [kind for kind in reached if kind in look.wants.kinds][-1:]
    # First: a worker that dies in between must not leave a lower one to be told after a higher.
    if passing := [kind for kind in reached if kind not in told]:
        raising.pass_by(account=look.account, kinds=passing, occasion=str(look.week), at=look.at)
    for kind in told:
        _tell(look, kind, str(look.week), _of_the_week(look))


def _tell_low_credits(look: _Look) -> None:
    if look.standing.credits_left >= look.wants.low_credits:
        return
    top_up = statement.last_top_up(look.account)
    if top_up is not None:
        data = {"credits_left": look.standing.credits_left, "below": look.wants.low_credits}
        _tell(look, Kind.LOW_CREDITS, str(top_up), data)


def _tell_habits(look: _Look) -> None:
    if not look.keys:
        return
    day = f"{look.at:%Y-%m-%d}"
    known = Alert.objects.filter(
        account=look.account, kind=Kind.KEY_HABIT, occasion__in=_days(look.keys, day)
    )
    told = known.filter(is_passed=False).count()
    passed = set(known.values_list("occasion", flat=True))
    new = [key for key in look.keys if f"{key.key_id}:{day}" not in passed]
    for key in new[: max(0, _HABIT_TOLD_A_DAY - told)]:
        data = {"key": key.name, "masked": key.masked, "chats": key.chats, "usual": key.usual}
        _tell(look, Kind.KEY_HABIT, f"{key.key_id}:{day}", {**data, "day": day})


def _days(keys: Collection[KeyDay], day: str) -> list[str]:
    return [f"{key.key_id}:{day}" for key in keys]


def _tell(look: _Look, kind: Kind, occasion: str, data: dict[str, Any]) -> None:
    if kind in look.wants.kinds:
        raising.raise_alert(
            account=look.account, kind=kind, occasion=occasion, data=data, at=look.at
        )
    else:
        raising.pass_by(account=look.account, kinds=[kind], occasion=occasion, at=look.at)


def _of_the_week(look: _Look) -> dict[str, Any]:
    standing = look.standing
    return {
        "used": standing.used,
        "cap": standing.cap,
        "percent": standing.percent,
        "boost_left": standing.boost_left,
        "credits_left": standing.credits_left,
        "resets_at": week.utc_text(standing.resets_at),
    }
