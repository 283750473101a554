"""JSON as the hot services read and write it.

Doubled member names and NaN are refused: two readers could understand them differently.
"""

import json
from typing import Any, NoReturn

import orjson


class NotJSON(ValueError):
    """The bytes are no JSON that two readers would understand alike; the message says why.

    `field` is the member that it is about, or "body".
    """

    def __init__(self, message: str, *, field: str = "body") -> None:
        super().__init__(message)
        self.field = field


def loads(body: bytes) -> Any:
    """The value in a body. Raises NotJSON."""
    try:
        value = orjson.loads(body)
        # orjson lets the last of doubled names win. Where no quote is escaped, each name and each
        # text has two, so a name that was dropped leaves quotes that belong to nothing.
        if b"\\" not in body and body.count(b'"') == 2 * _texts(value):
            return value
    except (orjson.JSONDecodeError, RecursionError):
        pass
    return _read_closely(body)


def dumps(value: Any) -> bytes:
    """A value as compact JSON."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # Half a surrogate pair, in what is repeated of somebody's bad input.
        return _ENCODER.encode(value).encode()


def _texts(value: Any) -> int:
    """How many names and texts there are in a value."""
    if isinstance(value, dict):
        count = len(value)
        for member in value.values():
            count += 1 if type(member) is str else _texts(member)
        return count
    if isinstance(value, list):
        return sum(map(_texts, value))
    return int(isinstance(value, str))


def _read_closely(body: bytes) -> Any:
    """The same at a slower pace, to say what is wrong."""
    try:
        return _DECODER.decode(body.decode())
    except RecursionError:
        raise NotJSON("The body is nested too deeply.") from None
    except _Doubled as error:
        raise NotJSON(f"The member “{error.name}” is given twice.", field=error.name) from None
    except ValueError:
        raise NotJSON("The body is not valid JSON.") from None


class _Doubled(ValueError):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _Doubled(name)
            seen.add(name)
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


# Made once: json.loads and json.dumps make new ones for every call with options.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False)
