"""A made-up week, as the home page shows the product."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from billing.models import Product
from gate.terms import week
from quotas.models.plans import Plan
from quotas.standing import BoostStanding, Standing

# Whatever week it is: the page is made once, and nothing on it tells the time.
_BEGAN = datetime(2026, 1, 5, tzinfo=UTC)
_NOW = _BEGAN + timedelta(days=4, hours=14)
_LEFT_IN_PERCENT = 18
_CREDITS = 500
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# Of what is used, in percent; the days to come have none.
_SHARES = (18, 23, 21, 25, 13, 0, 0)


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the example: its chats, and how high its bar is, 0 to 100."""

    name: str
    chats: int
    height: int
    is_now: bool

    @property
    def top(self) -> int:
        """Where its bar begins, from above."""
        return 100 - self.height


def example_week(
    plans: Sequence[Plan], boost: Product | None, *, credits_per_chat: int
) -> Standing:
    """An account in the middle of its week, on the smallest plan with a price and a cap."""
    capped = [plan for plan in plans if plan.weekly_cap]
    plan = next((plan for plan in capped if plan.monthly_price_cents), None)
    cap = (plan.weekly_cap if plan else None) or 500
    left = cap * _LEFT_IN_PERCENT // 100
    chats = boost.chats if boost else 0
    ends_at = _NOW + timedelta(days=boost.valid_days if boost else 0)
    return Standing(
        plan_name=plan.name if plan else "",
        cap=cap,
        used=cap - left,
        left=left,
        resets_at=week.ends_at(week.week_of(week.to_ms(_NOW))),
        boosts=(BoostStanding(chats, chats, ends_at),) if chats else (),
        boost_left=chats,
        credits_left=_CREDITS,
        credits_per_chat=credits_per_chat,
        suspended=False,
    )


def example_days(used: int) -> Iterable[Day]:
    """The days of a week in which so many chats are used, as bars."""
    peak, today = max(_SHARES), _NOW.weekday()
    return [
        Day(name, used * share // 100, 100 * share // peak, is_now=number == today)
        for number, (name, share) in enumerate(zip(_DAYS, _SHARES, strict=True))
    ]
