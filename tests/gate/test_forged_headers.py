"""Headers that customers can forge count only if the service token was issued with that trust."""

import httpx
import pytest

from gate.service.alarms import Alarm, Alarms
from gate.terms import addresses
from tests.gate.quota_service import QuotaService

REQUEST_ID, UNITS = "X-Quota-Request-Id", "X-Quota-Units"
CLIENT_IP, METER = "X-Quota-Client-IP", "X-Quota-Meter"
FORWARDED = "X-Forwarded-For"


def bind(service: QuotaService, network: str = "192.0.2.0/24") -> None:
    """Bind the key to a network."""
    bound = (addresses.network_to_hex(network),)
    service.world.grant(keys=(service.world.key_state(version=2, addresses=bound),))


# --- without trust --------------------------------------------------------------------------


def test_a_forged_request_id_makes_nothing_free(service: QuotaService) -> None:
    charges = {service.authorize((REQUEST_ID, "same")).headers["x-quota-charge"] for _ in range(3)}
    assert len(charges) == 3
    assert service.remaining["allowance"] == 47


@pytest.mark.parametrize("units", ["0", "-1", "2", "10000", "nonsense"])
def test_forged_units_change_no_price(service: QuotaService, units: str) -> None:
    answer = service.authorize((UNITS, units))
    assert answer.headers["x-quota-charge"]
    assert service.remaining["allowance"] == 49


@pytest.mark.parametrize(
    "headers",
    [
        [(CLIENT_IP, "192.0.2.9")],
        [(FORWARDED, "192.0.2.9")],
        [("Forwarded", "for=192.0.2.9")],
        [("X-Real-IP", "192.0.2.9")],
        [("x_quota_client_ip", "192.0.2.9")],
    ],
)
def test_a_forged_address_opens_no_key(
    service: QuotaService, headers: list[tuple[str, str]]
) -> None:
    bind(service)
    assert service.authorize(*headers).status_code == 401
    assert service.check(ip="192.0.2.9", units=0).json()["remaining"]["allowance"] == 50


@pytest.mark.parametrize("name", [REQUEST_ID, UNITS, CLIENT_IP])
def test_what_does_not_count_may_come_twice_or_garbled(service: QuotaService, name: str) -> None:
    assert service.authorize((name, "a"), (name, "b")).status_code == 200
    assert service.authorize((name, "é".encode())).status_code == 200  # type: ignore[arg-type]
    assert service.remaining["allowance"] == 48


def test_what_is_ignored_is_counted_and_said_once(
    service: QuotaService, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        for _ in range(20):
            await client.get(
                "/quota/v1/authorize",
                headers={
                    "Authorization": f"Bearer {service.world.key}",
                    "X-Quota-Service-Token": service.token,
                    REQUEST_ID: "same",
                    UNITS: "0",
                },
            )

    service.tell(story)
    said = [text for text in caplog.messages if "was ignored" in text]
    assert len(said) == 2
    assert any(REQUEST_ID in text and "“gateway”" in text for text in said)
    assert "same" not in caplog.text


# --- with trust -----------------------------------------------------------------------------


def test_a_trusted_request_id_is_charged_once(service: QuotaService) -> None:
    service.trust(request_id=True)
    charges = {
        service.authorize((REQUEST_ID, "order 1")).headers["x-quota-charge"] for _ in range(3)
    }
    assert len(charges) == 1
    assert service.remaining["allowance"] == 49


def test_trust_in_one_header_is_none_in_another(service: QuotaService) -> None:
    bind(service)
    service.trust(request_id=True, units=True)
    assert service.authorize((CLIENT_IP, "192.0.2.9")).status_code == 401
    service.trust(request_id=False, units=False, client_ip=True)
    for _ in range(2):
        answer = service.authorize((CLIENT_IP, "192.0.2.9"), (REQUEST_ID, "same"), (UNITS, "9"))
        assert answer.status_code == 200
    look = service.check(ip="192.0.2.9", units=0).json()
    assert look["remaining"]["allowance"] == 48


@pytest.mark.parametrize(("units", "left"), [("1", 49), ("7", 43), ("50", 0), ("007", 43)])
def test_trusted_units_are_charged(service: QuotaService, units: str, left: int) -> None:
    service.trust(units=True)
    answer = service.authorize((UNITS, units))
    assert answer.status_code == 200
    assert service.remaining["allowance"] == left
    charge_id = answer.headers["x-quota-charge"]
    refunded = service.post("refund", {"charge_id": charge_id}).json()
    assert refunded["returned"]["allowance"] == 50 - left


def test_units_of_nothing_only_look(service: QuotaService) -> None:
    service.trust(units=True)
    service.use_up()
    answer = service.authorize((UNITS, "0"))
    assert answer.status_code == 200
    assert "x-quota-charge" not in answer.headers
    assert answer.headers["x-quota-account"] == service.world.handle
    assert answer.headers["x-ratelimit-remaining"] == "0"
    assert service.authorize((UNITS, "1")).status_code == 429


def test_a_token_with_a_meter_of_its_own_charges_by_no_other(service: QuotaService) -> None:
    service.trust(meter="images")
    assert service.authorize().headers["x-ratelimit-remaining"] == "46"
    assert service.authorize((METER, "chat")).headers["x-ratelimit-remaining"] == "42"
    assert service.authorize((METER, "nonsense")).headers["x-ratelimit-remaining"] == "38"
    assert service.authorize((METER, "images")).headers["x-ratelimit-remaining"] == "34"


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("192.0.2.9", 200),
        ("192.0.2.9:50123", 200),
        ("::ffff:192.0.2.9", 200),
        ("[::ffff:192.0.2.9]:443", 200),
        ("198.51.100.1", 401),
        (None, 401),
    ],
)
def test_a_trusted_address_opens_what_is_bound_to_it(
    service: QuotaService, address: str | None, status: int
) -> None:
    bind(service)
    service.trust(client_ip=True)
    headers = [] if address is None else [(CLIENT_IP, address)]
    assert service.authorize(*headers).status_code == status


# --- X-Forwarded-For ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hops", "values", "status"),
    [
        (1, ["192.0.2.9"], 200),
        (1, ["198.51.100.1, 192.0.2.9"], 200),
        (1, ["198.51.100.1", "192.0.2.9:1234"], 200),
        (1, ["192.0.2.9, 198.51.100.1"], 401),
        (1, ["192.0.2.9", "198.51.100.1"], 401),
        (1, ["nonsense, 192.0.2.9"], 200),
        (2, ["192.0.2.9, 198.51.100.1"], 200),
        (2, ["192.0.2.9 ,\t198.51.100.1"], 200),
        (2, ["198.51.100.7, 192.0.2.9", "198.51.100.1"], 200),
        (2, ["192.0.2.9, 198.51.100.7, 198.51.100.1"], 401),
        # Nobody knows, so a key that is bound to addresses is refused, and no other.
        (2, ["192.0.2.9"], 401),
        (1, [], 401),
        # What a proxy of ours wrote is no address.
        (1, ["192.0.2.9, unknown"], 503),
        (1, ["192.0.2.9,"], 503),
        (2, ["192.0.2.9/24, 198.51.100.1"], 503),
    ],
)
def test_the_hops_of_a_token_say_whose_address_counts(
    service: QuotaService, hops: int, values: list[str], status: int
) -> None:
    bind(service)
    service.trust(forwarded_hops=hops)
    headers = [(FORWARDED, value) for value in values]
    # This one is not trusted beside them.
    assert service.authorize(*headers, (CLIENT_IP, "192.0.2.9")).status_code == status


def test_too_few_hops_are_told_to_the_operator(
    service: QuotaService, caplog: pytest.LogCaptureFixture
) -> None:
    service.trust(forwarded_hops=2)
    assert service.authorize((FORWARDED, "192.0.2.9")).status_code == 200
    assert "fewer than the 2 addresses" in caplog.text
    assert "“gateway”" in caplog.text


# --- the API server's own words -------------------------------------------------------------


def test_what_an_api_server_writes_into_a_body_needs_no_trust(service: QuotaService) -> None:
    bind(service)
    bodies = [service.check(ip="192.0.2.9", units=7, request_id="order 1") for _ in range(2)]
    assert [body.json()["remaining"]["allowance"] for body in bodies] == [43, 43]


# --- alarms ---------------------------------------------------------------------------------


def test_an_alarm_is_said_once_a_minute_with_how_often(caplog: pytest.LogCaptureFixture) -> None:
    alarms = Alarms()
    for _ in range(1_000):
        alarms.tell(Alarm("one", "One thing is wrong."))
    alarms.tell(Alarm("other", "Another is.", is_error=False))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", "One thing is wrong."),
        ("WARNING", "Another is."),
    ]
    alarms._quiet_until.clear()
    alarms.tell(Alarm("one", "One thing is wrong."))
    assert caplog.messages[-1] == "One thing is wrong. (1,000 times since this was last said)"


def test_many_kinds_of_alarms_fill_neither_memory_nor_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    alarms = Alarms()
    for number in range(3_000):
        alarms.tell(Alarm(f"kind {number}", "Wrong."))
    assert len(caplog.records) == 1_001
