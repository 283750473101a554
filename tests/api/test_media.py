"""POST /api/v1/images and POST /api/v1/voice."""

import io
import wave
from base64 import b64decode
from typing import Any

import pytest

from tests.api.conftest import Api

IMAGES, VOICE = "/api/v1/images", "/api/v1/voice"


def test_a_picture_is_json_with_its_bytes_in_base64(api: Api) -> None:
    answer = api.request(path=IMAGES, json={"prompt": "A <cat>", "size": "256x256"})
    assert answer.status_code == 200
    body = answer.json()
    assert body["media_type"] == "image/svg+xml"
    assert "A &lt;cat&gt;" in b64decode(body["data"]).decode()
    assert body["usage"]["images"] == 1
    assert api.used == 4


def test_a_streamed_picture_is_its_bytes(api: Api) -> None:
    answer = api.request(path=IMAGES, json={"prompt": "A cat", "stream": True})
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.content.lstrip().startswith(b"<svg")
    assert api.used == 4


@pytest.mark.parametrize("stream", [True, False])
def test_speech_is_a_sound(api: Api, stream: bool) -> None:
    answer = api.request(path=VOICE, json={"text": "Good morning", "stream": stream})
    assert answer.status_code == 200
    sound = answer.content if stream else b64decode(answer.json()["data"])
    with wave.open(io.BytesIO(sound)) as heard:
        assert heard.getnframes() > heard.getframerate() / 2
    assert api.used == 2


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (IMAGES, {}, "prompt"),
        (IMAGES, {"prompt": "  "}, "prompt"),
        (IMAGES, {"prompt": "x" * 4_001}, "prompt"),
        (IMAGES, {"prompt": "x", "size": "large"}, "size"),
        (IMAGES, {"prompt": "x", "size": "0x0"}, "size"),
        (IMAGES, {"prompt": "x", "n": 2}, "n"),
        (IMAGES, {"prompt": ["x"]}, "prompt"),
        (VOICE, {}, "text"),
        (VOICE, {"text": ""}, "text"),
        (VOICE, {"text": "x" * 4_097}, "text"),
        (VOICE, {"text": "x", "format": "midi"}, "format"),
        (VOICE, {"text": "x", "voice": ""}, "voice"),
        (VOICE, {"input": "x"}, "input"),
        (VOICE, {"text": "x", "stream": 1}, "stream"),
    ],
)
def test_bad_input_is_400_and_names_the_field(
    api: Api, path: str, body: dict[str, Any], field: str
) -> None:
    answer = api.request(path=path, json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert api.used == 0


def test_what_the_model_refuses_is_the_customers_to_mend(api: Api) -> None:
    answer = api.request(path=VOICE, json={"text": "Good morning", "format": "mp3"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert "It was not counted." in answer.json()["detail"]
    assert api.used == 0


def test_a_key_for_chats_makes_no_pictures(api: Api) -> None:
    api.world.grant(keys=(api.world.key_state(version=2, scopes=("chat",)),))
    assert api.request(path=IMAGES, json={"prompt": "A cat"}).status_code == 403
