"""What an account or a key may spend past the weekly allowance: chosen by its people."""

from dataclasses import dataclass
from enum import StrEnum


class PastAllowance(StrEnum):
    """What pays when the allowance of a week is used up."""

    ALL = ""
    BOOSTS = "boosts"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """One choice; None is no ceiling. Of an account's and a key's the stricter one counts."""

    past_allowance: PastAllowance = PastAllowance.ALL
    credits_a_week: int | None = None
    credits_a_month: int | None = None
    units_a_request: int | None = None


NO_LIMITS = Spending()
