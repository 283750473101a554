"""The API reference says what the OpenAPI documents say, and its examples are what is accepted."""

import html
import re
from typing import Any

import msgspec
import pytest
from django.test import Client
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from msgspec import Struct

from api import shapes as api_shapes
from api.openapi import DOCUMENT as PUBLIC
from config.reference import of_public_api, of_quota_check
from config.reference_examples import ANSWERED, ASKED
from gate.service import key_shapes
from gate.service import shapes as gate_shapes
from gate.service.openapi import DOCUMENT as GATE

PAGES: dict[str, dict[str, Any]] = {"/docs/reference": PUBLIC, "/docs/reference/quota": GATE}
SHAPES: dict[str, type[Struct]] = {
    **{name: getattr(api_shapes, name) for name in ("Chat", "Completion", "Image", "Voice")},
    **{name: getattr(key_shapes, name) for name in ("NewKey", "KeyChanges")},
    **{name: getattr(key_shapes, name) for name in ("Rotation", "Revocation")},
    **{
        name: getattr(gate_shapes, name)
        for name in ("Check", "Batch", "Settle", "Extend", "Refund")
    },
}


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest, client: Client, plans: None) -> tuple[str, dict[str, Any]]:
    """The words of a page, and the document that it is made of."""
    text = client.get(request.param).content.decode()
    return html.unescape(re.sub(r"\s+", " ", text)), PAGES[request.param]


def test_every_path_method_and_status_is_there(page: tuple[str, dict[str, Any]]) -> None:
    text, document = page
    for path, item in document["paths"].items():
        assert f"<code>{path}</code>" in text
        for method in ("get", "post"):
            if method in item:
                assert item[method]["summary"] in text
                for status in item[method]["responses"]:
                    assert f"<code>{status}</code>" in text


def test_every_member_is_there_with_its_bounds(page: tuple[str, dict[str, Any]]) -> None:
    text, document = page
    for schema in document["components"]["schemas"].values():
        for name in schema.get("properties", {}):
            assert f"<code>{name}</code>" in text
    for code in document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]:
        assert f"<code>{code}</code>" in text


def test_what_is_named_within_the_page_is_there(page: tuple[str, dict[str, Any]]) -> None:
    text, _ = page
    places = re.findall(r'\bid="([^"]+)"', text)
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(places)
    assert len(places) == len(set(places))


@pytest.mark.parametrize("name", SHAPES)
def test_an_example_is_what_the_shape_reads(name: str) -> None:
    msgspec.convert(ASKED[name], SHAPES[name])


def test_every_body_has_an_example() -> None:
    assert set(ASKED) == set(SHAPES)


@pytest.mark.parametrize("name", ANSWERED)
def test_an_example_of_an_answer_is_what_its_document_says(name: str) -> None:
    document = next(one for one in PAGES.values() if name in one["components"]["schemas"])
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    Draft202012Validator(schema).validate(ANSWERED[name])
    # And it leaves nothing out that may be there.
    members = document["components"]["schemas"][name]["properties"]
    assert set(ANSWERED[name]) == set(members)


def test_types_and_bounds_are_told_in_words() -> None:
    members = {
        operation.path: {member.name: member for member in operation.body}
        for reference in (of_public_api("http://x"), of_quota_check("http://x"))
        for operation in reference.operations
    }
    chat, check = members["/api/v1/chat"], members["/quota/v1/check"]
    assert (chat["messages"].kind, chat["messages"].shapes) == ("list of", ("Message",))
    assert chat["messages"].is_required
    assert (chat["temperature"].kind, chat["temperature"].bounds) == ("number", "0 to 2")
    assert chat["stop"].bounds == "1 to 256 characters; 1 to 4 of them"
    assert (check["units"].kind, check["units"].bounds) == ("whole number", "0 to 10,000")
    assert check["units"].default == "1"
    assert check["ip"].kind == "IPv4 or IPv6 address"


def test_what_every_path_answers_is_said_once() -> None:
    reference = of_public_api("http://x")
    shared = {answer.status for answer in reference.errors}
    assert {"401", "403", "500"} <= shared
    assert {"400", "429", "502"} <= {answer.status for answer in reference.errors_of_bodies}
    for operation in reference.operations:
        assert not {answer.status for answer in operation.answers} & {"401", "403", "500"}
