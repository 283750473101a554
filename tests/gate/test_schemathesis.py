"""Whatever is sent to the service, it answers as its OpenAPI document says."""

from collections.abc import Iterator
from typing import Any, Self

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import (
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    positive_data_acceptance,
    unsupported_method,
)

from gate.service.openapi import DOCUMENT
from gate.service.shapes import MAX_TEXT
from tests.gate.quota_service import QuotaService
from tests.gate.world import World
from tests.own_loop import OwnLoop, as_words

Case = schemathesis.Case[Any]
EXAMPLES = 60

NOT_CHECKED = [
    # Every request is sent with valid tokens: without, it would not get past the door.
    ignored_auth,
    missing_required_header,
    # No schema knows which meters and charges there are.
    positive_data_acceptance,
]

schema = schemathesis.openapi.from_dict(DOCUMENT)
schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])


class RunningService(OwnLoop):
    """The service on an event loop of its own, asked from another thread."""

    def __init__(self, service: QuotaService) -> None:
        super().__init__()
        self.service = service

    def __enter__(self) -> Self:
        super().__enter__()
        self.client, _ = self.enter(self.service.client())
        check = {"key": self.service.world.key, "units": 10, "hold_seconds": 86_400}
        self.charge_id = self.send("/quota/v1/check", check).json()["charge_id"]
        return self

    def send(self, path: str, body: Any) -> httpx.Response:
        return self.wait(self.client.post(path, **self.service.words(body)))

    def ask(self, case: Case) -> httpx.Response:
        """Send a case as it was made, with what makes it reach more than the door."""
        if "authorize" in case.path:
            case.headers["Authorization"] = f"Bearer {self.service.world.key}"
            case.headers["X-Quota-Service-Token"] = self.service.token
        else:
            case.headers["Authorization"] = f"Bearer {self.service.token}"
            self._make_real(case.body)
        return self.wait(self.client.request(**as_words(case, base_url="http://quota")))

    def _make_real(self, body: Any) -> None:
        """Every third key or charge id becomes one that exists."""
        checks = body.get("checks") if isinstance(body, dict) else None
        for part in [body, *(checks if isinstance(checks, list) else [])]:
            if not isinstance(part, dict):
                continue
            for name, real in (("key", self.service.world.key), ("charge_id", self.charge_id)):
                text = part.get(name)
                if isinstance(text, str) and len(text) % 3 == 1 and len(text) <= MAX_TEXT:
                    part[name] = real


@pytest.fixture
def running(world: World) -> Iterator[RunningService]:
    """The service with an account that has everything."""
    service = QuotaService(world)
    world.grant(plan="pro", boosts=(service.boost(1, 500),), credits=500)
    with RunningService(service) as running_service:
        yield running_service


@pytest.mark.slow
@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_as_described(case: Case, running: RunningService) -> None:
    answer = running.ask(case)
    is_gateways_fault = "gateway_misconfigured" in answer.text
    assert answer.status_code == 503 if is_gateways_fault else answer.status_code < 500
    # A gateway passes on whatever method its customer used, and what it sets wrongly is 503.
    not_here = (
        [unsupported_method, not_a_server_error, negative_data_rejection]
        if "authorize" in case.path
        # A check that is wrong has a problem of its own among the decisions.
        else [negative_data_rejection]
        if "batch" in case.path
        else []
    )
    case.validate_response(answer, excluded_checks=[*NOT_CHECKED, *not_here])
