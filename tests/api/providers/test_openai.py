"""Asking a server that speaks the OpenAI API, over real HTTP, as real ones answer."""

import asyncio
import base64
import gzip
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from api.providers import failures
from api.providers.answers import Busy, CannotAnswer, Chunk, Outcome, Refused, SetUpWrongly
from api.providers.calls import Limits
from api.providers.openai import OpenAIProvider
from tests.api.behaving.behaviour import HELLO, JSON, PLAIN, Act, Behaviour, Leads, hello, text
from tests.api.behaving.behaviours import BEHAVIOURS
from tests.api.behaving.server import BehavingServer
from tests.patience import LONGEST_SECONDS

KEY = "model-key"
PATIENT = Limits(between_seconds=10 * LONGEST_SECONDS)
# Where silence must be over some time; so long that a slow machine is not taken for it.
QUICK = replace(PATIENT, between_seconds=1.5, total_seconds=3)
QUICK_AT_THE_END = replace(PATIENT, end_seconds=0.7)
SILENCES = {Act.HANG, Act.HEARTBEAT}
PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" * 30_000
ERRORS = {Leads.REFUSED: Refused, Leads.BUSY: Busy, Leads.ALARM: SetUpWrongly}


def named(*outcomes: Leads) -> pytest.MarkDecorator:
    """Tests with each behaviour that leads there."""
    return pytest.mark.parametrize(
        "behaviour",
        [
            pytest.param(behaviour, id=name)
            for name, behaviour in BEHAVIOURS.items()
            if behaviour.leads_to in outcomes
        ],
    )


@pytest.fixture
def server() -> Iterator[BehavingServer]:
    with BehavingServer().running() as running:
        yield running


class Asked:
    """What came of a question: its chunks, and the error that it ended with."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.pieces: list[bytes] = []
        self.outcome = Outcome()
        self.error: CannotAnswer | None = None

    def text(self, index: int = 0) -> str:
        return "".join(delta.text for delta in self._deltas(index))

    @property
    def tool_calls(self) -> list[dict[str, str]]:
        """Joined as clients of the OpenAI API do: by index, whatever comes again is appended."""
        calls: dict[int, dict[str, str]] = {}
        for part in (part for delta in self._deltas(0) for part in delta.tool_calls):
            call = calls.setdefault(part["index"], {})
            for name, value in {**part, **part.get("function", {})}.items():
                if name in {"id", "name", "arguments"}:
                    call[name] = call.get(name, "") + value
        return [calls[index] for index in sorted(calls)]

    def _deltas(self, index: int) -> list[Any]:
        return [delta for chunk in self.chunks for delta in chunk.deltas if delta.index == index]


def run(
    server: BehavingServer,
    story: Callable[[OpenAIProvider], Awaitable[None]],
    *,
    limits: Limits = PATIENT,
) -> None:
    """A story with a provider whose server is this one."""

    async def told() -> None:
        provider = OpenAIProvider(server.url, KEY, limits=limits)
        try:
            await asyncio.wait_for(story(provider), LONGEST_SECONDS)
        finally:
            await provider.aclose()

    asyncio.run(told())


def ask(
    server: BehavingServer,
    behaviour: Behaviour,
    *,
    limits: Limits | None = None,
    method: str = "chat",
    **more: Any,
) -> Asked:
    """Ask once, and read until the end."""
    server.behaviour = behaviour
    asked = Asked()
    question = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **more}
    if behaviour.choices > 1:
        question["n"] = behaviour.choices

    async def story(provider: OpenAIProvider) -> None:
        try:
            async for piece in getattr(provider, method)(question, asked.outcome):
                (asked.chunks if method == "chat" else asked.pieces).append(piece)
        except CannotAnswer as error:
            asked.error = error

    if limits is None:
        is_silent = SILENCES & set(behaviour.steps)
        in_the_end = QUICK_AT_THE_END if behaviour.leads_to is Leads.WHOLE else QUICK
        limits = in_the_end if is_silent else PATIENT
    run(server, story, limits=limits)
    return asked


# --- chats, behaviour by behaviour --------------------------------------------------------------


@named(Leads.WHOLE)
def test_a_whole_answer_arrives_whole(server: BehavingServer, behaviour: Behaviour) -> None:
    asked = ask(server, behaviour)
    assert asked.error is None
    assert asked.text() == behaviour.text
    assert (asked.outcome.tokens_in, asked.outcome.tokens_out) == behaviour.tokens
    assert asked.outcome.finish_reasons.get(0) == behaviour.finish_reason
    assert tuple(asked.tool_calls) == behaviour.tool_calls


@named(Leads.REFUSED, Leads.BUSY, Leads.ALARM)
def test_what_the_provider_does_not_want_is_told_apart(
    server: BehavingServer, behaviour: Behaviour
) -> None:
    asked = ask(server, behaviour)
    assert asked.chunks == []
    assert type(asked.error) is ERRORS[behaviour.leads_to]
    assert KEY not in str(asked.error)
    if isinstance(asked.error, Refused):
        assert asked.error.sentence == behaviour.sentence
    if isinstance(asked.error, Busy):
        assert asked.error.retry_after == behaviour.retry_after


@named(Leads.BROKEN_BEFORE)
def test_what_breaks_before_the_first_word_is_no_answer(
    server: BehavingServer, behaviour: Behaviour
) -> None:
    asked = ask(server, behaviour)
    assert type(asked.error) is CannotAnswer
    assert [chunk for chunk in asked.chunks if chunk.deltas] == []


@named(Leads.BROKEN_AFTER)
def test_what_breaks_after_the_first_word_is_no_answer(
    server: BehavingServer, behaviour: Behaviour
) -> None:
    asked = ask(server, behaviour)
    assert type(asked.error) is CannotAnswer
    assert asked.text() == behaviour.text


# --- chats, in particular -----------------------------------------------------------------------


def test_a_stream_with_its_counts_is_asked_for(server: BehavingServer) -> None:
    ask(server, BEHAVIOURS["plain"], temperature=0.5)
    assert server.paths == ["/v1/chat/completions"]
    assert server.requests == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": "Hi"}],
            "temperature": 0.5,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ]


def test_half_a_character_in_the_question_is_sent_as_it_is(server: BehavingServer) -> None:
    ask(server, BEHAVIOURS["plain"], stop="\ud83d")
    assert server.requests[0]["stop"] == "\ud83d"


def test_the_other_choice_arrives_whole_too(server: BehavingServer) -> None:
    asked = ask(server, BEHAVIOURS["two choices"])
    assert asked.text(1) == "Another answer."
    assert asked.outcome.finish_reasons == {0: "stop", 1: "length"}


def test_a_refusal_of_the_model_arrives(server: BehavingServer) -> None:
    steps = (
        b'data: {"choices": [{"delta": {"refusal": "I will not."}}]}\n\n',
        b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n',
    )
    asked = ask(server, Behaviour("Refuses in words.", steps=steps))
    refusals = [delta.refusal for chunk in asked.chunks for delta in chunk.deltas]
    assert refusals[0] == "I will not."


@pytest.mark.parametrize("name", ["comments", "reasoning first"])
def test_signs_of_life_come_before_the_first_word(server: BehavingServer, name: str) -> None:
    asked = ask(server, BEHAVIOURS[name])
    assert asked.chunks[0] == Chunk()


def test_a_compressed_answer_is_read(server: BehavingServer) -> None:
    behaviour = Behaviour(
        "Compresses.", steps=(gzip.compress(PLAIN),), headers={"Content-Encoding": "gzip"}
    )
    assert ask(server, behaviour).text() == HELLO


def test_a_broken_compression_is_no_answer(server: BehavingServer) -> None:
    behaviour = Behaviour("Lies.", steps=hello(), headers={"Content-Encoding": "gzip"})
    assert type(ask(server, behaviour).error) is CannotAnswer


@pytest.mark.parametrize("name", ["no stream options", "no usage in streams"])
def test_who_refuses_stream_options_is_asked_once_with_them(
    server: BehavingServer, name: str
) -> None:
    server.behaviour = BEHAVIOURS[name]

    async def story(provider: OpenAIProvider) -> None:
        for _ in range(2):
            async for _ in provider.chat({"model": "m", "messages": []}, Outcome()):
                pass

    run(server, story)
    assert ["stream_options" in asked for asked in server.requests] == [True, False, False]


def test_who_refuses_something_else_is_asked_with_stream_options_again(
    server: BehavingServer,
) -> None:
    refusal = b'{"error": {"message": "You wrote stream_options in your prompt."}}'
    behaviour = Behaviour("Quotes.", status=400, steps=(refusal,))
    server.behaviour = behaviour

    async def story(provider: OpenAIProvider) -> None:
        for _ in range(2):
            with pytest.raises(Refused):
                await anext(provider.chat({"model": "m", "messages": []}, Outcome()))

    run(server, story)
    assert ["stream_options" in asked for asked in server.requests] == [True, False] * 2


def test_nobody_there_is_no_answer() -> None:
    with BehavingServer().running() as server:
        pass
    assert type(ask(server, BEHAVIOURS["plain"]).error) is CannotAnswer


def test_the_whole_call_has_an_end(server: BehavingServer) -> None:
    limits = replace(PATIENT, total_seconds=0.5)
    asked = ask(server, BEHAVIOURS["heartbeats for ever"], limits=limits)
    assert str(asked.error) == "the provider was silent for too long"


def test_time_in_which_nobody_reads_is_no_silence(server: BehavingServer) -> None:
    server.behaviour = BEHAVIOURS["plain"]
    texts: list[str] = []

    async def story(provider: OpenAIProvider) -> None:
        async for chunk in provider.chat({"model": "m", "messages": []}, Outcome()):
            texts.extend(delta.text for delta in chunk.deltas)
            await asyncio.sleep(0.3)

    run(server, story, limits=replace(PATIENT, between_seconds=0.2, end_seconds=0.2))
    assert "".join(texts) == HELLO


# --- leaving, and being too many ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["hangs in the middle", "heartbeats for ever"])
def test_closing_ends_the_call_at_once(server: BehavingServer, name: str) -> None:
    server.behaviour = BEHAVIOURS[name]

    async def story(provider: OpenAIProvider) -> None:
        chunks = provider.chat({"model": "m", "messages": []}, Outcome())
        await anext(chunks)
        await chunks.aclose()
        assert await asyncio.to_thread(server.gone.wait, LONGEST_SECONDS)

    run(server, story)


def test_leaving_before_the_first_word_ends_the_call(server: BehavingServer) -> None:
    server.behaviour = BEHAVIOURS["hangs"]

    async def story(provider: OpenAIProvider) -> None:
        chunks = provider.chat({"model": "m", "messages": []}, Outcome())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(chunks), 0.3)
        assert await asyncio.to_thread(server.gone.wait, LONGEST_SECONDS)

    run(server, story)


def test_too_many_calls_are_told_that_the_provider_is_busy(server: BehavingServer) -> None:
    server.behaviour = BEHAVIOURS["hangs in the middle"]

    async def story(provider: OpenAIProvider) -> None:
        first = provider.chat({"model": "m", "messages": []}, Outcome())
        await anext(first)
        with pytest.raises(Busy):
            await anext(provider.chat({"model": "m", "messages": []}, Outcome()))
        await first.aclose()
        # Its place is free again.
        second = provider.chat({"model": "m", "messages": []}, Outcome())
        await anext(second)
        await second.aclose()

    run(server, story, limits=replace(PATIENT, connections=1, wait_seconds=0.2))


def test_leaving_at_any_moment_gives_the_connection_back(server: BehavingServer) -> None:
    async def ask_once(provider: OpenAIProvider) -> None:
        async for _ in provider.chat({"model": "m", "messages": []}, Outcome()):
            pass

    async def story(provider: OpenAIProvider) -> None:
        for at in range(60):
            server.behaviour = BEHAVIOURS["plain" if at % 2 else "hangs in the middle"]
            tasks = [asyncio.create_task(ask_once(provider)) for _ in range(6)]
            await asyncio.sleep(at / 5_000)
            for task in tasks:
                task.cancel()
                await asyncio.sleep(0)
                # Whoever is impatient cancels twice.
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        server.behaviour = BEHAVIOURS["hangs in the middle"]
        calls = [provider.chat({"model": "m", "messages": []}, Outcome()) for _ in range(3)]
        for call in calls:
            await anext(call)
        for call in calls:
            await call.aclose()

    run(server, story, limits=replace(PATIENT, connections=3))


def test_the_first_piece_is_there_before_the_second_is_made(server: BehavingServer) -> None:
    server.behaviour = Behaviour("Waits.", steps=(text("Hel"), Act.HANG))

    async def story(provider: OpenAIProvider) -> None:
        chunks = provider.chat({"model": "m", "messages": []}, Outcome())
        assert (await anext(chunks)).deltas[0].text == "Hel"
        await chunks.aclose()

    run(server, story)


# --- refusals -----------------------------------------------------------------------------------


def refused(server: BehavingServer, sentence: str, **more: Any) -> str:
    """What of this sentence the customer sees."""
    body = json.dumps({"error": {"message": sentence, **more}}).encode()
    asked = ask(server, Behaviour("Refuses.", status=400, steps=(body,)))
    assert isinstance(asked.error, Refused)
    return asked.error.sentence


def test_a_sentence_is_shown_without_our_key_and_address(server: BehavingServer) -> None:
    host = server.url.removeprefix("http://").removesuffix("/v1")
    shown = refused(server, f"{KEY} at {server.url}/chat and {host}: bad sk-abcdefghijklmnopqrst")
    assert shown == "… at …/chat and …: bad sk-…"


def test_a_sentence_is_one_line_of_bounded_length(server: BehavingServer) -> None:
    shown = refused(server, "a\nb\x00c \ud83d" + "x" * 1000)
    assert shown.startswith("a b c \ufffdxxx")
    assert len(shown) < 310


def test_a_gigantic_refusal_is_read_in_part(server: BehavingServer) -> None:
    steps = (b'{"error": "' + b"x" * 10_000_000,)
    asked = ask(server, Behaviour("Refuses at length.", status=400, steps=steps))
    assert isinstance(asked.error, Refused)
    assert len(asked.error.sentence) < 310
    assert server.gone.wait(LONGEST_SECONDS)


def test_a_refusal_that_hangs_is_a_refusal(server: BehavingServer) -> None:
    behaviour = Behaviour("Refuses, and hangs.", status=400, steps=(b'{"error"', Act.HANG))
    assert isinstance(ask(server, behaviour).error, Refused)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("17", 17),
        ("1.2", 2),
        ("0", 0),
        ("999999", 86_400),
        ("-1", None),
        ("soon", None),
        ("1e999", None),
        ("9" * 5000, None),
        ("nan", None),
        ("", None),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
        ("Mon, 99 Jan 2001 00:00:00 GMT", None),
    ],
)
def test_the_time_to_come_again_is_sensible_or_unknown(value: str, seconds: int | None) -> None:
    assert failures.retry_after({"retry-after": value}) == seconds


def test_the_time_to_come_again_may_be_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=3600), usegmt=True)
    assert 3000 < (failures.retry_after({"retry-after": later}) or 0) <= 3600


# --- pictures -----------------------------------------------------------------------------------


def picture(server: BehavingServer, answer: object, **more: Any) -> Asked:
    """Ask for a picture, and get this JSON."""
    behaviour = Behaviour("Paints.", steps=(json.dumps(answer).encode(),), headers=JSON, **more)
    return ask(server, behaviour, method="image", prompt="a cat", messages=None)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("data", "more", "media_type"),
    [
        (PNG, {}, "image/png"),
        (b"\xff\xd8\xff\xe0jpeg", {}, "image/jpeg"),
        (b"RIFF\x00\x01\x02\x03WEBPVP8", {}, "image/webp"),
        (b"<svg xmlns=''/>", {"output_format": "svg"}, "image/svg+xml"),
    ],
)
def test_a_picture_arrives_with_its_kind(
    server: BehavingServer, data: bytes, more: dict[str, Any], media_type: str
) -> None:
    usage = {"input_tokens": 5, "output_tokens": 6}
    asked = picture(server, {"data": [{"b64_json": encoded(data)}], "usage": usage, **more})
    assert asked.error is None
    assert b"".join(asked.pieces) == data
    assert max(map(len, asked.pieces)) <= 64 * 1024
    assert asked.outcome == Outcome(tokens_in=5, tokens_out=6, media_type=media_type)
    assert server.paths == ["/v1/images/generations"]
    assert server.requests[0]["n"] == 1
    assert server.requests[0]["response_format"] == "b64_json"


def test_a_picture_in_an_address_of_data_arrives(server: BehavingServer) -> None:
    asked = picture(server, {"data": [{"url": "data:image/png;base64," + encoded(PNG)}]})
    assert b"".join(asked.pieces) == PNG


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        None,
        {"data": []},
        {"data": [None]},
        {"data": [{"b64_json": ""}]},
        {"data": [{"b64_json": 7}]},
        {"data": [{"b64_json": "é"}]},
        {"data": [{"b64_json": encoded(b"what is this?")}]},
        {"data": [{"b64_json": encoded(b"<svg/>")}]},
        {"data": [{"b64_json": encoded(b"<html/>")}], "output_format": "svg"},
        {"data": [{"url": "http://169.254.169.254/picture.png"}]},
        {"error": {"message": "out of paint"}},
    ],
    ids=repr,
)
def test_no_picture_is_no_answer(server: BehavingServer, answer: object) -> None:
    asked = picture(server, answer)
    assert type(asked.error) is CannotAnswer
    assert asked.pieces == []


def test_a_model_that_knows_no_response_format_is_asked_without(server: BehavingServer) -> None:
    error = b'{"error": {"message": "Unknown parameter: \'response_format\'."}}'  # vercel/ai#6102
    answer = {"data": [{"b64_json": encoded(PNG)}]}
    asked = picture(server, answer, refuses="response_format", status=400, error=error)
    assert b"".join(asked.pieces) == PNG
    assert ["response_format" in request for request in server.requests] == [True, False]


def test_a_gigantic_picture_is_no_answer(server: BehavingServer) -> None:
    steps = (b'{"data": "', *([b"x" * 1024 * 1024] * 33))
    asked = ask(server, Behaviour("Paints walls.", steps=steps, headers=JSON), method="image")
    assert str(asked.error) == "the provider's answer is too long"


@named(Leads.REFUSED, Leads.BUSY, Leads.ALARM)
def test_a_picture_is_refused_as_a_chat_is(server: BehavingServer, behaviour: Behaviour) -> None:
    if behaviour.status == 200:
        # There is no stream to begin.
        behaviour = replace(behaviour, status=400, leads_to=Leads.REFUSED)
    assert type(ask(server, behaviour, method="image").error) is ERRORS[behaviour.leads_to]


# --- voice --------------------------------------------------------------------------------------


def voice(server: BehavingServer, *steps: bytes | Act, media_type: str, **more: Any) -> Asked:
    """Ask for speech, and get these bytes."""
    behaviour = Behaviour("Speaks.", steps=steps, headers={"Content-Type": media_type})
    return ask(server, behaviour, method="voice", input="Hi", messages=None, **more)


def test_a_voice_arrives_as_it_comes(server: BehavingServer) -> None:
    asked = voice(server, b"ID3", b"more", media_type="audio/mpeg; charset=binary")
    assert asked.error is None
    assert b"".join(asked.pieces) == b"ID3more"
    assert asked.outcome.media_type == "audio/mpeg"
    assert server.paths == ["/v1/audio/speech"]


def test_a_voice_without_a_kind_is_what_was_asked_for(server: BehavingServer) -> None:
    asked = voice(server, b"fLaC", media_type="application/octet-stream", response_format="flac")
    assert asked.outcome.media_type == "audio/flac"


@pytest.mark.parametrize("media_type", ["application/json", "text/html", "text/event-stream"])
def test_something_else_is_no_voice(server: BehavingServer, media_type: str) -> None:
    asked = voice(server, b'{"audio": ""}', media_type=media_type)
    assert type(asked.error) is CannotAnswer
    assert asked.pieces == []


def test_no_sound_is_no_voice(server: BehavingServer) -> None:
    assert type(voice(server, media_type="audio/mpeg").error) is CannotAnswer


def test_a_voice_that_breaks_off_is_no_voice(server: BehavingServer) -> None:
    asked = voice(server, b"ID3", Act.RESET, media_type="audio/mpeg")
    assert b"".join(asked.pieces) == b"ID3"
    assert type(asked.error) is CannotAnswer


def test_closing_a_voice_ends_the_call_at_once(server: BehavingServer) -> None:
    server.behaviour = Behaviour(
        "Speaks.", steps=(b"ID3", Act.HANG), headers={"Content-Type": "audio/mpeg"}
    )

    async def story(provider: OpenAIProvider) -> None:
        pieces = provider.voice({"model": "m", "input": "Hi"}, Outcome())
        assert await anext(pieces) == b"ID3"
        await pieces.aclose()
        assert await asyncio.to_thread(server.gone.wait, LONGEST_SECONDS)

    run(server, story)
