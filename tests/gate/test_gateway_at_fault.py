"""What the operator of a gateway configured wrongly is 503 for its customers, and an alarm."""

from typing import Any

import pytest

from gate.terms import key_text
from tests.gate.quota_service import BILLING_URL, QuotaService, assert_problem


def assert_operators_fault(
    service: QuotaService, answer: Any, caplog: pytest.LogCaptureFixture, *words: str
) -> None:
    """503 that blames no customer, nothing charged, and an alarm that says what to do."""
    problem = assert_problem(answer, 503, "gateway_misconfigured")
    assert "not your fault" in problem["detail"]
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["x-quota-reason"] == "gateway_misconfigured"
    (alarm,) = [record for record in caplog.records if record.name == "gate.service.alarms"]
    assert alarm.levelname == "ERROR"
    for word in words:
        assert word in alarm.getMessage()
    assert service.token not in caplog.text
    assert service.world.key not in caplog.text
    assert service.remaining["allowance"] == 50


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (None, "sends no X-Quota-Service-Token"),
        ("", "not one service token"),
        ("svc_short", "not one service token"),
        ("Bearer {token}", "not one service token"),
        ("{token}x", "not one service token"),
        ("{token}, {token}", "not one service token"),
        ("é", "not one service token"),
        ("{key}", "not one service token"),
        ("{unknown}", "unknown or revoked"),
    ],
)
def test_a_wrong_service_token(
    service: QuotaService, caplog: pytest.LogCaptureFixture, token: str | None, said: str
) -> None:
    unknown = key_text.new_service_token()
    headers: list[tuple[str, Any]] = [("Authorization", f"Bearer {service.world.key}")]
    if token is not None:
        sent = token.replace("{token}", service.token).replace("{unknown}", unknown)
        sent = sent.replace("{key}", service.world.key)
        headers.append(("X-Quota-Service-Token", sent.encode()))
    answer = service.request("GET", "/quota/v1/authorize", headers=headers)
    assert_operators_fault(service, answer, caplog, said)
    assert unknown not in caplog.text
    if token == "{unknown}":
        assert f"svc_…{unknown[-4:]}" in caplog.text


def test_two_service_tokens(service: QuotaService, caplog: pytest.LogCaptureFixture) -> None:
    answer = service.authorize(("X-Quota-Service-Token", service.token))
    assert_operators_fault(service, answer, caplog, "not one service token")


def test_a_revoked_service_token(service: QuotaService, caplog: pytest.LogCaptureFixture) -> None:
    tokens, service.tokens = service.tokens, {}
    answer = service.authorize()
    service.tokens = tokens
    assert_operators_fault(service, answer, caplog, f"svc_…{service.token[-4:]}", "revoked")


@pytest.mark.parametrize(
    ("meter", "said"),
    [
        (["nonsense"], "a meter “nonsense”, which is not in the catalogue"),
        (["CHAT"], "a meter “CHAT”"),
        (["chat", "chat"], "a wrong X-Quota-Meter: more than one"),
        (["é"], "a wrong X-Quota-Meter: not plain text"),
        (["m" * 300], "a wrong X-Quota-Meter: it must be a text of 1 to 256 characters"),
        (["m" * 200], "a meter that cannot be one"),
        (["sk_" + "a" * 46], "a meter that cannot be one"),
    ],
)
def test_a_wrong_meter(
    service: QuotaService, caplog: pytest.LogCaptureFixture, meter: list[str], said: str
) -> None:
    headers: list[Any] = [("X-Quota-Meter", value.encode()) for value in meter]
    assert_operators_fault(service, service.authorize(*headers), caplog, said, "X-Quota-Meter")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("X-Quota-Request-Id", ["r" * 129]),
        ("X-Quota-Request-Id", [""]),
        ("X-Quota-Request-Id", ["a\tb"]),
        ("X-Quota-Request-Id", ["é"]),
        ("X-Quota-Request-Id", ["order 1", "order 1"]),
        ("X-Quota-Units", ["-1"]),
        ("X-Quota-Units", ["+1"]),
        ("X-Quota-Units", ["1.0"]),
        ("X-Quota-Units", ["10001"]),
        ("X-Quota-Units", ["1" * 500]),
        ("X-Quota-Units", [""]),
        ("X-Quota-Units", ["1, 1"]),
        ("X-Quota-Units", ["1", "1"]),
        ("X-Quota-Client-IP", [""]),
        ("X-Quota-Client-IP", ["192.0.2.1, 192.0.2.2"]),
        ("X-Quota-Client-IP", ["192.0.2.1", "192.0.2.2"]),
        ("X-Quota-Client-IP", ["nowhere"]),
        ("X-Quota-Client-IP", ["1"]),
        ("X-Quota-Client-IP", ["é"]),
    ],
)
def test_a_wrong_value_of_a_trusted_header(
    service: QuotaService, caplog: pytest.LogCaptureFixture, name: str, values: list[str]
) -> None:
    service.trust(request_id=True, units=True, client_ip=True)
    headers: list[Any] = [(name, value.encode()) for value in values]
    answer = service.authorize(*headers)
    assert_operators_fault(service, answer, caplog, f"a wrong {name}", "“gateway”")


def test_a_request_id_for_something_else(
    service: QuotaService, caplog: pytest.LogCaptureFixture
) -> None:
    service.trust(request_id=True)
    charge_id = service.authorize(("X-Quota-Request-Id", "1")).headers["x-quota-charge"]
    service.post("refund", {"charge_id": charge_id})
    answer = service.authorize(("X-Quota-Request-Id", "1"), ("X-Quota-Meter", "images"))
    assert_operators_fault(service, answer, caplog, "X-Quota-Request-Id", "used for something else")


def test_an_api_server_is_told_its_own_faults(
    service: QuotaService, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = service.post("check", {"key": service.world.key}, token="svc_wrong")
    assert_problem(wrong, 401, "invalid_service_token")
    assert_problem(service.check(meter="nonsense"), 400, "invalid_request", "meter")
    assert not [record for record in caplog.records if record.name == "gate.service.alarms"]


# --- what gateways pass on without a body -----------------------------------------------------


def test_a_refusal_says_why_and_where_to_buy_in_headers(service: QuotaService) -> None:
    service.use_up()
    answer = service.authorize()
    assert answer.status_code == 429
    assert answer.headers["x-quota-reason"] == "quota_exhausted"
    assert answer.headers["link"] == f'<{BILLING_URL}>; rel="payment"'


def test_every_refusal_has_its_code_in_a_header(service: QuotaService) -> None:
    service.world.grant(suspended=True)
    for answer in (service.authorize(), service.authorize(key="noise")):
        assert answer.headers["x-quota-reason"] == answer.json()["code"]
        assert "link" not in answer.headers
