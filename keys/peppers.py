"""Which pepper the digests of keys hang on, and which peppers may go. Never a secret."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from accounts.numbers import thousands
from keys.models import ApiKey

USED_WITHIN = timedelta(days=30)
COUNTED_AT_MOST = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PepperUse:
    """Keys whose digest one pepper made. used: of the live ones, in the last 30 days.

    is_there: KEY_PEPPERS names it. Of keys without theirs every request is refused.
    """

    pepper_id: str
    is_current: bool
    is_there: bool
    live: int = 0
    revoked: int = 0
    used: int = 0

    @property
    def may_go(self) -> bool:
        """Whether no live key needs it any more."""
        return self.is_there and not self.is_current and not self.live


def peppers_in_use(*, at: datetime) -> list[PepperUse]:
    """The current pepper, then the others that there are, then those that keys alone still name.

    Reads every key once.
    """
    is_live = Q(revoked_at=None)
    counted = {
        row["pepper_id"]: row
        for row in ApiKey.objects.order_by()
        .values("pepper_id")
        .annotate(
            live=Count("pk", filter=is_live),
            revoked=Count("pk", filter=~is_live),
            used=Count("pk", filter=is_live & Q(last_used_at__gt=at - USED_WITHIN)),
        )
    }
    there = [pepper.pepper_id for pepper in settings.KEY_PEPPERS]
    return [
        _of(pepper_id, counted.get(pepper_id, {}), there)
        for pepper_id in [*there, *sorted(set(counted) - set(there))]
    ]


def peppers_in_short() -> str:
    """A line where somebody has to know of it: with several peppers, or keys on one that is gone.

    Live keys are counted by their index, and no further than anybody reads.
    """
    live = ApiKey.objects.filter(revoked_at=None).order_by()
    current, *old = [pepper.pepper_id for pepper in settings.KEY_PEPPERS]
    parts = [
        _("live keys on pepper %(pepper)s, which is to go: %(count)s")
        % {"pepper": pepper_id, "count": _bounded(live.filter(pepper_id=pepper_id))}
        for pepper_id in old
    ]
    # Said so that an index knows it: it has no “other than”.
    others = Q(pepper_id__lt=current) | Q(pepper_id__gt=current)
    gone = live.filter(others).exclude(pepper_id__in=old)
    if gone.exists():
        parts.append(
            _("live keys on a pepper that is gone, refused: %(count)s") % {"count": _bounded(gone)}
        )
    return "; ".join(parts)


def _bounded(keys: QuerySet[ApiKey]) -> str:
    count = keys[: COUNTED_AT_MOST + 1].count()
    return thousands(count) if count <= COUNTED_AT_MOST else f"{thousands(COUNTED_AT_MOST)}+"


def _of(pepper_id: str, counted: Mapping[str, Any], there: list[str]) -> PepperUse:
    return PepperUse(
        pepper_id=pepper_id,
        is_current=pepper_id == there[0],
        is_there=pepper_id in there,
        live=counted.get("live", 0),
        revoked=counted.get("revoked", 0),
        used=counted.get("used", 0),
    )
