"""How real model servers behave in a chat, byte for byte, and what each must lead to.

Where a behaviour was reported stands behind it: owner/repository#number of a public tracker.
`BehavingServer` plays them. The text is always HELLO, so that a test sees at once what is missing.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

HELLO = "Hel" + "lo, " + "wörld"
PIECES = ("Hel", "lo, ", "wörld")
TOKENS = (3, 4)


class Leads(Enum):
    """What an answer must lead to."""

    # All of the text was delivered: paid.
    WHOLE = auto()
    # The customer's 400, with the provider's sentence.
    REFUSED = auto()
    # Ours to tell as 503.
    BUSY = auto()
    # An alarm for the operator.
    ALARM = auto()
    # No answer, and nothing was sent yet.
    BROKEN_BEFORE = auto()
    # No answer, and its beginning was sent already.
    BROKEN_AFTER = auto()


class Act(Enum):
    """What a server does between bytes."""

    # Ends the connection as if the process had died.
    RESET = auto()
    # Sends nothing until whoever asked goes away.
    HANG = auto()
    # Sends a comment again and again until whoever asked goes away.
    HEARTBEAT = auto()


Step = bytes | Act


@dataclass(frozen=True)
class Behaviour:
    """One way to answer a chat.

    steps: each piece of bytes is sent by itself. text: of the first choice, as far as it comes.
    refuses: a member of the request that `error` is the answer to; without it come the steps.
    choices: how many are asked for. tokens: as the outcome must have them.
    """

    says: str
    leads_to: Leads = Leads.WHOLE
    steps: tuple[Step, ...] = ()
    text: str = HELLO
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    is_chunked: bool = False
    refuses: str = ""
    error: bytes = b""
    choices: int = 1
    tokens: tuple[int | None, int | None] = (None, None)
    finish_reason: str | None = "stop"
    sentence: str = ""
    retry_after: int | None = None
    tool_calls: tuple[dict[str, Any], ...] = ()


def event(value: object, *, end: bytes = b"\n\n") -> bytes:
    """An event with this JSON."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + end


def delta(more: dict[str, Any], *, index: int = 0, **choice: Any) -> bytes:
    """An event with one choice that has this delta."""
    return event({"choices": [{"index": index, "delta": more, **choice}]})


def text(piece: str) -> bytes:
    """An event with more text of the first choice."""
    return delta({"content": piece})


HELLO_EVENTS = tuple(text(piece) for piece in PIECES)
STOP = delta({}, finish_reason="stop")
USAGE = event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}})
DONE = b"data: [DONE]\n\n"
ENDING = (STOP, USAGE, DONE)


def hello(*extra: Step) -> tuple[Step, ...]:
    """All of the text with something between its pieces, and a proper end."""
    return (HELLO_EVENTS[0], *extra, *HELLO_EVENTS[1:], *ENDING)


def ended(*ending: Step) -> tuple[Step, ...]:
    """All of the text, and an end of its own."""
    return (*HELLO_EVENTS, *ending)


def cut(data: bytes, size: int) -> tuple[bytes, ...]:
    """The bytes in pieces of this size."""
    return tuple(data[at : at + size] for at in range(0, len(data), size))


def joined(steps: Iterator[bytes] | tuple[bytes, ...]) -> bytes:
    """All bytes of these steps."""
    return b"".join(steps)


_PLAIN = joined((*HELLO_EVENTS, STOP, USAGE, DONE))
_JSON = {"Content-Type": "application/json"}
_COMPLETION = {
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": HELLO},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
}
_CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look"}}


def _error(message: str, **more: Any) -> bytes:
    return json.dumps({"error": {"message": message, **more}}).encode()


def _call(*parts: dict[str, Any]) -> tuple[bytes, ...]:
    """A stream that has nothing but parts of tool calls."""
    return (
        *(delta({"tool_calls": [part]}) for part in parts),
        delta({}, finish_reason="tool_calls"),
        DONE,
    )


def _usage(usage: object) -> tuple[bytes, ...]:
    return (*HELLO_EVENTS, STOP, event({"choices": [], "usage": usage}), DONE)


BEHAVIOURS: dict[str, Behaviour] = {
    # --- whole answers, with decoration ---------------------------------------------------------
    "plain": Behaviour("Answers as the documentation says.", steps=hello(), tokens=TOKENS),
    "chunked": Behaviour("Sends chunks of HTTP.", steps=hello(), tokens=TOKENS, is_chunked=True),
    "comments": Behaviour(
        "Sends comments while the model is loaded.",  # docker/docker-agent#2349
        steps=(b": OPENROUTER PROCESSING\n\n", *hello(b":\n\n", b": still here\n\n")),
        tokens=TOKENS,
    ),
    "comment as data": Behaviour(
        "Makes events of another server's comments.",  # mnfst/llm-gateway#2053
        steps=(b"data: : OPENROUTER PROCESSING\n\n", *hello()),
        tokens=TOKENS,
    ),
    "empty events": Behaviour(
        "Sends empty lines, and names and ids without data.",
        steps=hello(b"\n\n", b"event: ping\n\n", b"id: 7\nretry: 10\n\n"),
        tokens=TOKENS,
    ),
    "data without content": Behaviour(
        "Sends a bare `data:` as a heartbeat.",  # lidge-jun/opencodex#1188
        steps=hello(b"data:\n\n", b"data\n\n", b"data:   \n\n"),
        tokens=TOKENS,
    ),
    "null as a chunk": Behaviour(
        "Sends null to keep the connection alive.",  # microsoft/autogen#7711
        steps=hello(b"data: null\n\n"),
        tokens=TOKENS,
    ),
    "ids and names": Behaviour(
        "Gives every event an id and a name.",
        steps=tuple(
            b"id: %d\nevent: message\n" % at + step
            for at, step in enumerate((*HELLO_EVENTS, *ENDING))
        ),
        tokens=TOKENS,
    ),
    "crlf": Behaviour(
        "Ends lines with CRLF.",  # Routstr/routstr-core#543
        steps=(_PLAIN.replace(b"\n", b"\r\n"),),
        tokens=TOKENS,
    ),
    "cr": Behaviour(
        "Ends lines with CR alone.",  # Soju06/codex-lb#1011
        steps=(_PLAIN.replace(b"\n", b"\r"),),
        tokens=TOKENS,
    ),
    "crlf cut anywhere": Behaviour(
        "Ends lines with CRLF, and cuts between the two.",
        steps=cut(_PLAIN.replace(b"\n", b"\r\n"), 1),
        tokens=TOKENS,
    ),
    "cut anywhere": Behaviour(
        "Sends every byte by itself, the two of an “ö” as well.",
        steps=cut(_PLAIN, 1),
        tokens=TOKENS,
    ),
    "all at once": Behaviour(
        "Sends everything in one piece.",  # mistralai/client-python#16
        steps=(_PLAIN,),
        tokens=TOKENS,
    ),
    "no space": Behaviour(
        "Puts no space behind the colon.",  # openai/openai-python#498
        steps=(_PLAIN.replace(b"data: ", b"data:"),),
        tokens=TOKENS,
    ),
    "byte order mark": Behaviour(
        "Begins with a byte order mark.",
        steps=(b"\xef\xbb\xbf" + HELLO_EVENTS[0], *HELLO_EVENTS[1:], *ENDING),
        tokens=TOKENS,
    ),
    "lies about its charset": Behaviour(
        "Says that its UTF-8 is Latin-1.",
        steps=hello(),
        headers={"Content-Type": "text/event-stream; charset=iso-8859-1"},
        tokens=TOKENS,
    ),
    "wrong content type": Behaviour(
        "Calls its events plain text.",  # ollama/ollama#294
        steps=hello(),
        headers={"Content-Type": "text/plain"},
        tokens=TOKENS,
    ),
    "no empty lines": Behaviour(
        "Forgets the empty line between events.",
        steps=(_PLAIN.replace(b"\n\n", b"\n"),),
        tokens=TOKENS,
    ),
    "json over lines": Behaviour(
        "Spreads one chunk over several lines of data.",  # Routstr/routstr-core#543
        steps=(
            b'data: {"choices": [\ndata:  {"index": 0, "delta":\ndata:   {"content": "Hel"}}]}\n\n',
            *HELLO_EVENTS[1:],
            *ENDING,
        ),
        tokens=TOKENS,
    ),
    "line separators": Behaviour(
        "Has the line ends of Unicode within a text.",  # florimondmanca/httpx-sse#34
        steps=(text("a\u2028b\u2029c\x85d"), *ENDING),
        text="a\u2028b\u2029c\x85d",
        tokens=TOKENS,
    ),
    "surrogates cut": Behaviour(
        "Escapes an emoji and sends its halves in two chunks.",  # elie222/rakazo#416
        steps=(
            b'data: {"choices": [{"index": 0, "delta": {"content": "a\\ud83d"}}]}\n\n',
            b'data: {"choices": [{"index": 0, "delta": {"content": "\\ude00b"}}]}\n\n',
            *ENDING,
        ),
        text="a😀b",
        tokens=TOKENS,
    ),
    "half a surrogate": Behaviour(
        "Sends halves of characters that nothing comes to.",  # elizaOS/eliza#30919
        steps=(
            b'data: {"choices": [{"index": 0, "delta": {"content": "a\\ude00b\\ud83d"}}]}\n\n',
            *ENDING,
        ),
        text="a\ufffdb\ufffd",
        tokens=TOKENS,
    ),
    "half a surrogate at the end": Behaviour(
        "Ends within a character, and says no more than that it has ended.",
        steps=(
            b'data: {"choices": [{"index": 0, "delta": {"content": "a\\ud83d"}}]}\n\n',
            DONE,
        ),
        text="a\ufffd",
        finish_reason=None,
    ),
    "no valid utf-8": Behaviour(
        "Sends a byte that is no character.",
        steps=(b'data: {"choices": [{"delta": {"content": "a\xffb"}}]}\n\n', *ENDING),
        text="a\ufffdb",
        tokens=TOKENS,
    ),
    "error null": Behaviour(
        "Says in every chunk that there was no error.",
        steps=(
            event({"error": None, "choices": [{"delta": {"content": HELLO}}]}),
            event({"error": {}, "choices": [{"delta": {}, "finish_reason": "stop"}]}),
            DONE,
        ),
    ),
    "no choices at first": Behaviour(
        "Begins with a chunk about its filters that has no choices.",  # pydantic/pydantic-ai#164
        steps=(
            event({"choices": [], "prompt_filter_results": [{}], "usage": None}),
            event({"choices": None}),
            *hello(),
        ),
        tokens=TOKENS,
    ),
    "delta null": Behaviour(
        "Has null where a delta should be.",  # microsoft/graphrag#509
        steps=hello(
            event({"choices": [{"index": 0, "delta": None}]}),
            event({"choices": [{"index": 0}, None, 7]}),
            delta({"content": None, "role": None, "tool_calls": None, "refusal": None}),
        ),
        tokens=TOKENS,
    ),
    "content as parts": Behaviour(
        "Sends content as a list of parts, of which some are thoughts.",  # BerriAI/litellm#16272
        steps=(
            delta({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "?"}]}]}),
            delta({"content": [{"type": "text", "text": "Hello, "}, {"type": "image_url"}]}),
            delta({"content": [{"type": "text", "text": "wörld"}, {"type": "text", "text": None}]}),
            *ENDING,
        ),
        tokens=TOKENS,
    ),
    "reasoning first": Behaviour(
        "Thinks aloud before the first word.",  # modelscope/ms-swift#9881
        steps=(
            delta({"content": None, "reasoning_content": "Hm."}),
            delta({"reasoning": "Well."}),
            *hello(),
        ),
        tokens=TOKENS,
    ),
    "message instead of delta": Behaviour(
        "Streams a message where a delta belongs.",
        steps=(
            event({"choices": [{"message": {"content": HELLO}, "finish_reason": "stop"}]}),
            DONE,
        ),
    ),
    "message besides deltas": Behaviour(
        "Repeats the whole message in the end.",
        steps=(
            *HELLO_EVENTS,
            event(
                {"choices": [{"delta": {}, "message": {"content": HELLO}, "finish_reason": "stop"}]}
            ),
            DONE,
        ),
    ),
    "two choices": Behaviour(
        "Answers twice, the second time longer.",
        steps=(
            delta({"content": "Hel"}),
            delta({"content": "Another "}, index=1),
            delta({"content": "lo, wörld"}, finish_reason="stop"),
            delta({"content": "answer."}, index=1),
            delta({}, index=1, finish_reason="length"),
        ),
        choices=2,
    ),
    "legacy function call": Behaviour(
        "Sends a function_call of the old kind besides.",
        steps=hello(delta({"function_call": {"name": "look", "arguments": "{}"}})),
        tokens=TOKENS,
    ),
    # --- tool calls -----------------------------------------------------------------------------
    "tool call": Behaviour(
        "Calls a tool, its arguments in parts.",
        steps=_call(
            {**_CALL, "function": {"name": "look", "arguments": ""}},
            {"index": 0, "function": {"arguments": '{"at":'}},
            {"index": 0, "function": {"arguments": '"sea"}'}},
        ),
        text="",
        finish_reason="tool_calls",
        tool_calls=({"id": "call_1", "name": "look", "arguments": '{"at":"sea"}'},),
    ),
    "tool call with nulls": Behaviour(
        "Has null wherever nothing is new.",  # togethercomputer/together-python#454
        steps=_call(
            {**_CALL, "function": {"name": "look", "arguments": None}},
            {"index": 0, "id": None, "type": None, "function": {"name": None, "arguments": "{}"}},
        ),
        text="",
        finish_reason="tool_calls",
        tool_calls=({"id": "call_1", "name": "look", "arguments": "{}"},),
    ),
    "tool call without index": Behaviour(
        "Leaves the index out.",  # ollama/ollama#7881
        steps=_call(
            {"id": "call_1", "function": {"name": "look", "arguments": '{"a'}},
            {"function": {"arguments": '":1}'}},
            {"id": "call_2", "function": {"name": "hear", "arguments": "{}"}},
        ),
        text="",
        finish_reason="tool_calls",
        tool_calls=(
            {"id": "call_1", "name": "look", "arguments": '{"a":1}'},
            {"id": "call_2", "name": "hear", "arguments": "{}"},
        ),
    ),
    "tool calls with one index": Behaviour(
        "Begins the second call under the first one's index.",  # agno-agi/agno#8880
        steps=_call(
            {**_CALL, "function": {"name": "look", "arguments": "{}"}},
            {"index": 0, "id": "call_2", "function": {"name": "hear", "arguments": "{"}},
            {"index": 1, "function": {"arguments": "}"}},
        ),
        text="",
        finish_reason="tool_calls",
        tool_calls=(
            {"id": "call_1", "name": "look", "arguments": "{}"},
            {"id": "call_2", "name": "hear", "arguments": "{}"},
        ),
    ),
    "tool call repeats itself": Behaviour(
        "Repeats id and name in every part.",
        steps=_call(
            {**_CALL, "function": {"name": "look", "arguments": "{"}},
            {**_CALL, "function": {"name": "look", "arguments": "}"}},
        ),
        text="",
        finish_reason="tool_calls",
        tool_calls=({"id": "call_1", "name": "look", "arguments": "{}"},),
    ),
    "tool call with an object": Behaviour(
        "Gives the arguments as an object.",
        steps=_call({**_CALL, "function": {"name": "look", "arguments": {"a": 1}}}),
        text="",
        finish_reason="tool_calls",
        tool_calls=({"id": "call_1", "name": "look", "arguments": '{"a": 1}'},),
    ),
    # --- counts ---------------------------------------------------------------------------------
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
            STOP,
            b'data: {"choices": [], "usage": {"prompt_tokens": ' + b"9" * 5000 + b"}}\n\n",
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
    # --- how it ends ----------------------------------------------------------------------------
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
    # --- no stream at all -----------------------------------------------------------------------
    "json": Behaviour(
        "Answers with one document though a stream was asked for.",
        steps=(json.dumps(_COMPLETION).encode(),),
        headers=_JSON,
        tokens=TOKENS,
    ),
    "json called a stream": Behaviour(
        "Calls one document a stream, and ends it as one.",  # decolua/9router#3492
        steps=(json.dumps(_COMPLETION, indent=1).encode() + b"\n\ndata: [DONE]\n\n",),
        tokens=TOKENS,
    ),
    # --- asked twice ----------------------------------------------------------------------------
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
        error=_error("extraneous key [include_usage] is not permitted"),
    ),
    # --- refused, busy, set up wrongly ----------------------------------------------------------
    "context too long": Behaviour(
        "Refuses what is too long.",
        Leads.REFUSED,
        status=400,
        steps=(_error("This model's maximum context length is 8 tokens.", code="context"),),
        sentence="This model's maximum context length is 8 tokens.",
    ),
    "refused in a list": Behaviour(
        "Puts its error in a list.",  # FuzzAnything/PromptFuzz#42
        Leads.REFUSED,
        status=400,
        steps=(b"[" + _error("Cannot find field.", code=400) + b"]",),
        sentence="Cannot find field.",
    ),
    "refused as text": Behaviour(
        "Has a text for an error.",
        Leads.REFUSED,
        status=400,
        steps=(b'{"error": "model does not support tools"}',),
        sentence="model does not support tools",
    ),
    "refused by its framework": Behaviour(
        "Refuses as its framework does.",
        Leads.REFUSED,
        status=422,
        steps=(b'{"detail": [{"loc": ["body", "top_p"], "msg": "must be below 1"}]}',),
        sentence="must be below 1",
    ),
    "too large": Behaviour(
        "Refuses with a page of its proxy.",
        Leads.REFUSED,
        status=413,
        steps=(b"<html><h1>413 Request Entity Too Large</h1></html>",),
        headers={"Content-Type": "text/html"},
    ),
    "refused in the stream": Behaviour(
        "Begins a stream to say that it refuses.",  # dcdpr/jp#978
        Leads.REFUSED,
        steps=(
            event({"error": {"code": 400, "message": "prompt is too long"}, "choices": []}),
            DONE,
        ),
        sentence="prompt is too long",
    ),
    "too many requests": Behaviour(
        "Has no room for a while.",
        Leads.BUSY,
        status=429,
        headers={"Retry-After": "17"},
        steps=(_error("Rate limit reached"),),
        retry_after=17,
    ),
    "unavailable": Behaviour("Is down.", Leads.BUSY, status=503, steps=(b"no healthy upstream",)),
    "overloaded": Behaviour("Is overloaded.", Leads.BUSY, status=529, steps=(b"{}",)),
    "busy in the stream": Behaviour(
        "Begins a stream to say that it is full.",  # BerriAI/litellm#40578
        Leads.BUSY,
        steps=(event({"error": {"message": "queue full", "code": 503}}), DONE),
    ),
    "no money": Behaviour(
        "Wants to be paid, and calls it a rate limit.",  # langchain-ai/langchainjs#1929
        Leads.ALARM,
        status=429,
        steps=(_error("You exceeded your current quota", code="insufficient_quota"),),
    ),
    "key unknown": Behaviour(
        "Does not know our key.",
        Leads.ALARM,
        status=401,
        steps=(_error("Incorrect API key provided: model-key"),),
    ),
    "key refused as a bad request": Behaviour(
        "Answers 400 to a key that it does not know.",
        Leads.ALARM,
        status=400,
        steps=(_error("API key not valid. Please pass a valid API key."),),
    ),
    "model unknown": Behaviour(
        "Does not know the model.",
        Leads.ALARM,
        status=404,
        steps=(_error("The model `gone` does not exist"),),
    ),
    # --- broken ---------------------------------------------------------------------------------
    "internal error": Behaviour(
        "Fails.", Leads.BROKEN_BEFORE, status=500, steps=(_error("out of memory"),)
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
        steps=(_error("engine is dead"),),
        headers=_JSON,
    ),
    "json lines": Behaviour(
        "Sends lines of JSON, which is another protocol.",  # ollama/ollama#294
        Leads.BROKEN_BEFORE,
        steps=tuple(step.removeprefix(b"data: ") for step in (*HELLO_EVENTS, STOP)),
    ),
    "json cut": Behaviour(
        "Breaks off within its document.",
        Leads.BROKEN_BEFORE,
        steps=(json.dumps(_COMPLETION).encode()[:60],),
        headers=_JSON,
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
        steps=(*HELLO_EVENTS[:1], b"event: error\ndata: out of memory\n\n", DONE),
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
