"""POST /quota/v1/check/batch: independent decisions in one call."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from gate.terms import key_text
from tests.gate.quota_service import QuotaService, assert_problem


def _decide(service: QuotaService, checks: list[Any]) -> list[dict[str, Any]]:
    answer = service.post("check/batch", {"checks": checks})
    assert answer.status_code == 200
    decisions: list[dict[str, Any]] = answer.json()["decisions"]
    assert len(decisions) == len(checks)
    return decisions


def test_decisions_come_in_the_order_of_the_checks(service: QuotaService) -> None:
    key = service.world.key
    decisions = _decide(
        service,
        [{"key": key, "units": 3}, {"key": "noise"}, {"key": key, "meter": "images"}],
    )
    assert decisions[0]["paid_by"]["allowance"] == 3
    assert decisions[1] == {"allowed": False, "reason": "invalid_key"}
    assert decisions[2]["paid_by"]["allowance"] == 4
    assert service.remaining["allowance"] == 43


def test_a_batch_takes_exactly_what_is_there(service: QuotaService) -> None:
    decisions = _decide(service, [{"key": service.world.key}] * 100)
    assert sum(decision["allowed"] for decision in decisions) == 50
    assert {d["reason"] for d in decisions if not d["allowed"]} == {"quota_exhausted"}
    assert len({d["charge_id"] for d in decisions if d["allowed"]}) == 50


@pytest.mark.parametrize(
    ("bad", "status", "code", "field"),
    [
        ({}, 400, "invalid_request", "key"),
        ({"units": -1}, 400, "invalid_request", "units"),
        ({"units": 10**400}, 400, "invalid_request", "units"),
        ({"meter": "nonsense"}, 400, "invalid_request", "meter"),
        ({"ip": "nowhere"}, 400, "invalid_request", "ip"),
        ({"nonsense": 1}, 400, "invalid_request", "nonsense"),
        ({"request_id": "order 1", "units": 2}, 409, "request_id_conflict", "request_id"),
    ],
)
def test_what_is_wrong_with_one_check_is_its_own_business(
    service: QuotaService, bad: dict[str, Any], status: int, code: str, field: str
) -> None:
    good = {"key": service.world.key}
    service.check(request_id="order 1")
    bad = bad if field == "key" else good | bad
    before, problem, after = _decide(service, [good, bad, good])
    assert before["allowed"]
    assert after["allowed"]
    assert problem.keys() == {"problem"}
    assert problem["problem"]["status"] == status
    assert (problem["problem"]["code"], problem["problem"]["field"]) == (code, field)
    assert service.remaining["allowance"] == 47


def test_the_same_request_id_is_charged_once_in_a_batch(service: QuotaService) -> None:
    decisions = _decide(service, [{"key": service.world.key, "request_id": "order 1"}] * 20)
    assert len({decision["charge_id"] for decision in decisions}) == 1
    assert service.remaining["allowance"] == 49


def test_an_account_that_cannot_be_loaded_holds_up_no_other(
    service: QuotaService, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_accounts = service.world.load_accounts
    other = key_text.new_handle()

    async def half_broken(handles: Sequence[str]) -> Any:
        found = dict(await load_accounts(handles))
        # Of an epoch that has ended, whenever it is read.
        return found | {other: replace(found[service.world.handle], handle=other, epoch=0)}

    monkeypatch.setattr(service.world, "load_accounts", half_broken)
    checks = [{"key": key_text.new_api_key(other)}, {"key": service.world.key}]
    broken, fine = _decide(service, checks)
    assert fine["allowed"]
    assert (broken["problem"]["status"], broken["problem"]["code"]) == (503, "quota_unavailable")


def test_accounts_that_are_cold_are_loaded_together(service: QuotaService) -> None:
    unknown = [{"key": key_text.new_api_key(key_text.new_handle())} for _ in range(50)]
    decisions = _decide(service, [*unknown, {"key": service.world.key}])
    assert [decision["reason"] for decision in decisions] == ["invalid_key"] * 50 + ["ok"]
    assert service.world.account_loads <= 4


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "checks"),
        ({"checks": None}, "checks"),
        ({"checks": []}, "checks"),
        ({"checks": {}}, "checks"),
        ({"checks": "key"}, "checks"),
        ({"checks": [{}] * 101}, "checks"),
        ({"checks": [{}, 1]}, "checks[1]"),
        ({"checks": [None]}, "checks[0]"),
        ({"checks": [[]]}, "checks[0]"),
        ({"checks": [{}], "units": 1}, "units"),
    ],
)
def test_what_is_no_batch_is_400(service: QuotaService, body: dict[str, Any], field: str) -> None:
    assert_problem(service.post("check/batch", body), 400, "invalid_request", field)


def test_a_hundred_of_the_largest_checks_fit(service: QuotaService) -> None:
    service.world.grant(plan="pro")
    largest = {
        "key": service.world.key,
        "meter": "images",
        "units": 10_000,
        "request_id": "r" * 128,
        "ip": "0123:4567:89ab:cdef:0123:4567:89ab:cdef",
        "hold_seconds": 86_400,
    }
    decisions = _decide(service, [{**largest, "request_id": f"{at:0128}"} for at in range(100)])
    assert all(decision["allowed"] for decision in decisions)
