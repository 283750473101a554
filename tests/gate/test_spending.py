"""Nobody pays without wanting it: what account and key choose to spend past the allowance."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings

from gate.store import hot_state, layout, snapshots
from gate.store.connection import sync_client
from gate.store.snapshots import BoostGrant, Paid
from gate.terms import month, week
from gate.terms.spending import PastAllowance, Spending
from tests.gate.quota_service import QuotaService, assert_problem
from tests.gate.world import HOUR_MS, OpenGate, World, now_ms

BOOSTS_ONLY = Spending(past_allowance=PastAllowance.BOOSTS)
STOP = Spending(past_allowance=PastAllowance.NOTHING)
# A Wednesday noon, in a week that ends long before its month.
WEDNESDAY_MS = week.to_ms(datetime(2025, 12, 3, 12, tzinfo=UTC))
THAT_WEEK = week.week_of(WEDNESDAY_MS)
THAT_MONTH = month.month_of(WEDNESDAY_MS)
NEXT_WEEK_MS = week.starts_ms(THAT_WEEK + 1)
NEXT_MONTH_MS = week.to_ms(month.ends_at(THAT_MONTH))
# The last day of a month, in the middle of a week.
SILVESTER_MS = week.to_ms(datetime(2025, 12, 31, 12, tzinfo=UTC))
URLS = {
    "account": "https://sansxel.example/account/billing/spending",
    "key": "https://sansxel.example/account/keys/7/spending",
}
CHOSEN_REASONS = [
    "spending_stopped",
    "credits_switched_off",
    "credit_ceiling_week",
    "credit_ceiling_month",
    "request_too_large",
]


def ceiling(**credits: int) -> Spending:
    return Spending(**credits)  # type: ignore[arg-type] # by name


def grant(world: World, *, account: Spending | None = None, key: Spending | None = None) -> None:
    """What account and key chose, with a week used up and 1,000 credits that pay 500 chats."""
    state = world.key_state(version=2, spending=key or Spending())
    world.grant(
        spending=account or Spending(),
        keys=(state,),
        week=THAT_WEEK,
        month=THAT_MONTH,
        used=50,
        credits=1_000,
    )


def boost(chats: int, *, days: int = 365) -> BoostGrant:
    return BoostGrant(
        boost_id=1, chats=chats, expires_ms=WEDNESDAY_MS + days * 24 * HOUR_MS, spent=0
    )


async def ask(gate: OpenGate, units: int = 1, *, at_ms: int = WEDNESDAY_MS, **more: Any) -> Any:
    return await gate.check(units=units, at_ms=at_ms, **more)


def state_of(world: World) -> dict[bytes, bytes]:
    """The account in Valkey, without what is kept of refusals."""
    found: Any = sync_client(settings.REDIS_URL).hgetall(hot_state.keys_of(world.handle).account)
    return {
        name: value
        for name, value in found.items()
        if name != b"refused" and not name.startswith(b"f:")
    }


def paid(world: World, field: str = "paid") -> tuple[int, int]:
    """Credits of the week and the month that are counted in Valkey, whichever those are."""
    written = state_of(world)[field.encode()].decode()
    says = layout.PAID.read(written)
    return says["in_week"], says["in_month"]


# --- the three switches -----------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["account", "key"])
async def test_a_stop_at_the_allowance_uses_neither_boosts_nor_credits(
    world: World, whose: str
) -> None:
    grant(world, **{whose: STOP})
    world.grant(used=49, boosts=(boost(10),))
    async with world.gate() as gate:
        assert (await ask(gate)).allowed
        decision = await ask(gate)
        assert (decision.reason, decision.answer.chosen_by) == ("spending_stopped", whose)
        assert decision.resets_at == week.ends_at(THAT_WEEK)
        assert (await ask(gate, at_ms=NEXT_WEEK_MS)).allowed


@pytest.mark.parametrize("whose", ["account", "key"])
async def test_boosts_only_never_touches_credits(world: World, whose: str) -> None:
    grant(world, **{whose: BOOSTS_ONLY})
    world.grant(boosts=(boost(3),))
    async with world.gate() as gate:
        # Four are three of boosts and one of credits: refused whole, and three still pass.
        decision = await ask(gate, 4)
        assert (decision.reason, decision.answer.chosen_by) == ("credits_switched_off", whose)
        assert (await ask(gate, 3)).answer.boosts_taken == "1:3"
        assert (await ask(gate)).reason == "credits_switched_off"


@pytest.mark.parametrize(
    ("account", "key", "reason", "whose"),
    [
        (STOP, BOOSTS_ONLY, "spending_stopped", "account"),
        (BOOSTS_ONLY, STOP, "spending_stopped", "key"),
        (ceiling(credits_a_week=1), BOOSTS_ONLY, "credits_switched_off", "key"),
        (BOOSTS_ONLY, ceiling(credits_a_week=1), "credits_switched_off", "account"),
        (ceiling(credits_a_week=9), ceiling(credits_a_week=1), "credit_ceiling_week", "key"),
        (ceiling(credits_a_week=1), ceiling(credits_a_week=9), "credit_ceiling_week", "account"),
        (ceiling(credits_a_week=1), ceiling(credits_a_month=1), "credit_ceiling_month", "key"),
        (ceiling(units_a_request=1), ceiling(units_a_request=9), "request_too_large", "account"),
        (ceiling(units_a_request=9), ceiling(units_a_request=1), "request_too_large", "key"),
    ],
)
async def test_the_stricter_of_account_and_key_counts(
    world: World, account: Spending, key: Spending, reason: str, whose: str
) -> None:
    grant(world, account=account, key=key)
    async with world.gate() as gate:
        decision = await ask(gate, 2)
        assert (decision.reason, decision.answer.chosen_by) == (reason, whose)


async def test_another_key_of_the_account_is_not_held_by_it(world: World) -> None:
    grant(world, key=STOP)
    async with world.gate() as gate:
        assert (await ask(gate)).reason == "spending_stopped"
        world.grant(keys=(world.key_state(version=3),))
        assert await gate.push() == b"stored"
        assert (await ask(gate)).allowed


# --- ceilings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limits",
    [
        {"account": ceiling(credits_a_week=100)},
        {"account": ceiling(credits_a_month=101)},
        {"key": ceiling(credits_a_week=100)},
        {"key": ceiling(credits_a_month=100)},
        {"account": ceiling(credits_a_week=300), "key": ceiling(credits_a_month=100)},
        {"key": ceiling(credits_a_week=300), "account": ceiling(credits_a_month=100)},
    ],
)
async def test_a_thousand_at_once_stop_exactly_at_a_ceiling(
    world: World, limits: dict[str, Spending]
) -> None:
    grant(world, **limits)
    async with world.gate() as gate:
        decisions = await asyncio.gather(*(ask(gate) for _ in range(1_000)))
    assert sum(decision.allowed for decision in decisions) == 50
    assert sum(entry.credits for entry in gate.entries()) == 100
    assert paid(world) == (100, 100)


async def test_a_charge_past_a_ceiling_is_refused_whole_and_changes_nothing(world: World) -> None:
    grant(world, account=ceiling(credits_a_week=10))
    world.grant(used=48, boosts=(boost(2),))
    async with world.gate() as gate:
        await ask(gate, 0)
        before = state_of(world)
        # Two of the allowance, two of boosts, and six for twelve credits.
        assert (await ask(gate, 10)).reason == "credit_ceiling_week"
        assert (await ask(gate, 10, hold_seconds=60)).reason == "credit_ceiling_week"
        assert (state_of(world), gate.entries()) == (before, [])
        assert (await ask(gate, 9)).answer.credits_taken == 10


async def test_a_week_begins_anew_by_the_clock_and_a_month_does_not_with_it(world: World) -> None:
    grant(world, account=ceiling(credits_a_week=4, credits_a_month=6))
    async with world.gate() as gate:
        assert (await ask(gate, 2)).allowed
        decision = await ask(gate)
        assert (decision.reason, decision.resets_at) == (
            "credit_ceiling_week",
            week.ends_at(THAT_WEEK),
        )
        # The new week's own 50, and then one more chat for two credits.
        assert (await ask(gate, 51, at_ms=NEXT_WEEK_MS)).answer.credits_taken == 2
        later = await ask(gate, at_ms=NEXT_WEEK_MS)
        assert later.reason == "credit_ceiling_month"
        assert paid(world) == (2, 6)


async def test_a_month_begins_anew_by_the_clock_in_the_middle_of_a_week(world: World) -> None:
    grant(world, key=ceiling(credits_a_month=6))
    world.grant(week=week.week_of(SILVESTER_MS))
    async with world.gate() as gate:
        assert (await ask(gate, 3, at_ms=SILVESTER_MS)).allowed
        decision = await ask(gate, at_ms=SILVESTER_MS)
        assert decision.reason == "credit_ceiling_month"
        # The month ends before the week does.
        assert decision.resets_at == datetime(2026, 1, 1, tzinfo=UTC)
        assert decision.retry_after == 12 * 3600
        assert not (await ask(gate, at_ms=NEXT_MONTH_MS - 1)).allowed
        assert (await ask(gate, at_ms=NEXT_MONTH_MS)).allowed
        assert paid(world) == (8, 2)


@pytest.mark.parametrize(
    ("limits", "units", "passes"),
    [
        # The allowance of the next week pays, though the month goes on.
        (ceiling(credits_a_month=0), 50, NEXT_WEEK_MS),
        # More than a week has: not before the next month, and never with nothing in that.
        (ceiling(credits_a_month=8), 53, NEXT_MONTH_MS),
        (ceiling(credits_a_month=0), 51, 0),
        (ceiling(credits_a_week=8), 54, NEXT_WEEK_MS),
        (ceiling(credits_a_week=8), 55, 0),
        (STOP, 50, NEXT_WEEK_MS),
        (STOP, 51, 0),
        (BOOSTS_ONLY, 50, NEXT_WEEK_MS),
        (BOOSTS_ONLY, 51, 0),
    ],
)
async def test_when_to_try_again_is_true(
    world: World, limits: Spending, units: int, passes: int
) -> None:
    grant(world, account=limits)
    async with world.gate() as gate:
        if limits.credits_a_month == 8:
            assert (await ask(gate, 2)).allowed
        decision = await ask(gate, units)
        assert (decision.allowed, decision.answer.passes_at_ms) == (False, passes)
        waits = -(-(passes - WEDNESDAY_MS) // 1000) if passes else None
        assert decision.retry_after == waits
        for moment in {NEXT_WEEK_MS, NEXT_MONTH_MS}:
            if moment < passes or not passes:
                assert not (await ask(gate, units, at_ms=moment)).allowed
        if passes:
            assert (await ask(gate, units, at_ms=passes)).allowed


async def test_a_key_cap_that_no_week_ends_says_which_choice_it_is(world: World) -> None:
    grant(world)
    state = world.key_state(version=3, weekly_cap=60, used=60, spending=STOP)
    world.grant(keys=(state,))
    async with world.gate() as gate:
        assert (await ask(gate, 50)).reason == "key_cap_reached"
        decision = await ask(gate, 51)
        assert (decision.reason, decision.retry_after) == ("spending_stopped", None)


async def test_a_request_of_too_many_units_is_refused_whatever_pays(world: World) -> None:
    grant(world, key=ceiling(units_a_request=5))
    world.grant(plan="pro")
    async with world.gate() as gate:
        decision = await ask(gate, 6)
        assert (decision.reason, decision.retry_after) == ("request_too_large", None)
        assert decision.answer.units_a_request == 5
        assert (await ask(gate, 5)).allowed


# --- what is given back -----------------------------------------------------------------------


async def test_a_refund_gives_room_back(world: World) -> None:
    grant(world, account=ceiling(credits_a_week=4), key=ceiling(credits_a_month=4))
    async with world.gate() as gate:
        charge = await ask(gate, 2)
        assert not (await ask(gate)).allowed
        await gate.gate.refund(charge_id=charge.charge_id, at_ms=WEDNESDAY_MS)
        assert paid(world) == (0, 0)
        assert (await ask(gate, 2)).allowed


async def test_a_settlement_gives_the_rest_back_and_a_hold_that_runs_out_all(world: World) -> None:
    grant(world, account=ceiling(credits_a_week=8))
    digest = world.key_state().digest
    async with world.gate() as gate:
        held = await ask(gate, 4, hold_seconds=60)
        assert (await ask(gate)).reason == "credit_ceiling_week"
        await gate.gate.settle(charge_id=held.charge_id, units=1, at_ms=WEDNESDAY_MS)
        assert (paid(world), paid(world, f"c:{digest}")) == ((2, 2), (2, 2))
        await ask(gate, 3, hold_seconds=60)
        assert not (await ask(gate)).allowed
        assert (await ask(gate, 3, at_ms=WEDNESDAY_MS + 60_000)).allowed


async def test_what_comes_back_lowers_no_other_week_and_no_other_month(world: World) -> None:
    grant(world)
    sunday_ms = NEXT_WEEK_MS - HOUR_MS
    async with world.gate() as gate:
        charge = await ask(gate, 2, at_ms=sunday_ms)
        await ask(gate, 51, at_ms=NEXT_WEEK_MS)
        assert paid(world) == (2, 6)
        await gate.gate.refund(charge_id=charge.charge_id, at_ms=NEXT_WEEK_MS)
        assert paid(world) == (2, 2)


async def test_what_comes_back_after_a_month_has_ended_lowers_only_the_week(world: World) -> None:
    grant(world)
    world.grant(week=week.week_of(SILVESTER_MS))
    async with world.gate() as gate:
        charge = await ask(gate, 2, at_ms=SILVESTER_MS)
        await ask(gate, 1, at_ms=NEXT_MONTH_MS)
        assert paid(world) == (6, 2)
        await gate.gate.refund(charge_id=charge.charge_id, at_ms=NEXT_MONTH_MS)
        assert paid(world) == (2, 2)


async def test_a_repeated_request_id_and_a_repeated_refund_count_once(world: World) -> None:
    grant(world, account=ceiling(credits_a_week=4))
    async with world.gate() as gate:
        first = await ask(gate, 2, request_id="once")
        again = await ask(gate, 2, request_id="once")
        assert again.answer == first.answer
        await gate.gate.refund(charge_id=first.charge_id, at_ms=WEDNESDAY_MS)
        await gate.gate.refund(charge_id=first.charge_id, at_ms=WEDNESDAY_MS)
        assert paid(world) == (0, 0)


# --- what is told -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "boost_open", "credits_open", "chats"),
    [
        (Spending(), 3, 1_000, 503),
        (STOP, 0, 0, 0),
        (BOOSTS_ONLY, 3, 0, 3),
        (ceiling(credits_a_week=9), 3, 9, 7),
        (ceiling(credits_a_week=9, credits_a_month=5), 3, 5, 5),
    ],
)
async def test_a_look_promises_what_a_charge_keeps(
    world: World, limits: Spending, boost_open: int, credits_open: int, chats: int
) -> None:
    grant(world, account=limits)
    world.grant(boosts=(boost(3),))
    async with world.gate() as gate:
        answer = (await ask(gate, 0)).answer
        assert (answer.boost_open, answer.credits_open) == (boost_open, credits_open)
        assert answer.chats_left == chats
        assert not (await ask(gate, chats + 1)).allowed
        if chats:
            assert (await ask(gate, chats)).answer.chats_left == 0


async def test_what_is_owed_is_told_whatever_is_chosen(world: World) -> None:
    grant(world, account=STOP)
    world.grant(credits=-7)
    async with world.gate() as gate:
        assert (await ask(gate, 0)).answer.credits_open == -7


# --- what PostgreSQL brings -------------------------------------------------------------------


async def test_a_choice_counts_with_its_push_and_spends_nothing_anew(world: World) -> None:
    grant(world)
    async with world.gate() as gate:
        assert (await ask(gate, 2)).allowed
        world.grant(spending=ceiling(credits_a_week=4))
        await gate.push()
        # What was spent before the ceiling was there counts, too.
        assert (await ask(gate)).reason == "credit_ceiling_week"
        world.grant(spending=Spending())
        await gate.push()
        assert (await ask(gate)).allowed


@pytest.mark.parametrize("whose", ["account", "key"])
async def test_a_cold_account_knows_what_it_had_spent(world: World, whose: str) -> None:
    grant(world, **{whose: ceiling(credits_a_week=20, credits_a_month=30)})
    spent = Paid(in_week=18, in_month=30)
    (key,) = world.snapshot.keys
    if whose == "key":
        world.grant(keys=(replace(key, paid=spent),))
    else:
        world.grant(paid=spent)
    async with world.gate() as gate:
        assert (await ask(gate)).reason == "credit_ceiling_month"
        assert (await ask(gate, 51, at_ms=NEXT_WEEK_MS)).reason == "credit_ceiling_month"


async def test_a_key_says_itself_what_it_may_spend(world: World) -> None:
    grant(world)
    async with world.gate() as gate:
        assert (await ask(gate)).allowed
        for version, spending, allowed in ((3, STOP, False), (4, Spending(), True)):
            state = world.key_state(version=version, spending=spending)
            await gate.client.run(snapshots.put_key_call(world.handle, state))
            assert (await ask(gate)).allowed == allowed
        # Nothing is kept for a key that has no choice: its charges are plain again.
        assert f"p:{world.key_state().digest}".encode() not in state_of(world)
        late = world.key_state(version=3, spending=STOP)
        await gate.client.run(snapshots.put_key_call(world.handle, late))
        assert (await ask(gate)).allowed


async def test_a_release_before_that_loads_the_account_is_put_right_by_the_next_push(
    world: World,
) -> None:
    grant(world, key=STOP)
    name = hot_state.keys_of(world.handle).account
    async with world.gate() as gate:
        assert not (await ask(gate)).allowed
        # Its cold load leaves nothing of what it does not know.
        client = sync_client(settings.REDIS_URL)
        client.hdel(name, "spending", "paid", f"p:{world.key_state().digest}")
        assert (await ask(gate)).allowed
        await gate.push()
        assert not (await ask(gate)).allowed


def test_a_key_that_has_chosen_reads_the_same_for_a_release_before(world: World) -> None:
    chosen = world.key_state(spending=STOP)
    assert chosen.record == world.key_state().record


# --- months -----------------------------------------------------------------------------------


async def test_lua_and_python_mean_the_same_month(world: World) -> None:
    """Of four centuries: where each month begins, and the moment before."""
    script = hot_state.script("extend").text
    head = script[: script.index("-- extend:")]
    lua = head + "local found = {} for _, ms in ipairs(ARGV) do local m = month_of(tonumber(ms)) "
    lua += "found[#found + 1] = string.format('%.0f %.0f', m, month_ends(m)) end return found"
    client = sync_client(settings.REDIS_URL)
    moments = [
        week.to_ms(datetime(year, number, 1, tzinfo=UTC) - timedelta(milliseconds=early))
        for year in range(1970, 2370)
        for number in range(1, 13)
        for early in (0, 1)
        if (year, number) != (1970, 1)
    ]
    found: Any = client.eval(lua, 0, *moments)
    for ms, said in zip(moments, found, strict=True):
        number = month.month_of(ms)
        assert said.decode() == f"{number} {week.to_ms(month.ends_at(number))}", ms


# --- over HTTP --------------------------------------------------------------------------------


def refused(service: QuotaService, reason: str, whose: str) -> int:
    """Let the account stand where a request of so many units is refused for a reason."""
    limits = {
        "spending_stopped": STOP,
        "credits_switched_off": BOOSTS_ONLY,
        "credit_ceiling_week": ceiling(credits_a_week=1),
        "credit_ceiling_month": ceiling(credits_a_month=1),
        "request_too_large": ceiling(units_a_request=1),
    }[reason]
    world = service.world
    state = world.key_state(version=2, spending=limits if whose == "key" else Spending())
    world.grant(
        spending=limits if whose == "account" else Spending(),
        keys=(state,),
        week=week.week_of(now_ms()),
        month=month.month_of(now_ms()),
        used=50,
        credits=1_000,
    )
    return 2


@pytest.mark.parametrize("whose", ["account", "key"])
@pytest.mark.parametrize("reason", CHOSEN_REASONS)
def test_each_is_told_over_both_faces_with_its_switch(
    service: QuotaService, reason: str, whose: str
) -> None:
    units = refused(service, reason, whose)
    said = service.check(units=units).json()
    assert (said["allowed"], said["reason"]) == (False, reason)
    service.trust(units=True)
    answer = service.authorize(("X-Quota-Units", str(units)))
    status = 403 if reason == "request_too_large" else 429
    body = assert_problem(answer, status, reason)
    assert body["spending_url"] == URLS[whose]
    assert f"“Spending” of this {whose}" in body["detail"]
    assert URLS[whose] in body["detail"]
    assert answer.headers["x-quota-reason"] == reason
    if reason == "request_too_large":
        assert "retry-after" not in answer.headers
    else:
        waits = int(answer.headers["retry-after"])
        ends = datetime.fromisoformat(body["resets_at"])
        assert abs((ends - datetime.now(UTC)).total_seconds() - waits) < 30
        assert said["resets_at"] == body["resets_at"]
    assert ("billing_url" in body) == (reason not in {"spending_stopped", "request_too_large"})


def test_what_no_waiting_ends_says_so_and_names_no_moment(service: QuotaService) -> None:
    refused(service, "spending_stopped", "account")
    service.trust(units=True)
    answer = service.authorize(("X-Quota-Units", "51"))
    body = assert_problem(answer, 429, "spending_stopped")
    assert "waiting does not help" in body["detail"]
    assert "resets_at" not in body
    assert "retry-after" not in answer.headers


def test_a_batch_is_decided_one_by_one(service: QuotaService) -> None:
    refused(service, "credit_ceiling_week", "account")
    service.world.grant(spending=ceiling(credits_a_week=4))
    checks = [{"key": service.world.key, "units": units} for units in (3, 2, 1)]
    answer = service.post("check/batch", {"checks": checks})
    decisions = answer.json()["decisions"]
    assert [one["reason"] for one in decisions] == [
        "credit_ceiling_week",
        "ok",
        "credit_ceiling_week",
    ]
    assert decisions[-1]["remaining"]["credits"] == 0
