"""JSON as the hot services read and write it.

jiter reads: names that are given twice, NaN and half a surrogate pair are refused, because two
readers could understand them differently. orjson, which writes, would let the last name win.
"""

import json
import re
from typing import Any

import jiter
import msgspec

# How jiter says what is wrong.
_WRONG = re.compile(r"(?P<what>.*) at line (?P<line>\d+) column (?P<column>\d+)", re.DOTALL)
_DOUBLED = re.compile(r'Detected duplicate key "(?P<name>.*)"', re.DOTALL)
_TOO_DEEP = "recursion limit exceeded"
_HALF_A_CHARACTER = {"lone leading surrogate in hex escape", "unexpected end of hex escape"}


class NotJSON(ValueError):
    """The bytes are no JSON that two readers would understand alike; the message says why.

    `field` is the member that it is about, or "body".
    """

    def __init__(self, message: str, *, field: str = "body") -> None:
        super().__init__(message)
        self.field = field


def loads(body: bytes) -> Any:
    """The value in a body; it may be 200 deep. Raises NotJSON."""
    try:
        # Nothing that a caller sends stays in a cache.
        return jiter.from_json(
            body, allow_inf_nan=False, cache_mode="none", catch_duplicate_keys=True
        )
    except ValueError as error:
        raise _not_json(str(error)) from None


def dumps(value: Any) -> bytes:
    """A value as compact JSON."""
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:
        # Half a surrogate pair, as a model may say it.
        return _ESCAPING.encode(msgspec.to_builtins(value)).encode()


def _not_json(said: str) -> NotJSON:
    """What jiter said, for people."""
    wrong = _WRONG.fullmatch(said)
    if wrong is None:
        return NotJSON("The body is not valid JSON.")
    where = f"at line {wrong['line']}, column {wrong['column']}"
    doubled = _DOUBLED.fullmatch(wrong["what"])
    if doubled is not None:
        name = doubled["name"]
        return NotJSON(f"The member “{name}” is given twice, {where}.", field=name)
    if wrong["what"] == _TOO_DEEP:
        return NotJSON(f"The body is nested too deeply, {where}.")
    if wrong["what"] in _HALF_A_CHARACTER:
        return NotJSON(f"The body holds half a character (of a surrogate pair) {where}.")
    return NotJSON(f"The body is not valid JSON {where}: {wrong['what']}.")


_ENCODER = msgspec.json.Encoder()
_ESCAPING = json.JSONEncoder(separators=(",", ":"), check_circular=False)
