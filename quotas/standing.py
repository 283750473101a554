"""Where an account stands now, as the gate sees it."""

import logging
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.conf import settings
from redis.exceptions import RedisError

from accounts.models import Account
from gate.store import charges, connection, hot_state
from gate.store.charges import Answer
from gate.store.hot_state import Call
from gate.store.snapshots import Paid
from gate.terms import week
from gate.terms.reasons import Outcome, Reason
from gate.terms.spending import PastAllowance
from keys.models import ApiKey
from quotas import projection
from quotas.models.ledger import Boost
from quotas.models.plans import Plan

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BoostStanding:
    """One boost that can still pay."""

    chats: int
    left: int
    expires_at: datetime
    boost_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What an account used and may still use, in numbers. Chats; None is unlimited."""

    cap: int | None
    used: int
    left: int | None
    resets_at: datetime
    boost_left: int
    credits_left: int
    credits_per_chat: int
    suspended: bool
    past_allowance: str = PastAllowance.ALL
    credit_room: int | None = None  # what ceilings leave now; None is no ceiling

    @property
    def boost_open(self) -> int:
        """Chats in boosts, if the account lets them be used."""
        return 0 if self.past_allowance == PastAllowance.NOTHING else self.boost_left

    @property
    def credits_open(self) -> int:
        """Credits, as far as the account lets them be spent."""
        if self.past_allowance != PastAllowance.ALL:
            return 0
        room = self.credits_left if self.credit_room is None else self.credit_room
        return max(0, min(self.credits_left, room))

    @property
    def is_held_back(self) -> bool:
        """Whether it is the account's own choice that nothing pays, whatever is bought."""
        if self.suspended or self.can_chat:
            return False
        has_no_room = self.credit_room is not None and self.credit_room < self.credits_per_chat
        return self.past_allowance != PastAllowance.ALL or has_no_room

    @property
    def all_left(self) -> int | None:
        """Chats that still pass, whatever pays for them; None is unlimited."""
        if self.suspended:
            return 0
        return None if self.left is None else self.left + self.boost_open + self.chats_from_credits

    @property
    def percent(self) -> int:
        """How much of the allowance is used, 0 to 100."""
        if not self.cap:
            return 100 if self.cap == 0 else 0
        return min(100, self.used * 100 // self.cap)

    @property
    def chats_from_credits(self) -> int:
        """How many chats the credits still pay, as far as they may."""
        return self.credits_open // self.credits_per_chat

    @property
    def credits_owed(self) -> int:
        """Credits that the next top-up pays first: a payment was returned."""
        return max(0, -self.credits_left)

    @property
    def pays_next(self) -> str:
        """What pays for the next chat: allowance, boost or credits; empty when it is refused."""
        if self.suspended:
            return ""
        if self.left is None or self.left > 0:
            return "allowance"
        return self.pays_past_allowance

    @property
    def pays_past_allowance(self) -> str:
        """What pays once the allowance is used up: boost or credits; empty when nothing does."""
        if self.boost_open > 0:
            return "boost"
        return "credits" if self.chats_from_credits > 0 else ""

    @property
    def can_chat(self) -> bool:
        """Whether the next chat is accepted."""
        return bool(self.pays_next)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing(Left):
    """The same with names: the plan, and boosts one by one."""

    plan_name: str
    boosts: tuple[BoostStanding, ...]


class Outlook(StrEnum):
    """What may be promised of the next chat."""

    ACCEPTED = "accepted"
    SUSPENDED = "suspended"
    USED_UP = "used_up"
    # By what the account chose to spend.
    HELD_BACK = "held_back"
    UNKNOWN = "unknown"


def outlook_of(standing: Standing | None) -> Outlook:
    """What any page may promise of the next chat. None: the gate gives no answer."""
    if standing is None:
        return Outlook.UNKNOWN
    if standing.suspended:
        return Outlook.SUSPENDED
    if standing.can_chat:
        return Outlook.ACCEPTED
    return Outlook.HELD_BACK if standing.is_held_back else Outlook.USED_UP


def standing_of(
    account: Account, *, at: datetime | None = None, plan: Plan | None = None
) -> Standing | None:
    """The account's standing by the gate and its clock; None when the gate gives no answer.

    at: another moment than now. Looking also ends what has ended by then, so only tests tell it.
    plan: what was read already. If the gate means the same, its name is not asked for again.
    """
    try:
        answer = _look(account, at=at)
    except (RedisError, OSError) as error:
        logger.warning("no standing of account %s: %s", account.pk, type(error).__name__)
        return None
    return None if answer is None else of_answer(account, answer, plan=plan)


def left_of(account: Account) -> Left | None:
    """The same in numbers only, which costs no query once the account is warm; None as above."""
    try:
        answer = _look(account, at=None)
    except (RedisError, OSError):
        return None
    return None if answer is None else Left(**_numbers(answer))


def of_answer(account: Account, answer: Answer, *, plan: Plan | None = None) -> Standing:
    """What the gate's answer to a look says of an account; `plan` as above."""
    if plan is None or plan.slug != answer.plan:
        plan = Plan.objects.filter(slug=answer.plan).first()
    return Standing(
        plan_name=answer.plan if plan is None else plan.name,
        boosts=_boosts(account, answer),
        **_numbers(answer),
    )


def _numbers(answer: Answer) -> dict[str, Any]:
    return {
        "cap": answer.cap,
        "used": answer.used,
        "left": answer.allowance_left,
        "resets_at": week.ends_at(answer.week),
        "boost_left": answer.boost_left,
        "credits_left": answer.credits_left,
        "credits_per_chat": answer.credits_per_chat,
        "suspended": answer.status == Reason.SUSPENDED,
        "past_allowance": answer.past_allowance,
        "credit_room": answer.credit_room,
    }


def look_call(account: Account, *, at: datetime | None = None) -> Call:
    """The call that looks at an account and charges nothing; `at` as above."""
    return charges.check_call(
        handle=account.handle,
        digests=(),
        meter="chat",
        units=0,
        request_id=None,
        at_ms=None if at is None else week.to_ms(at),
    )


def fingerprint_of(account: Account) -> str | None:
    """Another text whenever a page would tell something else of the account; None as above.

    Asks no database once the account is warm, so that a page that is looked at costs nothing while
    nothing happens.
    """
    try:
        answer = _look(account, at=None)
    except (RedisError, OSError):
        return None
    if answer is None:
        return None
    told: tuple[object, ...] = (
        answer.status,
        answer.plan,
        answer.cap,
        answer.used,
        answer.left_by_boost,
    )
    told += (answer.credits_left, answer.credits_per_chat, answer.week)
    return "|".join(map(str, (*told, answer.past_allowance, answer.credit_room)))


def paid_of(account: Account, key: ApiKey | None = None) -> Paid | None:
    """Credits that an account, or one key of it, spent this week and month; None as above.

    Of an account that was looked at: one that is cold has spent nothing yet by this.
    """
    client = connection.sync_client(settings.REDIS_URL)
    name = hot_state.keys_of(account.handle).account
    try:
        record = client.hget(name, hot_state.paid_field(key.state().counted_as if key else ""))
        now_ms = connection.server_ms(client, name)
    except (RedisError, OSError) as error:
        logger.warning("no spending of account %s: %s", account.pk, type(error).__name__)
        return None
    return charges.paid_now(record, now_ms=now_ms)  # type: ignore[arg-type] # bytes


def _look(account: Account, *, at: datetime | None) -> Answer | None:
    return answer_to(account, look_call(account, at=at))


def answer_to(account: Account, call: Call) -> Answer | None:
    """The gate's answer to a check of an account, loaded if it is cold; None if it cannot be.

    RedisError or OSError when Valkey gives no answer.
    """
    client = connection.sync_client(settings.REDIS_URL)
    for _ in range(2):
        answer = charges.read_answer(hot_state.run(client, call))
        if answer.status not in {Outcome.COLD, Outcome.COLD_CATALOGUE}:
            return answer
        # Without a catalogue nothing is warm.
        if not projection.push(account, is_cold=True):
            return None
    return None


def _boosts(account: Account, answer: Answer) -> tuple[BoostStanding, ...]:
    """Live boosts with what is left of each, in the order they are used."""
    left = dict(hot_state.read_boosts(answer.left_by_boost))
    boosts = Boost.objects.filter(account=account, pk__in=left).order_by("expires_at", "pk")
    return tuple(BoostStanding(b.granted, left[b.pk], b.expires_at, b.pk) for b in boosts)
