"""What a provider's error means: by its status, or by what it says in the middle of a stream."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from api.providers import characters
from api.providers.answers import Busy, CannotAnswer, Refused, SetUpWrongly
from gate.terms import redaction

_LONGEST_RETRY_SECONDS = 24 * 60 * 60
_REFUSALS = frozenset({400, 413, 422})
_ALARMS = frozenset({401, 402, 403, 404})
_BUSY = frozenset({408, 429, 503, 529})
# What an error in a stream is where it has no number.
_STATUS_BY_KIND = {
    "invalid_request_error": 400,
    "BadRequestError": 400,
    "context_length_exceeded": 400,
    "authentication_error": 401,
    "insufficient_quota": 402,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "overloaded_error": 529,
}
# Only we have a key of the provider: what it says about one is not for the customer.
_ABOUT_OUR_KEY = re.compile(r"\bapi[ _-]?key\b", re.IGNORECASE)
# Where providers put their sentence, in the order in which it is looked for.
_MEMBERS = ("error", "message", "detail", "msg")


def of_status(
    status: int, *, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]
) -> CannotAnswer:
    """The error that an answer of this status is. `secrets` are in none of its sentences."""
    try:
        said: Any = json.loads(body)
    except (ValueError, RecursionError):
        said = body.decode(errors="replace").strip()
        # A page for people says nothing in one sentence.
        said = "" if said.startswith("<") else said
    return _meaning(status, said, retry_after=retry_after(headers), secrets=secrets)


def in_stream(said: Any, *, secrets: Sequence[str]) -> CannotAnswer:
    """The error that a provider reports after its answer has begun with status 200."""
    error = _first(said)
    if isinstance(error, dict) and error.get("error"):
        error = error["error"]
    return _meaning(_status_of(error), error, retry_after=None, secrets=secrets)


def retry_after(headers: Mapping[str, str]) -> int | None:
    """Seconds until the provider wants to be asked again; None if it says nothing sensible."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value):
        seconds = float(value)
    else:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = max(0.0, (moment - datetime.now(UTC)).total_seconds())
    return min(-int(-seconds // 1), _LONGEST_RETRY_SECONDS)


def _meaning(
    status: int, said: Any, *, retry_after: int | None, secrets: Sequence[str]
) -> CannotAnswer:
    sentence = _cleaned(_sentence(said), secrets)
    if _kind(said) == "insufficient_quota":
        status = 402
    if status in _REFUSALS and not _ABOUT_OUR_KEY.search(sentence):
        return Refused(sentence)
    if status in _ALARMS or status in _REFUSALS:
        return SetUpWrongly(f"the provider answered {status}: {sentence}")
    if status in _BUSY:
        return Busy(f"the provider answered {status}", retry_after=retry_after)
    return CannotAnswer(f"the provider answered {status}")


def _status_of(error: Any) -> int:
    if not isinstance(error, dict):
        return 500
    for name in ("code", "status_code", "status", "http_code"):
        value = error.get(name)
        if isinstance(value, str) and re.fullmatch(r"[45]\d\d", value):
            return int(value)
        if isinstance(value, int) and 400 <= value < 600:
            return value
    return _STATUS_BY_KIND.get(_kind(error), 500)


def _kind(said: Any) -> str:
    """The provider's own name of the error: of the two that there may be, one that is known."""
    error = _first(said)
    if isinstance(error, dict) and isinstance(error.get("error"), dict):
        error = error["error"]
    if not isinstance(error, dict):
        return ""
    names = [name for name in (error.get("code"), error.get("type")) if isinstance(name, str)]
    return next((name for name in names if name in _STATUS_BY_KIND), "")


def _first(said: Any) -> Any:
    # Google's come in a list.
    return said[0] if isinstance(said, list) and said else said


def _sentence(said: Any, depth: int = 5) -> str:
    """The first sentence in what may be a text, a list, or an object that holds one."""
    if isinstance(said, str):
        return said
    if depth == 0:
        return ""
    inside: list[Any] = []
    if isinstance(said, list):
        inside = said[:4]
    elif isinstance(said, dict):
        inside = [said.get(name) for name in _MEMBERS]
    return next((found for value in inside if (found := _sentence(value, depth - 1))), "")


def _cleaned(sentence: str, secrets: Sequence[str]) -> str:
    sentence = characters.whole(sentence)
    for secret in secrets:
        sentence = sentence.replace(secret, "…")
    # No control characters, no second line.
    return redaction.shown(" ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", sentence).split()))
