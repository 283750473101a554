"""Requests a minute and at the same time, as both faces of the quota check tell it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gate.terms.pace import Pace
from tests.gate.quota_service import QuotaService, assert_problem


def pace(service: QuotaService, whose: str, limits: Pace) -> None:
    world = service.world
    state = world.key_state(version=2, pace=limits if whose == "key" else Pace())
    world.grant(keys=(state,))
    if whose == "account":
        world.catalogue = replace(world.catalogue, paces={"free": limits})


@pytest.mark.parametrize("whose", ["account", "key"])
def test_a_full_minute_is_429_with_its_reason_and_its_end(
    service: QuotaService, whose: str
) -> None:
    pace(service, whose, Pace(a_minute=2))
    passed = service.authorize()
    assert passed.headers["ratelimit-policy"] == '"week";q=50;w=604800, "minute";q=2;w=60'
    week, minute = passed.headers["ratelimit"].split(", ")
    assert week.startswith('"week";r=49;t=')
    assert minute in {'"minute";r=1;t=61', '"minute";r=1;t=60'}
    assert service.check().json()["allowed"]
    answer = service.authorize()
    body = assert_problem(answer, 429, "rate_limited")
    assert answer.headers["x-quota-reason"] == "rate_limited"
    waits = int(answer.headers["retry-after"])
    assert 0 < waits <= 61
    assert f"This {whose} may make 2 requests a minute" in body["detail"]
    assert body["detail"].endswith(f"Try again in {waits} seconds.")
    ends = datetime.fromisoformat(body["resets_at"])
    assert abs((ends - datetime.now(UTC)).total_seconds() - waits) < 5
    assert "billing_url" not in body
    assert "spending_url" not in body
    assert answer.headers["ratelimit"].endswith(f'"minute";r=0;t={waits}')
    said = service.check().json()
    assert (said["allowed"], said["reason"]) == (False, "rate_limited")
    assert 0 < said["retry_after"] <= 61
    assert said["remaining"]["allowance"] == 48


@pytest.mark.parametrize("whose", ["account", "key"])
def test_too_many_at_once_is_429_with_its_reason(service: QuotaService, whose: str) -> None:
    pace(service, whose, Pace(at_once=1))
    held = service.check(hold_seconds=60).json()
    said = service.check(hold_seconds=60).json()
    assert (said["reason"], said["retry_after"]) == ("too_many_at_once", 1)
    # What holds nothing is over at once.
    assert service.authorize().status_code == 200
    service.post("settle", {"charge_id": held["charge_id"], "units": 1})
    assert service.check(hold_seconds=60).json()["allowed"]


def test_an_unlimited_week_tells_of_the_minute_alone(service: QuotaService) -> None:
    pace(service, "key", Pace(a_minute=600))
    service.world.grant(plan="pro")
    answer = service.authorize()
    assert answer.headers["ratelimit-policy"] == '"minute";q=600;w=60'
    assert answer.headers["ratelimit"].startswith('"minute";r=599;t=6')
    assert "x-ratelimit-limit" not in answer.headers


def test_a_batch_counts_each_of_its_checks(service: QuotaService) -> None:
    pace(service, "key", Pace(a_minute=2))
    checks = [{"key": service.world.key, "units": units} for units in (1, 0, 3, 1, 0)]
    decisions = service.post("check/batch", {"checks": checks}).json()["decisions"]
    assert [one["reason"] for one in decisions] == ["ok", "ok", "ok", "rate_limited", "ok"]
