"""Holds, settlements and refunds as callers of the service see them."""

import time
from dataclasses import replace
from typing import Any

import pytest

from gate.decision import receipt
from gate.store import hot_state
from tests.gate.quota_service import QuotaService, assert_problem
from tests.gate.world import PEPPER, now_ms


def _hold(service: QuotaService, units: int = 10, **more: Any) -> str:
    answer = service.check(units=units, hold_seconds=600, **more)
    charge_id: str = answer.json()["charge_id"]
    return charge_id


def _settle(service: QuotaService, charge_id: str, units: int) -> dict[str, Any]:
    answer = service.post("settle", {"charge_id": charge_id, "units": units})
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


def _refund(service: QuotaService, charge_id: str) -> dict[str, Any]:
    answer = service.post("refund", {"charge_id": charge_id})
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


def _three_sources(service: QuotaService) -> None:
    service.use_up(47)
    service.world.grant(boosts=(service.boost(1, 2),), credits=100)


def test_a_hold_counts_until_it_is_settled(service: QuotaService) -> None:
    _three_sources(service)
    charge_id = _hold(service)
    assert service.remaining == {"allowance": 0, "boost": 0, "credits": 90}
    assert _settle(service, charge_id, 4) == {
        "settled": True,
        "already": False,
        "kept": {"allowance": 3, "boost": 1, "credits": 0},
    }
    assert service.remaining == {"allowance": 0, "boost": 1, "credits": 100}


@pytest.mark.parametrize("units", [0, 1, 10])
def test_a_settlement_can_be_repeated(service: QuotaService, units: int) -> None:
    charge_id = _hold(service)
    first = _settle(service, charge_id, units)
    again = _settle(service, charge_id, units)
    assert again == {**first, "already": True}
    assert service.remaining["allowance"] == 50 - units


def test_a_hold_is_settled_one_way(service: QuotaService) -> None:
    charge_id = _hold(service)
    _settle(service, charge_id, 4)
    answer = service.post("settle", {"charge_id": charge_id, "units": 5})
    assert_problem(answer, 409, "settled_otherwise")
    assert service.remaining["allowance"] == 46


def test_more_than_was_held_cannot_be_kept(service: QuotaService) -> None:
    charge_id = _hold(service)
    answer = service.post("settle", {"charge_id": charge_id, "units": 11})
    assert_problem(answer, 400, "invalid_request", "units")
    assert _settle(service, charge_id, 10)["kept"]["allowance"] == 10


def test_units_of_a_meter_are_settled_at_its_cost(service: QuotaService) -> None:
    charge_id = _hold(service, 3, meter="images")
    assert service.remaining["allowance"] == 38
    assert _settle(service, charge_id, 1)["kept"]["allowance"] == 4
    assert service.remaining["allowance"] == 46


@pytest.mark.slow
def test_a_hold_that_ran_out_is_released_and_cannot_be_settled(service: QuotaService) -> None:
    charge_id = service.check(units=10, hold_seconds=3).json()["charge_id"]
    assert service.remaining["allowance"] == 40
    time.sleep(3.1)
    answer = service.post("settle", {"charge_id": charge_id, "units": 10})
    assert_problem(answer, 409, "hold_expired")
    assert service.remaining["allowance"] == 50
    assert _refund(service, charge_id)["returned"] == {"allowance": 0, "boost": 0, "credits": 0}
    assert service.remaining["allowance"] == 50


def test_a_refunded_hold_gives_everything_back_once(service: QuotaService) -> None:
    _three_sources(service)
    charge_id = _hold(service)
    returned = {"allowance": 3, "boost": 2, "credits": 10}
    assert _refund(service, charge_id) == {
        "refunded": True,
        "already": False,
        "returned": returned,
    }
    assert _refund(service, charge_id)["already"]
    assert service.remaining == {"allowance": 3, "boost": 2, "credits": 100}
    answer = service.post("settle", {"charge_id": charge_id, "units": 1})
    assert_problem(answer, 409, "settled_otherwise")


def test_a_settled_hold_gives_back_what_was_kept(service: QuotaService) -> None:
    charge_id = _hold(service)
    _settle(service, charge_id, 4)
    assert _refund(service, charge_id)["returned"]["allowance"] == 4
    again = _refund(service, charge_id)
    assert (again["already"], again["returned"]["allowance"]) == (True, 4)
    assert service.remaining["allowance"] == 50


def test_a_refund_gives_back_what_was_taken_once(service: QuotaService) -> None:
    _three_sources(service)
    charge_id = service.check(units=10).json()["charge_id"]
    first = _refund(service, charge_id)
    assert first["returned"] == {"allowance": 3, "boost": 2, "credits": 10}
    assert _refund(service, charge_id) == {**first, "already": True}
    assert service.remaining == {"allowance": 3, "boost": 2, "credits": 100}


def test_a_held_request_id_comes_again_as_the_same_hold(service: QuotaService) -> None:
    charge_ids = {_hold(service, request_id="order 1") for _ in range(3)}
    assert len(charge_ids) == 1
    assert service.remaining["allowance"] == 40


def test_a_charge_is_nothing_to_settle(service: QuotaService) -> None:
    charge_id = service.check().json()["charge_id"]
    answer = service.post("settle", {"charge_id": charge_id, "units": 1})
    assert_problem(answer, 400, "invalid_request", "charge_id")
    assert service.remaining["allowance"] == 49


def test_a_charge_can_be_given_back_for_a_day(service: QuotaService) -> None:
    paid = receipt.from_charge_id(service.check().json()["charge_id"], [PEPPER])
    long_ago = replace(paid, at_ms=now_ms() - hot_state.REFUND_WINDOW_MS - 1_000)
    charge_id = receipt.to_charge_id(long_ago, PEPPER)
    problem = assert_problem(
        service.post("refund", {"charge_id": charge_id}), 400, "invalid_request", "charge_id"
    )
    assert "24 hours" in problem["detail"]


def _foreign_charge_ids(charge_id: str) -> list[Any]:
    flipped = "A" if charge_id[-5] != "A" else "B"
    return [
        "",
        "ch_",
        "ch_A",
        "ch_AAAA",
        "ch_" + "A" * 200,
        charge_id[:-1],
        charge_id[3:],
        charge_id[:-5] + flipped + charge_id[-4:],
        charge_id[:3] + ("A" if charge_id[3] != "A" else "B") + charge_id[4:],
        charge_id.upper(),
        "ch_é",
        "c" * 2_049,
        7,
        True,
        None,
        [charge_id],
    ]


@pytest.mark.parametrize("at", range(16))
def test_a_charge_id_of_somebody_else_is_400(service: QuotaService, at: int) -> None:
    charge_id = service.check().json()["charge_id"]
    foreign = _foreign_charge_ids(charge_id)[at]
    refund = service.post("refund", {"charge_id": foreign})
    assert_problem(refund, 400, "invalid_request", "charge_id")
    settle = service.post("settle", {"charge_id": foreign, "units": 1})
    assert_problem(settle, 400, "invalid_request", "charge_id")
    assert service.remaining["allowance"] == 49


BAD_UNITS = [-1, 10_001, 2**63, True, 1.0, "1", None, [], {}]


@pytest.mark.parametrize("units", BAD_UNITS)
def test_units_to_keep_are_a_whole_number(service: QuotaService, units: Any) -> None:
    answer = service.post("settle", {"charge_id": _hold(service), "units": units})
    assert_problem(answer, 400, "invalid_request", "units")


@pytest.mark.parametrize("path", ["settle", "refund"])
def test_missing_and_unknown_members_are_named(service: QuotaService, path: str) -> None:
    assert_problem(service.post(path, {"units": 1}), 400, "invalid_request", "charge_id")
    body = {"charge_id": _hold(service), "units": 1, "force": True}
    field = "force" if path == "settle" else "units"
    assert_problem(service.post(path, body), 400, "invalid_request", field)


def test_an_account_has_a_thousand_holds_at_most(service: QuotaService) -> None:
    service.world.grant(plan="pro")
    check = {"key": service.world.key, "hold_seconds": 600}
    for _ in range(10):
        answer = service.post("check/batch", {"checks": [check] * 100})
        assert all(decision["allowed"] for decision in answer.json()["decisions"])
    assert_problem(service.check(hold_seconds=600), 409, "too_many_holds", "hold_seconds")
    # What is not held still passes.
    assert service.check().json()["allowed"]


def test_a_hold_is_extended_while_its_answer_takes_long(service: QuotaService) -> None:
    charge_id = _hold(service)
    answer = service.post("extend", {"charge_id": charge_id, "hold_seconds": 900})
    assert (answer.status_code, answer.json()) == (200, {"extended": True})
    _settle(service, charge_id, 1)
    over = service.post("extend", {"charge_id": charge_id, "hold_seconds": 900})
    assert_problem(over, 409, "hold_expired")


def test_a_settlement_says_what_it_took_of_a_model(service: QuotaService) -> None:
    body = {"charge_id": _hold(service), "units": 1, "model": "gpt-x/7b:q4", "tokens_in": 3}
    assert service.post("settle", body).status_code == 200


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"model": "a|b"}, "model"),
        ({"model": ""}, "model"),
        ({"model": "m" * 129}, "model"),
        ({"model": "m", "tokens_in": -1}, "tokens_in"),
        ({"model": "m", "tokens_out": 1_000_000_001}, "tokens_out"),
        ({"model": "m", "tokens_out": 1.5}, "tokens_out"),
        ({"tokens": 5}, "tokens"),
    ],
)
def test_wrong_tokens_settle_nothing(
    service: QuotaService, more: dict[str, Any], field: str
) -> None:
    charge_id = _hold(service)
    answer = service.post("settle", {"charge_id": charge_id, "units": 1, **more})
    assert_problem(answer, 400, "invalid_request", field=field)
    assert _settle(service, charge_id, 1)["already"] is False
