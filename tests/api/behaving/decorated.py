"""Whole answers, with everything that may be around their text."""

from tests.api.behaving.behaviour import (
    DONE,
    ENDING,
    HELLO,
    HELLO_EVENTS,
    PLAIN,
    TOKENS,
    Behaviour,
    cut,
    delta,
    event,
    hello,
    text,
)

DECORATED: dict[str, Behaviour] = {
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
        steps=(PLAIN.replace(b"\n", b"\r\n"),),
        tokens=TOKENS,
    ),
    "cr": Behaviour(
        "Ends lines with CR alone.",  # Soju06/codex-lb#1011
        steps=(PLAIN.replace(b"\n", b"\r"),),
        tokens=TOKENS,
    ),
    "crlf cut anywhere": Behaviour(
        "Ends lines with CRLF, and cuts between the two.",
        steps=cut(PLAIN.replace(b"\n", b"\r\n"), 1),
        tokens=TOKENS,
    ),
    "cut anywhere": Behaviour(
        "Sends every byte by itself, the two of an “ö” as well.",
        steps=cut(PLAIN, 1),
        tokens=TOKENS,
    ),
    "all at once": Behaviour(
        "Sends everything in one piece.",  # mistralai/client-python#16
        steps=(PLAIN,),
        tokens=TOKENS,
    ),
    "no space": Behaviour(
        "Puts no space behind the colon.",  # openai/openai-python#498
        steps=(PLAIN.replace(b"data: ", b"data:"),),
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
        steps=(PLAIN.replace(b"\n\n", b"\n"),),
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
}
