"""`retry_after` is there only where waiting can help; where it cannot, the reason says so."""

from typing import Any

import pytest

from gate.store.snapshots import BoostGrant
from gate.terms import week
from tests.gate.quota_service import BILLING_URL, QuotaService, assert_problem
from tests.gate.world import NOW_MS, World, now_ms

LONG_AFTER = week.starts_ms(2918)
THE_RESET = week.starts_ms(2917)


def boost(chats: int, *, ends_ms: int, spent: int = 0) -> BoostGrant:
    return BoostGrant(boost_id=1, chats=chats, expires_ms=ends_ms, spent=spent)


HELPS, NEVER = "quota_exhausted", "above_plan_cap"
CASES: list[tuple[str, dict[str, Any], int, str]] = [
    ("the week is used up", {"used": 50}, 1, HELPS),
    ("the whole cap fits into a new week", {"used": 1}, 50, HELPS),
    ("more than a whole week has", {}, 51, NEVER),
    ("more than a whole week has, used up", {"used": 50}, 51, NEVER),
    ("a plan without chats", {"plan": "none"}, 1, NEVER),
    ("a plan without chats, credits spent", {"plan": "none", "credits": 1}, 1, NEVER),
    ("a plan without chats, credits owed", {"plan": "none", "credits": -9}, 1, NEVER),
    ("credits make up for the rest", {"used": 1, "credits": 20}, 60, HELPS),
    ("credits make up for nearly all", {"used": 1, "credits": 20}, 61, NEVER),
    ("owed credits pay nothing", {"credits": -20}, 51, NEVER),
    ("a boost lives on", {"used": 1, "boosts": (boost(10, ends_ms=LONG_AFTER),)}, 60, HELPS),
    ("a boost is mostly spent", {"boosts": (boost(20, ends_ms=LONG_AFTER, spent=19),)}, 52, NEVER),
    (
        "a boost ends first",
        {"used": 1, "boosts": (boost(10, ends_ms=THE_RESET),)},
        60,
        NEVER,
    ),
    ("a pack lifts the cap", {"plan": "plus", "packs": ("copilot-pro",)}, 2_000, "ok"),
]


@pytest.mark.parametrize(
    ("granted", "units", "reason"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
async def test_waiting_helps_if_the_next_week_could_pay(
    world: World, granted: dict[str, Any], units: int, reason: str
) -> None:
    world.grant(**granted)
    async with world.gate() as gate:
        decision = await gate.check(units=units)
        assert decision.reason == reason
        assert (decision.retry_after is not None) == (reason == HELPS)
        # And it is true: the same request, a week later.
        later = await gate.check(units=units, at_ms=week.starts_ms(2917))
        assert later.allowed == (reason != NEVER)


@pytest.mark.parametrize(
    ("key_cap", "granted", "units", "reason"),
    [
        (5, {"keys_used": 5}, 1, "key_cap_reached"),
        (5, {"keys_used": 1}, 5, "key_cap_reached"),
        (5, {}, 6, "above_key_cap"),
        (0, {}, 1, "above_key_cap"),
        (0, {"plan": "pro"}, 1, "above_key_cap"),
        (5, {"keys_used": 5, "plan": "none", "credits": 2}, 1, "key_cap_reached"),
        (5, {"keys_used": 5, "plan": "none"}, 1, "above_plan_cap"),
        (100, {"keys_used": 60, "used": 50}, 60, "above_plan_cap"),
    ],
)
async def test_waiting_helps_if_the_key_could_use_it_in_a_new_week(
    world: World, key_cap: int, granted: dict[str, Any], units: int, reason: str
) -> None:
    used = granted.pop("keys_used", 0)
    limited = world.key_state(version=2, weekly_cap=key_cap, used=used)
    world.grant(keys=(limited,), **granted)
    async with world.gate() as gate:
        decision = await gate.check(units=units)
        assert decision.reason == reason
        helps = reason == "key_cap_reached"
        assert (decision.retry_after is not None) == helps
        assert (await gate.check(units=units, at_ms=week.starts_ms(2917))).allowed == helps


async def test_a_refusal_is_counted_by_its_own_reason(world: World) -> None:
    async with world.gate() as gate:
        await gate.check(units=51)
        await gate.check(units=51)
        await gate.check(units=51, at_ms=NOW_MS, meter="images")
        (counted,) = gate.refusals().items()
        assert counted == (f"{world.handle}|7|{NOW_MS // 3_600_000}|above_plan_cap", 3)


def test_a_check_says_that_waiting_does_not_help(service: QuotaService) -> None:
    body = service.check(units=51).json()
    assert (body["allowed"], body["reason"], body["retry_after"]) == (False, NEVER, None)
    assert body["resets_at"].endswith("T00:00:00Z")


def test_a_gateway_passes_on_that_buying_helps_and_waiting_does_not(service: QuotaService) -> None:
    service.world.grant(plan="none", week=week.week_of(now_ms()))
    answer = service.authorize()
    problem = assert_problem(answer, 429, "above_plan_cap")
    assert "retry-after" not in answer.headers
    assert "resets_at" not in problem
    assert problem["billing_url"] == BILLING_URL
    assert "takes 1 chat, and the plan has 0 a week: waiting does not help" in problem["detail"]


def test_a_gateway_passes_on_that_the_key_may_never_do_this(service: QuotaService) -> None:
    service.world.grant(keys=(service.world.key_state(version=2, weekly_cap=0),))
    answer = service.authorize()
    problem = assert_problem(answer, 403, "above_key_cap")
    assert "retry-after" not in answer.headers
    assert "never use more than 0 a week" in problem["detail"]
