"""How a stream is read, whatever comes and however it is cut."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.providers.answers import CannotAnswer, Delta, Outcome
from api.providers.characters import Halves, whole
from api.providers.chat_reply import ChatReply
from api.providers.server_events import Event, EventReader, EventTooLong
from api.providers.tool_calls import ToolCalls
from tests.api.behaving.behaviour import HELLO, PLAIN

# Text as JSON can have it: with halves of characters.
TEXT = st.text(st.characters(categories=("L", "Cs", "Nd"), max_codepoint=0x1FFFF), max_size=4)
NAMES = st.sampled_from(
    """choices delta message index content refusal tool_calls id type function name arguments
    finish_reason usage prompt_tokens error text""".split()  # noqa: SIM905 - a list of words
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(NAMES, inside, max_size=4),
    max_leaves=12,
)
DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "content": VALUES,
        "refusal": VALUES,
        "tool_calls": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "index": VALUES,
                    "id": VALUES,
                    "function": st.fixed_dictionaries({"name": VALUES, "arguments": VALUES}),
                },
            ),
            max_size=2,
        ),
    },
)
CHUNKS = st.builds(
    lambda delta, reason, usage: {
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        "usage": usage,
    },
    DELTAS,
    VALUES,
    VALUES,
)


def events(*pieces: bytes) -> list[Event]:
    reader = EventReader(event_bytes=1_000_000)
    read = [event for piece in pieces for event in reader.read(piece)]
    return [*read, *reader.end()]


def new_reply() -> ChatReply:
    return ChatReply(Outcome(), choices=1, secrets=())


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


def cuts(data: bytes, at: list[int]) -> list[bytes]:
    places = [0, *sorted(at), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


@given(
    st.sampled_from([b"\n", b"\r\n", b"\r"]), st.lists(st.integers(0, len(PLAIN) * 2), max_size=40)
)
def test_a_stream_says_the_same_however_it_is_cut(line_end: bytes, at: list[int]) -> None:
    data = PLAIN.replace(b"\n", line_end)
    reply = new_reply()
    chunks = [reply.read(event) for event in events(*cuts(data, at))]
    assert text_of([delta for chunk in chunks for delta in chunk.deltas]) == HELLO
    assert reply.is_done


@given(st.lists(VALUES | CHUNKS, max_size=4))
def test_whatever_comes_is_read_as_text_or_is_no_answer(values: list[Any]) -> None:
    outcome = Outcome()
    reply = ChatReply(outcome, choices=1, secrets=())
    deltas: list[Delta] = []
    try:
        for value in values:
            deltas += reply.read(Event(data=json.dumps(value))).deltas
        deltas += reply.end().deltas
    except CannotAnswer:
        pass
    for delta in deltas:
        # Everything can be sent on: there is no half of a character in it.
        said = [delta.text, delta.refusal, delta.tool_calls, delta.finish_reason]
        json.dumps(said, ensure_ascii=False).encode()
    assert all(
        type(count) in {int, type(None)} for count in (outcome.tokens_in, outcome.tokens_out)
    )


@given(st.binary(max_size=200))
def test_whatever_bytes_come_are_a_document_or_no_answer(body: bytes) -> None:
    with pytest.raises(CannotAnswer):
        new_reply().read_whole(body)


@given(st.text(st.characters(categories=("L", "So")), max_size=8), st.data())
def test_halves_of_characters_find_each_other(text: str, data: st.DataObject) -> None:
    units = text.encode("utf-16-le", "surrogatepass")
    split = 2 * data.draw(st.integers(0, len(units) // 2))
    halves = Halves()
    parts = [part.decode("utf-16-le", "surrogatepass") for part in (units[:split], units[split:])]
    assert "".join(halves.join("text", part) for part in parts) + halves.rest("text") == text


@given(TEXT)
def test_a_whole_text_can_be_sent(text: str) -> None:
    assert whole(text) == whole(whole(text)).encode().decode()


def test_calls_beyond_all_measure_are_left_out() -> None:
    calls = ToolCalls()
    parts = [{"id": f"call_{at}", "function": {"name": "look"}} for at in range(1000)]
    assert len(calls.read(parts)) == 128


def test_an_event_without_end_is_not_kept() -> None:
    reader = EventReader(event_bytes=100)
    list(reader.read(b"data: " + b"x" * 90))
    with pytest.raises(EventTooLong):
        list(reader.read(b"x" * 10))
