"""What a key, or a member of an account by all their keys, may use in a day, a month or in all.

Budgets stack: what the account has, what its member may use and what the key may use all hold.
"""

from dataclasses import dataclass

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Chats of every source, by calendar days, weeks and months in UTC; None is no limit."""

    a_day: int | None = None
    a_week: int | None = None  # of a member; of a key it is its weekly cap
    a_month: int | None = None
    in_all: int | None = None


NO_LIMITS = Budget()


def day_of(at_ms: int) -> int:
    """The number of the day that holds a moment (milliseconds since 1970), from 1970 on."""
    return at_ms // DAY_MS
