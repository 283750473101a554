"""A made-up week, as the home page shows the product."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils.dates import WEEKDAYS_ABBR

from billing.models import Product
from quotas.models.plans import Plan
from quotas.strip import Amounts

# On Friday afternoon. Whatever week it is: the page is made once, and nothing on it tells the time.
_DAY, _ELAPSED = 4, 0.66
_LEFT_IN_PERCENT = 18
_CREDITS = 500
# Of what is used, in percent, from Monday on; the days to come have none.
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


@dataclass(frozen=True, slots=True)
class Example:
    """A week that is drawn, the credits that its cells come from, and its days as bars."""

    amounts: Amounts
    credits: int
    days: Iterable[Day]


def example_week(plans: Sequence[Plan], boost: Product | None, *, credits_per_chat: int) -> Example:
    """An account in the middle of its week, on the smallest plan with a price and a cap."""
    paid = (plan for plan in plans if plan.weekly_cap and plan.monthly_price_cents)
    plan = next(paid, None)
    cap = (plan.weekly_cap if plan else None) or 500
    left = cap * _LEFT_IN_PERCENT // 100
    amounts = Amounts(
        spent=cap - left,
        allowance=left,
        boost=boost.chats if boost else 0,
        credits=_CREDITS // credits_per_chat,
        elapsed=_ELAPSED,
    )
    return Example(amounts, _CREDITS, _days(amounts.spent))


def _days(used: int) -> list[Day]:
    peak = max(_SHARES)
    return [
        Day(
            str(WEEKDAYS_ABBR[number]),
            used * share // 100,
            100 * share // peak,
            is_now=number == _DAY,
        )
        for number, share in enumerate(_SHARES)
    ]
