"""What the public API is asked: each shape once, with its bounds.

`reading` reads what comes by them, and the OpenAPI document is made of them.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct

from gate.service.shapes import Tag

NAME_AT_MOST = 128
STOPS_AT_MOST = 4
CHOICES_AT_MOST = 10
TOOLS_AT_MOST = 128
PROMPT_AT_MOST = 4_000
SPEECH_AT_MOST = 4_096


def _between(low: float, high: float) -> Meta:
    return Meta(ge=low, le=high, extra={"must_be": f"a number from {low:g} to {high:g}"})


Flag = Annotated[bool, Meta(extra={"must_be": "true or false"})]
Name = Annotated[str, Meta(min_length=1, max_length=NAME_AT_MOST)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Object = Annotated[dict[str, Any], Meta(extra={"must_be": "an object"})]
Stop = (
    Annotated[str, Meta(min_length=1, max_length=256)]
    | Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=256)]],
        Meta(
            min_length=1,
            max_length=STOPS_AT_MOST,
            extra={"must_be": f"a text, or a list of 1 to {STOPS_AT_MOST} texts"},
        ),
    ]
)
Messages = Annotated[
    list[Annotated[Any, Meta(extra_json_schema={"$ref": "#/components/schemas/Message"})]],
    Meta(
        min_length=1,
        max_length=1_000,
        extra={"must_be": "a list with at least one message"},
    ),
]


ForWhom = Annotated[
    Tag | None,
    Meta(
        description="For whom you ask, such as the id of your end user: usage is told apart by it. "
        "The model does not see it."
    ),
]


class Chat(Struct, forbid_unknown_fields=True):
    """One chat, answered as text."""

    messages: Messages
    stream: Annotated[Flag | None, Meta(description="Send the answer as it is made.")] = None
    model: Annotated[
        Name | None, Meta(description="Without it, the first one that the plan may use.")
    ] = None
    temperature: Annotated[float, _between(0, 2)] | None = None
    top_p: Annotated[float, _between(0, 1)] | None = None
    max_tokens: Annotated[Count | None, Meta(description="Of the answer.")] = None
    stop: Stop | None = None
    response_format: Object | None = None
    tag: ForWhom = None


class Completion(Chat):
    """One chat in the shape of the OpenAI API."""

    n: Annotated[
        Annotated[int, Meta(ge=1, le=CHOICES_AT_MOST)] | None,
        Meta(description="Answers to choose from; each costs what one does."),
    ] = None
    tools: (
        Annotated[
            list[dict[str, Any]],
            Meta(
                min_length=1,
                max_length=TOOLS_AT_MOST,
                extra={"must_be": f"a list of 1 to {TOOLS_AT_MOST} tools"},
            ),
        ]
        | None
    ) = None
    tool_choice: (
        Annotated[
            str | dict[str, Any],
            Meta(extra={"must_be": "none, auto, required, or an object that names a tool"}),
        ]
        | None
    ) = None
    parallel_tool_calls: Flag | None = None
    stream_options: Object | None = None
    max_completion_tokens: Count | None = None
    presence_penalty: Annotated[float, _between(-2, 2)] | None = None
    frequency_penalty: Annotated[float, _between(-2, 2)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    logit_bias: Object | None = None
    reasoning_effort: Name | None = None
    # Anything, because clients of OpenAI may send anything.
    user: Annotated[
        Any,
        Meta(
            description="Taken for the tag where there is none and it could be one; otherwise it "
            "is not recorded. A text of up to 512 characters is passed on to the model.",
            extra_json_schema={"type": ["string", "null"]},
        ),
    ] = None
    metadata: Object | None = None


class Image(Struct, forbid_unknown_fields=True):
    """One picture."""

    prompt: Annotated[str, Meta(min_length=1, max_length=PROMPT_AT_MOST)]
    size: (
        Annotated[
            str,
            Meta(
                pattern=r"^[1-9][0-9]{1,3}x[1-9][0-9]{1,3}(?!\n)$",
                extra={"must_be": "width and height in pixels, like 1024x1024"},
            ),
        ]
        | None
    ) = None
    model: Annotated[
        Name | None, Meta(description="Without it, the first one that the plan may use.")
    ] = None
    stream: Annotated[Flag | None, Meta(description="Send the bytes of the picture itself.")] = None
    tag: ForWhom = None


class Voice(Struct, forbid_unknown_fields=True):
    """One text, spoken."""

    text: Annotated[str, Meta(min_length=1, max_length=SPEECH_AT_MOST)]
    voice: Name | None = None
    format: (
        Annotated[
            str,
            Meta(
                extra={"must_be": "mp3, opus, aac, flac, wav or pcm"},
                pattern=r"^(mp3|opus|aac|flac|wav|pcm)(?!\n)$",
            ),
        ]
        | None
    ) = None
    model: Annotated[
        Name | None, Meta(description="Without it, the first one that the plan may use.")
    ] = None
    stream: Annotated[Flag | None, Meta(description="Send the sound itself, as it is made.")] = None
    tag: ForWhom = None
