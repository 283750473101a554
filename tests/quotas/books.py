"""The books that `test_bookkeeping` keeps beside the product, in plain Python.

Nothing is counted up or down: what is used and left is always summed from what each charge still
takes. Whatever the gate, the drain and the database do with increments must come to the same.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from gate.decision.check import Decision

CAPS = {"small": 3, "large": 6, "endless": None}
PACK_CAP = 9
COSTS = {"chat": 1, "images": 2}


def week_of(moment: datetime) -> tuple[int, int]:
    """The week that a moment is in, which begins on Monday: year and number."""
    return moment.isocalendar()[:2]


@dataclass
class Key:
    """An API key."""

    pk: int
    name: str
    text: str
    cap: int | None  # chats a week
    is_revoked: bool = False


@dataclass
class Boost:
    """A boost that was bought."""

    pk: int
    chats: int
    expires_at: datetime


@dataclass(frozen=True)
class Paid:
    """Chats by what pays them, and how many credits a chat costs."""

    allowance: int = 0
    boosts: dict[int, int] = field(default_factory=dict)
    credit_chats: int = 0
    rate: int = 1

    @property
    def boost_chats(self) -> int:
        return sum(self.boosts.values())

    @property
    def chats(self) -> int:
        return self.allowance + self.boost_chats + self.credit_chats

    @property
    def credits(self) -> int:
        return self.credit_chats * self.rate

    def first(self, chats: int) -> "Paid":
        """What the first so many of the chats took: of the allowance, of boosts, of credits."""
        allowance = min(chats, self.allowance)
        chats -= allowance
        boosts = {}
        for pk, part in self.boosts.items():
            if chats:
                boosts[pk] = min(chats, part)
                chats -= boosts[pk]
        return Paid(allowance, boosts, chats, self.rate)


NOTHING = Paid()
# More than any story uses.
UNLIMITED = 10**6


@dataclass
class Charge:
    """A charge or a hold, and what it takes now."""

    decision: Decision
    key: Key
    at: datetime
    units: int
    cost: int  # chats a unit
    paid: Paid
    held_until: datetime | None = None
    status: Literal["charged", "held", "settled", "refunded", "released"] = "charged"
    kept_units: int = 0
    # Whether PostgreSQL will ever hear of it; of a hold only if something was kept.
    is_on_record: bool = True

    @property
    def week(self) -> tuple[int, int]:
        return week_of(self.at)

    @property
    def is_over(self) -> bool:
        """Whether it takes nothing any more."""
        return self.status in {"refunded", "released"}

    def hold(self, *, until: datetime) -> None:
        """Make it a hold."""
        self.status, self.held_until, self.is_on_record = "held", until, False

    def cannot_settle(self, units: int) -> str:
        """Why so many units of a hold cannot be kept; empty when they can."""
        if self.status == "released":
            return "hold_expired"
        if self.status == "refunded" or (self.status == "settled" and units != self.kept_units):
            return "settled_otherwise"
        return "too_much" if units > self.units else ""

    def settle(self, units: int) -> None:
        """Keep so many units of a hold."""
        self.status, self.kept_units = "settled", units
        self.paid = self.paid.first(units * self.cost)
        self.is_on_record = units > 0

    def refund(self, *, now: datetime) -> Paid:
        """Take nothing any more; answers what comes back: no allowance of an ended week."""
        back = self.paid if self.week == week_of(now) else replace(self.paid, allowance=0)
        self.is_on_record = self.is_on_record or self.status == "settled"
        self.status, self.paid = "refunded", NOTHING
        return back

    def release(self) -> None:
        """Take nothing any more, because the time is over or nobody remembers."""
        self.status, self.paid = "released", NOTHING


@dataclass
class Books:
    """All that is known of the account."""

    plan: str = "small"
    pack_is_on: bool = False
    rate: int = 2
    is_suspended: bool = False
    credits_granted: int = 0
    keys: list[Key] = field(default_factory=list)
    boosts: dict[int, Boost] = field(default_factory=dict)
    charges: list[Charge] = field(default_factory=list)

    # --- what is used and left ------------------------------------------------------------------

    @property
    def cap(self) -> int | None:
        """The plan's cap, lifted by the pack; None is unlimited."""
        own = CAPS[self.plan]
        return own if own is None or not self.pack_is_on else max(own, PACK_CAP)

    @property
    def credits(self) -> int:
        return self.credits_granted - sum(charge.paid.credits for charge in self.charges)

    def used(self, *, now: datetime) -> int:
        """Chats of this week's allowance."""
        return sum(c.paid.allowance for c in self.charges if c.week == week_of(now))

    def used_by(self, key: Key, *, now: datetime) -> int:
        """Chats of a key this week, whatever pays them."""
        return sum(c.paid.chats for c in self.charges if c.key is key and c.week == week_of(now))

    def left_of(self, boost: Boost) -> int:
        return boost.chats - sum(charge.paid.boosts.get(boost.pk, 0) for charge in self.charges)

    def live_boosts(self, *, now: datetime) -> list[Boost]:
        """Boosts that can pay, in the order they do."""
        live = [boost for boost in self.boosts.values() if boost.expires_at > now]
        return sorted(live, key=lambda boost: (boost.expires_at, boost.pk))

    def there(self, *, now: datetime) -> Paid:
        """All that is left, by what would pay."""
        live = self.live_boosts(now=now)
        return Paid(
            UNLIMITED if self.cap is None else max(0, self.cap - self.used(now=now)),
            {boost.pk: self.left_of(boost) for boost in live if self.left_of(boost)},
            max(0, self.credits) // self.rate,
            self.rate,
        )

    def there_at_reset(self, *, now: datetime) -> int:
        """Chats that will be there when the next week begins, if nothing is used until then."""
        year, number = week_of(now)
        reset = datetime.fromisocalendar(year, number, 1).replace(tzinfo=UTC) + timedelta(weeks=1)
        boosts = [b for b in self.live_boosts(now=now) if b.expires_at > reset]
        return (
            (UNLIMITED if self.cap is None else self.cap)
            + sum(self.left_of(boost) for boost in boosts)
            + max(0, self.credits) // self.rate
        )

    def left(self, key: Key, *, now: datetime) -> int:
        """Chats that a key may still use."""
        there = self.there(now=now).chats
        return there if key.cap is None else min(there, key.cap - self.used_by(key, now=now))

    @property
    def recorded(self) -> list[Charge]:
        """Charges that pages and ledger show: a hold is shown when it is settled."""
        return [charge for charge in self.charges if charge.status != "held"]

    # --- what happens ---------------------------------------------------------------------------

    def decide(self, key: Key, chats: int, *, now: datetime) -> tuple[str, Paid]:
        """What a check must answer, and what pays."""
        if key.is_revoked:
            return "invalid_key", NOTHING
        if self.is_suspended:
            return "suspended", NOTHING
        ends_with_the_week = chats <= self.there_at_reset(now=now)
        if key.cap is not None and chats and self.used_by(key, now=now) + chats > key.cap:
            if chats > key.cap:
                return "above_key_cap", NOTHING
            return "key_cap_reached" if ends_with_the_week else "above_plan_cap", NOTHING
        there = self.there(now=now)
        if chats > there.chats:
            return "quota_exhausted" if ends_with_the_week else "above_plan_cap", NOTHING
        return "ok", there.first(chats)

    def let_holds_run_out(self, *, now: datetime) -> None:
        """Release the holds whose time is over."""
        for charge in self.charges:
            if charge.status == "held" and charge.held_until and charge.held_until <= now:
                charge.release()

    def forget_what_is_not_on_record(self) -> None:
        """Valkey was lost after a drain: what PostgreSQL never hears of is as if it ran out."""
        for charge in self.charges:
            if not charge.is_on_record:
                charge.release()
