"""POST /quota/v1/…: what is no question is 400, 413 or 415, and is named."""

from typing import Any

import pytest

from tests.gate.quota_service import QuotaService, assert_problem

NUMBERS: list[Any] = [-1, 10_001, 2**63, 10**400, True, False, 1.0, 1.5, "1", "", [], {}, [1]]
KEYS: list[Any] = ["", "k" * 257, 7, True, None, [], {}]
METERS: list[Any] = ["", "m" * 257, 7, True, [], {}, "nonsense", "CHAT"]
REQUEST_IDS: list[Any] = ["", "r" * 129, 7, True, [], {}, "é", "a\nb", "a\n", "\x7f"]
ADDRESSES: list[Any] = ["", "192.0.2", "192.0.2.256", "192.0.2.1/32", "192.0.2.01", "::g", "1:2"]
NO_ADDRESSES: list[Any] = [3221225985, True, [], {}, "localhost", "x" * 999]
BAD_MEMBERS: list[tuple[str, Any]] = [
    *(("units", value) for value in NUMBERS),
    *(("hold_seconds", 86_401 if value == 10_001 else value) for value in NUMBERS),
    *(("key", value) for value in KEYS),
    *(("meter", value) for value in METERS),
    *(("request_id", value) for value in REQUEST_IDS),
    *(("ip", value) for value in ADDRESSES + NO_ADDRESSES),
    ("account", "Abcdefgh"),
    ("", 1),
    ("Key", "x"),
]


@pytest.mark.parametrize(("member", "value"), BAD_MEMBERS)
def test_a_bad_member_is_400_and_is_named(service: QuotaService, member: str, value: Any) -> None:
    answer = service.check(**{member: value})
    assert_problem(answer, 400, "invalid_request", member)
    assert service.remaining["allowance"] == 50


SENTENCES: list[tuple[dict[str, Any], str]] = [
    ({"key": None}, "“key” is missing."),
    ({"key": 7}, "“key” must be a text of 1 to 256 characters."),
    ({"meter": ""}, "“meter” must be a text of 1 to 256 characters."),
    ({"units": 10_001}, "“units” must be a whole number from 0 to 10,000."),
    ({"hold_seconds": 0.5}, "“hold_seconds” must be a whole number from 0 to 86,400."),
    ({"request_id": "é"}, "“request_id” must be 1 to 128 printable characters."),
    ({"ip": 7}, "“ip” must be one IPv4 or IPv6 address; it may have a port or a zone."),
    ({"ip": "::g"}, "“ip” must be one IPv4 or IPv6 address; it may have a port or a zone."),
    ({"units": -1, "hold_seconds": -1}, "“units” must be a whole number from 0 to 10,000."),
    ({"account": "a", "Key": "k"}, "There is no member “account” here."),
]


@pytest.mark.parametrize(("members", "sentence"), SENTENCES)
def test_people_are_told_what_a_member_must_be(
    service: QuotaService, members: dict[str, Any], sentence: str
) -> None:
    assert service.check(**members).json()["detail"] == sentence


@pytest.mark.parametrize(
    ("checks", "sentence"),
    [
        (None, "“checks” is missing."),
        ({}, "“checks” must be a list of 1 to 100 checks."),
        ([], "“checks” must be a list of 1 to 100 checks."),
        ([{}, 7], "“checks[1]” must be an object."),
    ],
)
def test_people_are_told_what_a_batch_must_be(
    service: QuotaService, checks: Any, sentence: str
) -> None:
    assert service.post("check/batch", {"checks": checks}).json()["detail"] == sentence


def test_members_that_may_be_null(service: QuotaService) -> None:
    assert service.check(request_id=None, ip=None).json()["allowed"]


def test_bounds_are_inside(service: QuotaService) -> None:
    service.world.grant(plan="pro")
    body = service.check(units=10_000, hold_seconds=86_400, request_id="r" * 128, ip="::1").json()
    assert body["paid_by"]["allowance"] == 10_000


def test_a_hold_of_nothing_is_refused(service: QuotaService) -> None:
    assert_problem(service.check(units=0, hold_seconds=5), 400, "invalid_request", "hold_seconds")


@pytest.mark.parametrize("path", ["check", "settle", "refund", "check/batch"])
@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"null", "body"),
        (b"[]", "body"),
        (b'"key"', "body"),
        (b"7", "body"),
        (b"\xff", "body"),
        (b"\x00", "body"),
        (b"[" * 10_000, "body"),
        (b'{"units": NaN}', "body"),
        (b'{"units": Infinity}', "body"),
        (b'{"units": -Infinity}', "body"),
        (b'{"units": 1' + b"0" * 5_000 + b"}", "body"),
        (b'{"units": 1} {}', "body"),
        (b"{'units': 1}", "body"),
        (b'{"units": 1, "units": 1}', "units"),
        (b'{"x": [{"key": 1, "key": 2}]}', "key"),
        (b'{"key": "\\ud800"}', "body"),
        (b'{"\\udc00": 1}', "body"),
        (b"\xef\xbb\xbf{}", "body"),
    ],
)
def test_what_is_no_json_object_is_400(
    service: QuotaService, path: str, raw: bytes, field: str
) -> None:
    assert_problem(service.post(path, raw), 400, "invalid_request", field)


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "multipart/form-data"],
)
def test_another_content_type_is_415(service: QuotaService, content_type: str) -> None:
    words = service.words({"key": service.world.key})
    words["headers"]["Content-Type"] = content_type
    answer = service.request("POST", "/quota/v1/check", **words)
    assert_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_json_may_be_named_in_other_words(service: QuotaService, content_type: str) -> None:
    words = service.words({"key": service.world.key})
    words["headers"]["Content-Type"] = content_type
    assert service.request("POST", "/quota/v1/check", **words).status_code == 200


@pytest.mark.parametrize(
    ("path", "limit"), [("check", 16), ("settle", 16), ("refund", 16), ("check/batch", 256)]
)
def test_a_huge_body_is_413(service: QuotaService, path: str, limit: int) -> None:
    limit *= 1024
    assert_problem(service.post(path, b" " * (limit + 1)), 413, "too_large")
    assert_problem(service.post(path, b" " * limit), 400, "invalid_request", "body")


def test_other_methods_and_addresses_are_told_apart(service: QuotaService) -> None:
    for path in ("check", "check/batch", "settle", "refund"):
        for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
            answer = service.request(method, f"/quota/v1/{path}")
            assert answer.status_code == 405
            assert answer.headers["allow"] == "POST"
    for path in ("", "checks", "check/", "check/batch/1", "authorized", "CHECK"):
        assert_problem(service.post(path, {}), 404, "not_found")
