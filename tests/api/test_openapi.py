"""The OpenAPI document of the API: it is valid, and whatever is sent is answered as it says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import (
    ignored_auth,
    missing_required_header,
    positive_data_acceptance,
)

import api as api_package
from api.openapi import CODES, DOCUMENT, OF_THE_SITE
from tests.api.conftest import Api, offered
from tests.own_loop import OwnLoop, as_words

EXAMPLES = 40
NOT_CHECKED = [
    # Every request is sent with a valid key: without, it would not get past the door.
    ignored_auth,
    missing_required_header,
    # No schema says which models there are, and which roles may say what.
    positive_data_acceptance,
]
PYTHON = "\n".join(
    path.read_text("utf-8") for path in sorted(Path(api_package.__path__[0]).rglob("*.py"))
)

schema = schemathesis.openapi.from_dict(DOCUMENT).exclude(path=list(OF_THE_SITE))
schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_anybody_may_read_the_document(api: Api) -> None:
    answer = api.request(method="GET", path="/api/v1/openapi.json", key="")
    assert (answer.status_code, answer.json()) == (200, DOCUMENT)


def test_every_address_is_in_the_document() -> None:
    routed = set(re.findall(r'Route\("(/api/v1/[^"]+)"', PYTHON)) - {"/api/v1/openapi.json"}
    assert {path.replace(":path", "") for path in routed} == set(DOCUMENT["paths"]) - OF_THE_SITE


def test_every_code_is_in_the_document() -> None:
    literal = set(re.findall(r'Problem\(\s*\d{3},\s*"(\w+)"', PYTHON))
    assert len(literal) > 8
    assert literal <= set(CODES)


class RunningApi(OwnLoop):
    """The API on an event loop of its own, asked from another thread."""

    def __init__(self, api: Api) -> None:
        super().__init__()
        self.api = api

    def __enter__(self) -> Self:
        super().__enter__()
        self._client = self.enter(self.api.client())
        return self

    def ask(self, case: "schemathesis.Case[Any]") -> httpx.Response:
        """Send a case as it was made, with what makes it reach more than the door."""
        case.headers["Authorization"] = f"Bearer {self.api.world.key}"
        body: Any = case.body
        model = body.get("model") if isinstance(body, dict) else None
        if isinstance(model, str) and len(model) % 2:
            # Without a name there is a model.
            del body["model"]
        return self.wait(self._client.request(**as_words(case, base_url="http://api")))


@pytest.fixture
def running(api: Api) -> Iterator[RunningApi]:
    """The API with a demo of each endpoint, and an account without a cap."""
    api.world.grant(plan="pro")
    api.models = [
        offered("demo"),
        offered("picture", endpoint="images"),
        offered("speech", endpoint="voice"),
    ]
    with RunningApi(api) as running_api:
        yield running_api


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
def test_answers_are_as_described(case: "schemathesis.Case[Any]", running: RunningApi) -> None:
    answer = running.ask(case)
    assert answer.status_code < 500
    case.validate_response(answer, excluded_checks=NOT_CHECKED)
