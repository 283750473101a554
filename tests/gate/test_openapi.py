"""The OpenAPI document: it is valid, and it is true to the code."""

import re
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

import gate
from gate.service import checking
from gate.service.http import Problem
from gate.service.openapi import DOCUMENT
from gate.terms.reasons import MEANINGS
from gate.terms.spending import PastAllowance, Spending
from tests.gate.quota_service import QuotaService, assert_problem

SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
SOURCES = {path.name: path.read_text("utf-8") for path in Path(gate.__path__[0]).rglob("*.py")}
PYTHON = "\n".join(text for name, text in SOURCES.items() if name != "openapi.py")


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_anybody_may_read_the_document(service: QuotaService) -> None:
    answer = service.request("GET", "/quota/v1/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == DOCUMENT
    refused = service.request("POST", "/quota/v1/openapi.json")
    assert_problem(refused, 405, "method_not_allowed")
    assert refused.headers["allow"] == "GET"


def test_every_code_is_in_the_document() -> None:
    literal = set(re.findall(r'Problem\(\s*\d{3},\s*"(\w+)"', PYTHON))
    # These are decided by a reason.
    by_reason = {"hold_expired", "settled_otherwise"}
    by_reason |= {meaning.code for meaning in MEANINGS.values() if meaning.status != 200}
    assert len(literal) > 5
    assert set(SCHEMAS["Problem"]["properties"]["code"]["enum"]) == literal | by_reason


def test_every_address_is_in_the_document() -> None:
    handled = set(re.findall(r'"(/quota/v1/[\w/]+)"', SOURCES["service.py"]))
    assert handled == set(DOCUMENT["paths"])


def test_every_member_of_an_answer_is_in_the_document(service: QuotaService) -> None:
    decision = service.check(hold_seconds=60).json()
    assert decision.keys() == SCHEMAS["Decision"]["properties"].keys()
    charge_id = decision["charge_id"]
    settled = service.post("settle", {"charge_id": charge_id, "units": 1}).json()
    assert settled.keys() == SCHEMAS["Settled"]["properties"].keys()
    extended = {"charge_id": service.check(hold_seconds=60).json()["charge_id"]}
    extended = service.post("extend", {**extended, "hold_seconds": 60}).json()
    assert extended.keys() == SCHEMAS["Extended"]["properties"].keys()
    refunded = service.post("refund", {"charge_id": charge_id}).json()
    assert refunded.keys() == SCHEMAS["Refunded"]["properties"].keys()


def test_every_member_of_a_problem_is_in_the_document(service: QuotaService) -> None:
    service.use_up()
    members = service.authorize().json().keys() | service.check(units=-1).json().keys()
    stop = Spending(past_allowance=PastAllowance.NOTHING)
    service.world.grant(spending=stop)
    service.push()
    members |= service.authorize().json().keys()
    assert members == SCHEMAS["Problem"]["properties"].keys()


def _read(schema: str, body: dict[str, Any]) -> bool:
    read: Any = {
        "Check": checking.read_check,
        "Settle": checking.read_settlement,
        "Extend": checking.read_extension,
        "Refund": checking.read_refund,
    }[schema]
    try:
        read(body)
    except Problem:
        return False
    return True


GOOD: dict[str, dict[str, Any]] = {
    "Check": {"key": "k", "meter": "m", "units": 1, "request_id": "r", "hold_seconds": 0},
    "Settle": {"charge_id": "c", "units": 1},
    "Extend": {"charge_id": "c", "hold_seconds": 1},
    "Refund": {"charge_id": "c"},
}


def _bounds(schema: dict[str, Any]) -> dict[str, Any]:
    """What bounds a member; one that may be null has them in an alternative."""
    alternatives = [schema, *schema.get("anyOf", [])]
    return next((one for one in alternatives if one.keys() & {"maximum", "maxLength"}), {})


MEMBERS = [
    (name, member)
    for name in GOOD
    for member, schema in SCHEMAS[name]["properties"].items()
    if _bounds(schema)
]


def test_every_bound_is_tried() -> None:
    members = {"Check": {"key", "meter", "units", "request_id", "hold_seconds", "tag", "model"}}
    members |= {"Settle": {"charge_id", "units", "model", "tokens_in", "tokens_out"}}
    members |= {"Extend": {"charge_id", "hold_seconds"}, "Refund": {"charge_id"}}
    assert set(MEMBERS) == {(name, one) for name, some in members.items() for one in some}


@pytest.mark.parametrize(("name", "member"), MEMBERS)
def test_bounds_are_those_of_the_code(name: str, member: str) -> None:
    schema = _bounds(SCHEMAS[name]["properties"][member])
    if "maximum" in schema:
        inside = [schema["minimum"], schema["maximum"]]
        outside: list[Any] = [schema["minimum"] - 1, schema["maximum"] + 1]
    else:
        inside = ["x" * schema["minLength"], "x" * schema["maxLength"]]
        outside = ["x" * (schema["minLength"] - 1), "x" * (schema["maxLength"] + 1)]
    for value in inside:
        assert _read(name, {**GOOD[name], member: value})
    for value in outside:
        assert not _read(name, {**GOOD[name], member: value})


@pytest.mark.parametrize("name", GOOD)
def test_required_members_are_those_of_the_code(name: str) -> None:
    required = set(SCHEMAS[name]["required"])
    for member in GOOD[name]:
        without = {other: value for other, value in GOOD[name].items() if other != member}
        assert _read(name, without) is (member not in required)


def test_the_size_of_a_batch_is_that_of_the_code() -> None:
    schema = SCHEMAS["Batch"]["properties"]["checks"]
    for size, fits in (
        (schema["minItems"] - 1, False),
        (schema["minItems"], True),
        (schema["maxItems"], True),
        (schema["maxItems"] + 1, False),
    ):
        try:
            checking.read_batch({"checks": [{}] * size})
        except Problem:
            assert not fits
        else:
            assert fits


def test_defaults_are_those_of_the_code() -> None:
    read = checking.read_check({"key": "k"})
    for member, schema in SCHEMAS["Check"]["properties"].items():
        if "default" in schema:
            assert getattr(read, member) == schema["default"]
