"""Whole answers, and how tokens are counted in them."""

from tests.api.behaving.behaviour import (
    DONE,
    HELLO_EVENTS,
    STOP,
    TOKENS,
    Behaviour,
    delta,
    event,
)


def _usage(usage: object) -> tuple[bytes, ...]:
    return (*HELLO_EVENTS, STOP, event({"choices": [], "usage": usage}), DONE)


COUNTED: dict[str, Behaviour] = {
    "usage null": Behaviour("Counts null.", steps=_usage(None)),
    "usage missing": Behaviour("Counts nothing.", steps=(*HELLO_EVENTS, STOP, DONE)),
    "usage absurd": Behaviour(
        "Counts what cannot be counted.",
        steps=_usage({"prompt_tokens": -1, "completion_tokens": 1.5}),
    ),
    "usage as text": Behaviour(
        "Counts in words.", steps=_usage({"prompt_tokens": "3", "completion_tokens": True})
    ),
    "usage in part": Behaviour(
        "Leaves out what it made itself.",  # agentgateway/agentgateway#1464
        steps=_usage({"prompt_tokens": 3}),
        tokens=(3, None),
    ),
    "usage huge": Behaviour(
        "Counts with five thousand digits.",
        steps=(
            *HELLO_EVENTS,
            b'data: {"choices": [], "usage": {"prompt_tokens": ' + b"9" * 5000 + b"}}\n\n",
            STOP,
            DONE,
        ),
    ),
    "usage of another shape": Behaviour(
        "Has something else where the counts should be.", steps=_usage([1, "two"])
    ),
    "usage in the choice": Behaviour(
        "Counts within the choice.",  # earendil-works/pi#2017
        steps=(
            *HELLO_EVENTS,
            delta({}, finish_reason="stop", usage={"prompt_tokens": 3, "completion_tokens": 4}),
            DONE,
        ),
        tokens=TOKENS,
    ),
    "usage of groq": Behaviour(
        "Counts in a member of its own.",  # microsoft/graphrag#520
        steps=(
            *HELLO_EVENTS,
            event(
                {
                    "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
                    "x_groq": {"usage": {"prompt_tokens": 3, "completion_tokens": 4}},
                }
            ),
            DONE,
        ),
        tokens=TOKENS,
    ),
    "usage with the last word": Behaviour(
        "Sends the last word, the end and the counts in one chunk.",  # vllm-project/vllm#36944
        steps=(
            *HELLO_EVENTS[:2],
            event(
                {
                    "choices": [{"delta": {"content": "wörld"}, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 3, "completion_tokens": 4},
                }
            ),
            DONE,
        ),
        tokens=TOKENS,
    ),
}
