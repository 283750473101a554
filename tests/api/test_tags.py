"""For whom a customer asks, and by which id it is found again: recorded, and told to no model."""

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.gate.quota_service import assert_problem

SECRET = "sk_" + "a" * 46


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("chat", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("images", {"prompt": "a fox"}),
        ("voice", {"text": "Hello"}),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_every_endpoint_records_tag_and_request_id(
    api: Api, path: str, body: dict[str, Any], stream: bool
) -> None:
    answer = api.request(
        path=f"/api/v1/{path}",
        json={**body, "stream": stream, "tag": "ann"},
        headers={"X-Request-Id": "mine"},
    )
    assert answer.status_code == 200
    assert [(one.tag, one.request_id) for one in api.entries()] == [("ann", "mine")]
    assert all("tag" not in asked for asked in api.model_server.requests)


@pytest.mark.parametrize(
    ("user", "tag", "passed_on"),
    [
        ("ann", "ann", True),
        ("x" * 64, "x" * 64, True),
        ("x" * 65, "", True),
        ("x" * 513, "", False),
        ("a|b", "", True),
        ("", "", True),
        (SECRET, "", True),
        (7, "", False),
        ({"id": "ann"}, "", False),
        (None, "", False),
    ],
)
def test_the_user_of_openai_is_the_tag_where_it_can_be_one(
    api: Api, user: object, tag: str, passed_on: bool
) -> None:
    assert api.complete(user=user).status_code == 200
    assert [entry.tag for entry in api.entries()] == [tag]
    (asked,) = api.model_server.requests
    assert ("user" in asked) is passed_on


def test_a_tag_counts_more_than_the_user(api: Api) -> None:
    api.complete(user="ann", tag="bob")
    assert [entry.tag for entry in api.entries()] == ["bob"]


@pytest.mark.parametrize("tag", ["", "x" * 65, "a|b", "a\nb", 7, SECRET])
def test_what_cannot_be_a_tag_is_refused_by_name(api: Api, tag: object) -> None:
    for answer in (api.chat(tag=tag), api.complete(tag=tag)):
        said = assert_problem(answer, 400, "invalid_request", "tag")
        assert SECRET not in said["detail"]
    assert api.entries() == []
