"""Why a request passes or not, and what else a script may answer: each declared once.

Lua spells them `REASON.x` and `OUTCOME.x`, and a script with one that is not here is not loaded.
What a reason means, for HTTP, people and counts, stands beside it.
"""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """What a decision says."""

    OK = "ok"
    INVALID_KEY = "invalid_key"
    SUSPENDED = "suspended"
    NOT_PERMITTED = "not_permitted"
    KEY_CAP_REACHED = "key_cap_reached"
    ABOVE_KEY_CAP = "above_key_cap"
    QUOTA_EXHAUSTED = "quota_exhausted"
    ABOVE_PLAN_CAP = "above_plan_cap"
    UNKNOWN_METER = "unknown_meter"
    WRONG_ADDRESS = "wrong_address"
    # What the people of the account chose, for it or for the key.
    SPENDING_STOPPED = "spending_stopped"
    CREDITS_SWITCHED_OFF = "credits_switched_off"
    CREDIT_CEILING_WEEK = "credit_ceiling_week"
    CREDIT_CEILING_MONTH = "credit_ceiling_month"
    REQUEST_TOO_LARGE = "request_too_large"
    # What key and member may use in a day, a week, a month or in all.
    KEY_BUDGET_REACHED = "key_budget_reached"
    MEMBER_BUDGET_REACHED = "member_budget_reached"
    # How quickly key and account may ask.
    RATE_LIMITED = "rate_limited"
    TOO_MANY_AT_ONCE = "too_many_at_once"
    MODEL_NOT_PERMITTED = "model_not_permitted"


class Outcome(StrEnum):
    """What a script answers that is no decision about a request."""

    OK = "ok"
    # The account or the catalogue is not in Valkey: PostgreSQL has to be asked first.
    COLD = "cold"
    COLD_CATALOGUE = "cold_catalogue"
    # What a key or member with a budget used is not in Valkey.
    UNCOUNTED = "uncounted"
    # A request id or a hold was used for something else before.
    CONFLICT = "conflict"
    TOO_MANY_HOLDS = "too_many_holds"
    # Of refunds and settlements.
    ALREADY = "already"
    TOO_LATE = "too_late"
    GONE = "gone"
    TOO_MUCH = "too_much"
    # Of projections.
    STORED = "stored"
    OLDER = "older"
    STALE_EPOCH = "stale_epoch"
    # Of what was used so far.
    COUNTED = "counted"
    TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a reason means to whoever is told.

    status, code: of the HTTP answer that a gateway passes on or the public API gives.
    sentence: for people, with {answer}, {room}, {met}, {wanted}, {until}, {seconds}, {model},
    {billing_url} and {spending_url} to fill in. sentence_for_good: the same where waiting does not
    help; "" where that is said already.
    buying_helps: with more boosts or credits the same request may pass.
    is_told: callers of the quota check read it; otherwise they are told something else instead.
    """

    status: int
    code: str
    sentence: str
    sentence_for_good: str = ""
    buying_helps: bool = False
    is_told: bool = True


MEANINGS = {
    Reason.OK: Meaning(200, "ok", ""),
    # Missing, malformed, unknown, revoked, expired, or bound to other addresses: all alike, so
    # that a stranger learns nothing.
    Reason.INVALID_KEY: Meaning(
        401,
        "invalid_key",
        "Send a valid API key as “Authorization: Bearer sk_…”. Keys are made at /account/keys.",
    ),
    Reason.SUSPENDED: Meaning(
        403, "not_permitted", "This account is suspended. Write to us to have it looked at."
    ),
    Reason.NOT_PERMITTED: Meaning(
        403, "not_permitted", "This key, or the plan of its account, may not be used for this."
    ),
    Reason.MODEL_NOT_PERMITTED: Meaning(
        403,
        "model_not_permitted",
        "This key may not ask for {model}. Which models it may ask is chosen at /account/keys.",
    ),
    Reason.KEY_CAP_REACHED: Meaning(
        429,
        "key_cap_reached",
        "This key may use {answer.key_cap:,} chats a week and has used {answer.key_used:,}. "
        "Use another key of the account, or wait until {until}.",
        buying_helps=True,
    ),
    Reason.ABOVE_KEY_CAP: Meaning(
        403,
        "above_key_cap",
        "This request takes {wanted}, and this key may never use more than {answer.key_cap:,} "
        "a week: waiting does not help. Use another key of the account.",
    ),
    Reason.QUOTA_EXHAUSTED: Meaning(
        429,
        "quota_exhausted",
        "The {answer.cap:,} chats of this week are used up. Buy a Weekly Boost or credits at "
        "{billing_url}, or wait until {until}.",
        buying_helps=True,
    ),
    Reason.ABOVE_PLAN_CAP: Meaning(
        429,
        "above_plan_cap",
        "This request takes {wanted}, and the plan has {answer.cap:,} a week: waiting does "
        "not help. Buy a Weekly Boost or credits at {billing_url}.",
        buying_helps=True,
    ),
    # The operator's fault, whoever asks: each face has words of its own for it.
    Reason.UNKNOWN_METER: Meaning(
        503,
        "quota_unavailable",
        "A meter that is charged by is not in the catalogue: add it again.",
        is_told=False,
    ),
    # Counted for the owner of the key; the caller is told that the key is invalid.
    Reason.WRONG_ADDRESS: Meaning(401, "invalid_key", "", is_told=False),
    Reason.SPENDING_STOPPED: Meaning(
        429,
        "spending_stopped",
        "The {answer.cap:,} chats of this week do not pay for this request any more, and "
        "“Spending” of this {answer.chosen_by} stops there: change it at {spending_url}, or wait "
        "until {until}.",
        sentence_for_good="This request takes {wanted}, the plan has {answer.cap:,} a week, and "
        "“Spending” of this {answer.chosen_by} stops there: waiting does not help. Change it at "
        "{spending_url}.",
    ),
    Reason.CREDITS_SWITCHED_OFF: Meaning(
        429,
        "credits_switched_off",
        "The chats of this week and of boosts do not pay for this request any more, and “Spending” "
        "of this {answer.chosen_by} uses no credits: change it at {spending_url}, buy a Weekly "
        "Boost at {billing_url}, or wait until {until}.",
        sentence_for_good="This request takes {wanted}, more than a week and boosts pay, and "
        "“Spending” of this {answer.chosen_by} uses no credits: waiting does not help. Change it "
        "at {spending_url}, or buy a Weekly Boost at {billing_url}.",
        buying_helps=True,
    ),
    Reason.CREDIT_CEILING_WEEK: Meaning(
        429,
        "credit_ceiling_week",
        "This request takes more credits than “Spending” of this {answer.chosen_by} leaves for "
        "this week: change it at {spending_url}, or wait until {until}.",
        sentence_for_good="This request takes more credits than “Spending” of this "
        "{answer.chosen_by} allows in a week: waiting does not help. Change it at {spending_url}.",
        buying_helps=True,
    ),
    Reason.CREDIT_CEILING_MONTH: Meaning(
        429,
        "credit_ceiling_month",
        "This request takes more credits than “Spending” of this {answer.chosen_by} leaves for "
        "this month: change it at {spending_url}, or wait until {until}.",
        sentence_for_good="This request takes more credits than “Spending” of this "
        "{answer.chosen_by} allows in a month: waiting does not help. Change it at {spending_url}.",
        buying_helps=True,
    ),
    # As a key that may never use so much: no new week and no purchase ends it.
    Reason.REQUEST_TOO_LARGE: Meaning(
        403,
        "request_too_large",
        "This request asks for more than {answer.units_a_request:,} units at once, and “Spending” "
        "of this {answer.chosen_by} allows no more: waiting does not help. Ask for fewer, or "
        "change it at {spending_url}.",
    ),
    Reason.KEY_BUDGET_REACHED: Meaning(
        429,
        "key_budget_reached",
        "This key may use {met.most:,} chats {met.span} and has used {met.used:,}. Use another "
        "key of the account, or wait until {until}.",
        sentence_for_good="This request takes {wanted}; this key may use {met.most:,} chats "
        "{met.span} and has used {met.used:,}: waiting does not help. Use another key of the "
        "account, or let this one use more.",
    ),
    Reason.MEMBER_BUDGET_REACHED: Meaning(
        429,
        "member_budget_reached",
        "Whoever made this key may use {met.most:,} chats {met.span} in this account and has used "
        "{met.used:,}. Ask an owner for more, or wait until {until}.",
        sentence_for_good="This request takes {wanted}; whoever made this key may use "
        "{met.most:,} chats {met.span} in this account and has used {met.used:,}: waiting does "
        "not help. Ask an owner for more.",
    ),
    Reason.RATE_LIMITED: Meaning(
        429,
        "rate_limited",
        "This {answer.chosen_by} may make {room.a_minute:,} requests a minute and has made them. "
        "Try again in {seconds}.",
    ),
    Reason.TOO_MANY_AT_ONCE: Meaning(
        429,
        "too_many_at_once",
        "This {answer.chosen_by} may have {room.at_once:,} requests answered at the same time, and "
        "so many are. Try again when one of them is done.",
    ),
}
