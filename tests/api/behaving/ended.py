"""Whole answers that end in ways of their own, or are no streams."""

import json

from tests.api.behaving.behaviour import (
    COMPLETION,
    DONE,
    ENDING,
    HELLO_EVENTS,
    JSON,
    PIECES,
    STOP,
    TOKENS,
    USAGE,
    Act,
    Behaviour,
    delta,
    ended,
    error,
    hello,
)

ENDED: dict[str, Behaviour] = {
    # --- how it ends ------------------------------------------------------------------------------
    "finish reason empty": Behaviour(
        "Has an empty finish_reason in every chunk.",  # sgl-project/sglang#3912
        steps=(*(delta({"content": piece}, finish_reason="") for piece in PIECES), *ENDING),
        tokens=TOKENS,
    ),
    "finish reason null as text": Behaviour(
        "Writes null as a text.",  # PowerShell/AIShell#350
        steps=(*(delta({"content": piece}, finish_reason="null") for piece in PIECES), *ENDING),
        tokens=TOKENS,
    ),
    "finished in every chunk": Behaviour(
        "Says from the first chunk on that it has finished.",
        steps=(*(delta({"content": piece}, finish_reason="stop") for piece in PIECES), DONE),
    ),
    "length": Behaviour(
        "Ends where the limit of the request was.",
        steps=(*HELLO_EVENTS, delta({}, finish_reason="length"), DONE),
        finish_reason="length",
    ),
    "done without a finish": Behaviour(
        "Ends without having said why.",  # can1357/oh-my-pi#9433
        steps=(*HELLO_EVENTS, DONE),
        finish_reason=None,
    ),
    "done without a line end": Behaviour(
        "Closes right behind the last letter.", steps=ended(STOP, b"data: [DONE]")
    ),
    "finish without done": Behaviour(
        "Closes the connection instead of [DONE].",
        steps=ended(STOP),
    ),
    "finish, then silence": Behaviour(
        "Finishes, and leaves the connection open.",  # waybarrios/vllm-mlx#101
        steps=ended(STOP, Act.HANG),
    ),
    "finish, then heartbeats": Behaviour(
        "Finishes, and sends comments for ever.",  # maximhq/bifrost#6784
        steps=ended(STOP, Act.HEARTBEAT),
    ),
    "finish, then usage and silence": Behaviour(
        "Finishes, counts, and leaves the connection open.",  # musistudio/claude-code-router#1271
        steps=ended(STOP, USAGE, Act.HANG),
        tokens=TOKENS,
    ),
    "finish, then a reset": Behaviour(
        "Finishes, and its process dies.", steps=ended(STOP, Act.RESET)
    ),
    "finish, then cut in a chunk": Behaviour(
        "Finishes, and breaks off within HTTP.", steps=ended(STOP, Act.RESET), is_chunked=True
    ),
    "finish, then nonsense": Behaviour(
        "Finishes, and sends something that is no chunk.", steps=ended(STOP, b"data: bye!\n\n")
    ),
    "done, then silence": Behaviour(
        "Leaves the connection open after [DONE].",  # agentscope-ai/agentscope-java#2073
        steps=(*hello(), Act.HANG),
        tokens=TOKENS,
    ),
    # --- no stream at all -------------------------------------------------------------------------
    "json": Behaviour(
        "Answers with one document though a stream was asked for.",
        steps=(json.dumps(COMPLETION).encode(),),
        headers=JSON,
        tokens=TOKENS,
    ),
    "json called a stream": Behaviour(
        "Calls one document a stream, and ends it as one.",  # decolua/9router#3492
        steps=(json.dumps(COMPLETION, indent=1).encode() + b"\n\ndata: [DONE]\n\n",),
        tokens=TOKENS,
    ),
    # --- asked twice ------------------------------------------------------------------------------
    "no stream options": Behaviour(
        "Does not know stream_options.",  # openai/openai-agents-python#442
        steps=(*HELLO_EVENTS, STOP, DONE),
        refuses="stream_options",
        status=422,
        error=json.dumps(
            {
                "object": "error",
                "message": {
                    "detail": [
                        {
                            "type": "extra_forbidden",
                            "loc": ["body", "stream_options", "include_usage"],
                            "msg": "Extra inputs are not permitted",
                        }
                    ]
                },
            }
        ).encode(),
    ),
    "no usage in streams": Behaviour(
        "Makes a 500 of another's refusal.",  # BerriAI/litellm#9916
        steps=(*HELLO_EVENTS, STOP, DONE),
        refuses="stream_options",
        status=500,
        error=error("extraneous key [include_usage] is not permitted"),
    ),
}
