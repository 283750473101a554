"""POST /api/v1/chat/completions: the same chats in the shape of the OpenAI API."""

import json
from typing import Any

import pytest

from tests.api.conftest import Api


def events(text: str) -> list[Any]:
    """What server-sent events say."""
    said = [line.removeprefix("data: ") for line in text.split("\n\n") if line.startswith("data:")]
    return [line if line == "[DONE]" else json.loads(line) for line in said]


def test_a_whole_answer_is_a_completion(api: Api) -> None:
    answer = api.complete()
    assert answer.status_code == 200
    body = answer.json()
    assert body["object"] == "chat.completion"
    assert body["model"] == "house"
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello, wörld", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert answer.headers["x-ratelimit-remaining"] == "49"
    assert api.used == 1


def test_a_streamed_answer_is_chunks_to_the_mark_of_the_end(api: Api) -> None:
    answer = api.complete(stream=True, stream_options={"include_usage": True})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    *chunks, last, done = events(answer.text)
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0]["role"] == "assistant"
    assert "".join(delta.get("content", "") for delta in deltas) == "Hello, wörld"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert (last["choices"], last["usage"]["total_tokens"], done) == ([], 7, "[DONE]")
    assert api.used == 1


def test_usage_is_streamed_only_to_who_asks(api: Api) -> None:
    assert "usage" not in api.complete(stream=True).text


def test_what_is_asked_for_is_passed_on(api: Api) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": {}}}
    asked: dict[str, Any] = {
        "tools": [tool],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "max_completion_tokens": 9,
        "presence_penalty": 1,
        "frequency_penalty": -1,
        "seed": 7,
        "logit_bias": {"50256": -100},
        "reasoning_effort": "low",
        "user": "ann",
        "metadata": {"a": "b"},
    }
    assert api.complete(**asked).status_code == 200
    (found,) = api.model_server.requests
    assert {name: found[name] for name in asked} == asked


def test_each_of_several_choices_costs_what_one_does(api: Api) -> None:
    assert api.complete(n=3).status_code == 200
    assert api.used == 3


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"n": 0}, "n"),
        ({"n": 11}, "n"),
        ({"tools": []}, "tools"),
        ({"tools": "all"}, "tools"),
        ({"stream_options": {"usage": True}}, "stream_options"),
        ({"stream_options": {"include_usage": "yes"}}, "stream_options"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"seed": 2**64}, "seed"),
        ({"logprobs": True}, "logprobs"),
        ({"functions": []}, "functions"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"max_token": 5}, "max_token"),
    ],
)
def test_what_cannot_be_passed_on_is_refused_by_name(
    api: Api, more: dict[str, Any], field: str
) -> None:
    answer = api.complete(**more)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert api.used == 0
