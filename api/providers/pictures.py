"""A picture in the answer of `images/generations`."""

import base64
import binascii
import json
import re
from typing import Any

from api.providers import failures
from api.providers.answers import CannotAnswer, Outcome
from api.providers.chat_reply import count

_BY_FIRST_BYTES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp"),
)
_SVG = "image/svg+xml"
# A drawing has no first bytes of its own, so that it is one only where the answer says so.
_LOOKS_DRAWN = re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<svg[\s>]", re.DOTALL)
_DATA_URL = re.compile(r"data:(?P<media_type>[\w.+/-]*)(;[\w=.-]+)*;base64,")


def read(body: bytes, outcome: Outcome, *, secrets: tuple[str, ...]) -> bytes:
    """The picture; fills in its media type, and tokens. Raises CannotAnswer."""
    try:
        answer: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise CannotAnswer("the provider sent something that is not JSON") from None
    if not isinstance(answer, dict):
        raise CannotAnswer("the provider sent no picture")
    if answer.get("error"):
        raise failures.in_stream(answer, secrets=secrets)
    data = answer.get("data")
    first = data[0] if isinstance(data, list) and data else None
    if not isinstance(first, dict):
        raise CannotAnswer("the provider sent no picture")
    encoded = first.get("b64_json") or first.get("url")
    found = _DATA_URL.match(encoded) if isinstance(encoded, str) else None
    if not isinstance(encoded, str) or (not first.get("b64_json") and not found):
        # We fetch nothing from addresses that others name.
        raise CannotAnswer("the provider sent no picture in its answer")
    try:
        picture = base64.b64decode(encoded[found.end() :] if found else encoded)
    except (binascii.Error, ValueError):
        raise CannotAnswer("the provider sent a picture that is not base64") from None
    declared = (
        found["media_type"] if found else None,
        first.get("media_type"),
        first.get("mime_type"),
        f"image/{answer.get('output_format')}+xml",
    )
    outcome.media_type = _media_type(picture, is_drawn=_SVG in declared)
    count(answer.get("usage"), outcome)
    return picture


def _media_type(picture: bytes, *, is_drawn: bool) -> str:
    for beginning, media_type in _BY_FIRST_BYTES:
        if beginning.match(picture):
            return media_type
    if is_drawn and _LOOKS_DRAWN.match(picture):
        return _SVG
    raise CannotAnswer("the provider sent a picture of a kind that nobody knows")
