"""A plan and how many people it is paid for: what is ordered, what a period is of, what follows."""

from dataclasses import dataclass
from typing import Self

from accounts import numbers
from accounts.models import Account
from quotas import catalogue
from quotas.models.plans import Plan

# More is by agreement.
SEATS_AT_MOST = 1_000


@dataclass(frozen=True, slots=True)
class Booked:
    """A plan for so many people; 1 of a plan whose price is not that of a seat."""

    plan: Plan
    seats: int = 1

    @classmethod
    def of(cls, plan: Plan, seats: int | None) -> Self:
        """Of what is known of it; how many matters only of a plan that is sold by the seat."""
        return cls(plan, (seats or 1) if plan.is_per_seat else 1)

    @property
    def limit(self) -> int | None:
        """How many people it is for; None is any number."""
        return self.seats if self.plan.is_per_seat else None

    @property
    def name(self) -> str:
        """“Pro”, or “Teams, 5 seats”, in the reader's language."""
        return numbers.with_seats(self.plan.name, self.limit)

    @property
    def rank(self) -> tuple[int, ...]:
        """Of two, the one with the higher rank gives more: the better plan, then more seats."""
        return (*catalogue.rank_of(self.plan), self.seats)


def is_more(one: Booked | None, other: Booked | None) -> bool:
    """Whether one gives more than the other; False where either is not there."""
    return one is not None and other is not None and one.rank > other.rank


def seats_needed(account: Account) -> int:
    """How many people there are in an account, each of whom needs a seat."""
    return max(1, account.memberships.count())
