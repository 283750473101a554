"""The built-in demo: words, a picture and a tune, without any server."""

import asyncio
import io
import wave
from collections.abc import AsyncIterator
from typing import Any, TypeVar
from xml.etree import ElementTree as ET

import pytest

from api.providers import demo_tune
from api.providers.answers import Chunk, Outcome, Refused
from api.providers.demo import DemoProvider

T = TypeVar("T")
SVG = "{http://www.w3.org/2000/svg}"


def gather(pieces: AsyncIterator[T]) -> list[T]:
    """All pieces."""

    async def read() -> list[T]:
        return [piece async for piece in pieces]

    return asyncio.run(read())


def chat(*messages: dict[str, Any], **more: Any) -> tuple[list[Chunk], Outcome]:
    outcome = Outcome()
    asked = {"model": "demo", "messages": list(messages), **more}
    return gather(DemoProvider().chat(asked, outcome)), outcome


def said(chunks: list[Chunk]) -> str:
    return "".join(delta.text for chunk in chunks for delta in chunk.deltas)


def picture(prompt: str, **more: Any) -> tuple[bytes, Outcome]:
    outcome = Outcome()
    pieces = gather(DemoProvider().image({"model": "demo", "prompt": prompt, **more}, outcome))
    return b"".join(pieces), outcome


def voice(text: str, **more: Any) -> tuple[list[bytes], Outcome]:
    outcome = Outcome()
    pieces = gather(DemoProvider().voice({"model": "demo", "input": text, **more}, outcome))
    return pieces, outcome


def words_in(drawing: bytes) -> str:
    return " ".join(text.text or "" for text in ET.fromstring(drawing).iter(f"{SVG}text"))


# --- chat ---------------------------------------------------------------------------------------


def test_a_chat_says_that_it_is_a_demo_and_what_was_asked() -> None:
    chunks, outcome = chat({"role": "user", "content": "How are you?"})
    assert "built-in demo model" in said(chunks)
    assert "“How are you?”" in said(chunks)
    assert outcome == Outcome(
        tokens_in=3, tokens_out=len(said(chunks).split()), finish_reasons={0: "stop"}
    )
    assert chunks[-1].deltas[0].finish_reason == "stop"


def test_a_chat_comes_word_by_word() -> None:
    chunks, _ = chat({"role": "user", "content": "Hi"})
    assert all(len(delta.text.split()) <= 1 for chunk in chunks for delta in chunk.deltas)


def test_a_long_question_is_quoted_in_part() -> None:
    chunks, _ = chat({"role": "user", "content": "x" * 300})
    assert "x" * 200 + "…" in said(chunks)
    assert "x" * 201 not in said(chunks)


def test_parts_that_are_no_text_are_not_quoted() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:,"}}
    parts = [{"type": "text", "text": "What is"}, picture, {"type": "text", "text": "this?"}]
    chunks, outcome = chat(
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "user", "content": parts},
    )
    assert "“What is this?”" in said(chunks)
    assert outcome.tokens_in == 3


def test_tools_are_not_called() -> None:
    chunks, outcome = chat({"role": "user", "content": "Hi"}, tools=[{"type": "function"}])
    assert not any(delta.tool_calls for chunk in chunks for delta in chunk.deltas)
    assert outcome.finish_reasons == {0: "stop"}


# --- pictures -----------------------------------------------------------------------------------


def test_a_picture_is_a_drawing_with_the_prompt_in_it() -> None:
    drawing, outcome = picture("A lighthouse at dusk")
    root = ET.fromstring(drawing)
    assert root.tag == f"{SVG}svg"
    assert (root.get("width"), root.get("height")) == ("512", "512")
    assert words_in(drawing) == "A lighthouse at dusk demo picture · sansxel"
    assert outcome.media_type == "image/svg+xml"


def test_a_picture_comes_in_pieces() -> None:
    pieces = gather(DemoProvider().image({"prompt": "A lighthouse"}, Outcome()))
    assert len(pieces) > 1


@pytest.mark.parametrize("size", ["64x64", "1024x64", "128x1024", "1024x1024"])
def test_a_picture_has_the_size_that_was_asked_for(size: str) -> None:
    root = ET.fromstring(picture("A lighthouse " * 40, size=size)[0])
    assert f"{root.get('width')}x{root.get('height')}" == size
    assert "Demo picture" in (root.get("aria-label") or "")


@pytest.mark.parametrize("size", ["63x512", "512x1025", "big", "512", "-1x9", "٥١٢x٥١٢", "1e3x9"])
def test_another_size_is_refused_with_a_sentence(size: str) -> None:
    with pytest.raises(Refused) as refused:
        picture("A lighthouse", size=size)
    assert refused.value.sentence.endswith(".")


@pytest.mark.parametrize(
    "prompt",
    [
        "<script>alert(1)</script>",
        "a & b",
        '"><a href="x">',
        "a\x00b\ud83dc\uffff",
        "漢字" * 300,
        "",
    ],
    ids=ascii,
)
def test_a_prompt_stays_text_whatever_is_in_it(prompt: str) -> None:
    drawing, _ = picture(prompt)
    tags = {element.tag.removeprefix(SVG) for element in ET.fromstring(drawing).iter()}
    drawn = {"svg", "defs", "linearGradient", "stop", "rect", "circle", "path", "g", "text"}
    assert tags <= drawn


def test_a_long_prompt_is_cut_and_wrapped() -> None:
    words = words_in(picture("lighthouse " * 100)[0])
    assert 150 < len(words) < 260
    assert "…" in words
    lines = ET.fromstring(picture("lighthouse " * 100)[0]).iter(f"{SVG}text")
    assert max(len(line.text or "") for line in lines) < 50


# --- voice --------------------------------------------------------------------------------------


def test_a_voice_is_a_tune_of_a_few_seconds() -> None:
    pieces, outcome = voice("Hello there")
    with wave.open(io.BytesIO(b"".join(pieces))) as sound:
        assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)
        assert sound.getframerate() == 16_000
        assert 1 < sound.getnframes() / 16_000 <= 4
    assert outcome == Outcome(tokens_in=2, media_type="audio/wav")
    assert len(pieces) > 10


def test_a_longer_text_has_a_longer_tune_but_not_for_ever() -> None:
    lengths = [len(demo_tune.play(words=words)) for words in (1, 8, 12, 10_000)]
    assert lengths[0] < lengths[1] < lengths[2] == lengths[3]
    assert lengths[3] <= 4 * demo_tune.BYTES_PER_SECOND + 44


def test_a_tune_is_soft_and_begins_and_ends_in_silence() -> None:
    samples = memoryview(demo_tune.play(words=1)[44:]).cast("h")
    assert 5_000 < max(map(abs, samples)) < 15_000
    assert abs(samples[0]) < 100
    assert abs(samples[-1]) < 100


def test_another_format_is_refused_with_a_sentence() -> None:
    with pytest.raises(Refused) as refused:
        voice("Hello", response_format="mp3")
    assert "wav" in refused.value.sentence
