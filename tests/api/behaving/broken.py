"""Answers that break, before their first word or after it."""

import json

from tests.api.behaving.behaviour import (
    COMPLETION,
    DONE,
    ENDING,
    HELLO_EVENTS,
    JSON,
    STOP,
    Act,
    Behaviour,
    Leads,
    delta,
    error,
    event,
)

BROKEN: dict[str, Behaviour] = {
    "internal error": Behaviour(
        "Fails.", Leads.BROKEN_BEFORE, status=500, steps=(error("out of memory"),)
    ),
    "redirect": Behaviour(
        "Sends us somewhere else.",
        Leads.BROKEN_BEFORE,
        status=307,
        headers={"Location": "http://127.0.0.1:1/v1/chat/completions"},
    ),
    "page for people": Behaviour(
        "Answers with a page that says 200.",
        Leads.BROKEN_BEFORE,
        steps=(b"<!doctype html><title>Welcome</title>",),
        headers={"Content-Type": "text/html"},
    ),
    "nothing": Behaviour("Says 200 and closes.", Leads.BROKEN_BEFORE),
    "hangs": Behaviour("Says 200 and nothing more.", Leads.BROKEN_BEFORE, steps=(Act.HANG,)),
    "reset at once": Behaviour("Says 200 and dies.", Leads.BROKEN_BEFORE, steps=(Act.RESET,)),
    "thinks, then closes": Behaviour(
        "Thinks and closes.",
        Leads.BROKEN_BEFORE,
        steps=(delta({"reasoning_content": "Hm."}),),
    ),
    "error first": Behaviour(
        "Reports a failure in the stream, and ends it properly.",  # vllm-project/guidellm#743
        Leads.BROKEN_BEFORE,
        steps=(event({"error": {"message": "TimeoutError", "code": 504}}), DONE),
    ),
    "json with an error": Behaviour(
        "Says 200 and means 500.",
        Leads.BROKEN_BEFORE,
        steps=(error("engine is dead"),),
        headers=JSON,
    ),
    "json lines": Behaviour(
        "Sends lines of JSON, which is another protocol.",  # ollama/ollama#294
        Leads.BROKEN_BEFORE,
        steps=tuple(step.removeprefix(b"data: ") for step in (*HELLO_EVENTS, STOP)),
    ),
    "json cut": Behaviour(
        "Breaks off within its document.",
        Leads.BROKEN_BEFORE,
        steps=(json.dumps(COMPLETION).encode()[:60],),
        headers=JSON,
    ),
    "broken off": Behaviour(
        "Closes in the middle.", Leads.BROKEN_AFTER, steps=HELLO_EVENTS[:1], text="Hel"
    ),
    "broken off in a chunk": Behaviour(
        "Closes in the middle, without the end that HTTP asks for.",  # npuichigo/openai_trtllm#31
        Leads.BROKEN_AFTER,
        steps=(*HELLO_EVENTS[:1], Act.RESET),
        text="Hel",
        is_chunked=True,
    ),
    "reset in the middle": Behaviour(
        "Dies in the middle.",
        Leads.BROKEN_AFTER,
        steps=(*HELLO_EVENTS[:1], Act.RESET),
        text="Hel",
    ),
    "hangs in the middle": Behaviour(
        "Falls silent in the middle.",
        Leads.BROKEN_AFTER,
        steps=(*HELLO_EVENTS[:1], Act.HANG),
        text="Hel",
    ),
    "heartbeats for ever": Behaviour(
        "Sends comments in the middle for ever.",
        Leads.BROKEN_AFTER,
        steps=(*HELLO_EVENTS[:1], Act.HEARTBEAT),
        text="Hel",
    ),
    "one choice of two broken off": Behaviour(
        "Finishes one of two answers.",
        Leads.BROKEN_AFTER,
        steps=(*HELLO_EVENTS, delta({"content": "An"}, index=1), STOP),
        choices=2,
    ),
    "error event": Behaviour(
        "Names an event an error.",
        Leads.BROKEN_AFTER,
        steps=(*HELLO_EVENTS[:1], b'event: error\ndata: {"message": "out of memory"}\n\n', DONE),
        text="Hel",
    ),
    "finish reason empty, then broken off": Behaviour(
        "Has an empty finish_reason in every chunk, and closes in the middle.",
        Leads.BROKEN_AFTER,
        steps=(delta({"content": "Hel"}, finish_reason=""),),
        text="Hel",
    ),
    "error in the middle": Behaviour(
        "Reports in the middle that something failed.",  # open-octo/octo-agent#910
        Leads.BROKEN_AFTER,
        steps=(*HELLO_EVENTS[:1], event({"error": {"message": "out of memory"}}), DONE),
        text="Hel",
    ),
    "finish reason error": Behaviour(
        "Gives an error for the reason why it finished.",  # damianvtran/local-operator#223
        Leads.BROKEN_AFTER,
        steps=(*HELLO_EVENTS[:1], delta({"content": ""}, finish_reason="error"), DONE),
        text="Hel",
    ),
    "aborted": Behaviour(
        "Was told to shut down, and ends as if all were well.",  # vllm-project/vllm#57082
        Leads.BROKEN_AFTER,
        steps=(*HELLO_EVENTS[:1], delta({}, finish_reason="abort"), DONE),
        text="Hel",
    ),
    "nonsense": Behaviour(
        "Sends JSON that is no chunk.",
        Leads.BROKEN_AFTER,
        steps=(*HELLO_EVENTS[:1], event([1, 2, 3]), DONE),
        text="Hel",
    ),
    "no json": Behaviour(
        "Sends an event that is no JSON.",
        Leads.BROKEN_AFTER,
        steps=(*HELLO_EVENTS[:1], b"data: {'choices': []}\n\n", DONE),
        text="Hel",
    ),
    "deep json": Behaviour(
        "Sends JSON that is too deep to read.",
        Leads.BROKEN_AFTER,
        steps=(*HELLO_EVENTS[:1], b"data: " + b"[" * 200_000 + b"\n\n", DONE),
        text="Hel",
    ),
    "gigantic event": Behaviour(
        "Sends an event that never ends.",
        Leads.BROKEN_AFTER,
        steps=(*HELLO_EVENTS[:1], b"data: " + b"x" * (5 * 1024 * 1024), *ENDING),
        text="Hel",
    ),
}
