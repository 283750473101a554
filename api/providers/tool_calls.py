"""The tool calls of one choice, as a client can join them: every part names its call.

Providers leave `index` out, give it twice, or repeat id and name in every part; clients of the
OpenAI API join parts by index, and append whatever comes twice.
"""

import json
from typing import Any

from api.providers import characters
from api.providers.characters import Halves

_MOST_CALLS = 128


class ToolCalls:
    """Cleans the parts of one choice's tool calls, in the order in which they come."""

    def __init__(self) -> None:
        self._ids: dict[int, str] = {}
        self._names: dict[int, str] = {}
        self._begun: list[int] = []
        self._arguments = Halves()

    def read(self, parts: object) -> tuple[dict[str, Any], ...]:
        """The parts that say something, as the OpenAI API streams them."""
        if not isinstance(parts, list):
            return ()
        read = (self._read(part) for part in parts if isinstance(part, dict))
        return tuple(part for part in read if part)

    def rest(self) -> tuple[dict[str, Any], ...]:
        """What is left of arguments that end with half a character."""
        return tuple(
            {"index": index, "function": {"arguments": rest}}
            for index in self._begun
            if (rest := self._arguments.rest(index))
        )

    def _read(self, part: dict[str, Any]) -> dict[str, Any] | None:
        function = part.get("function")
        function = function if isinstance(function, dict) else {}
        call_id, name = _text(part.get("id")), _text(function.get("name"))
        index = self._index(part.get("index"), call_id, name)
        if index is None:
            return None
        arguments = self._arguments.join(index, _arguments(function.get("arguments")))
        clean: dict[str, Any] = {"index": index}
        is_new = index not in self._begun
        if is_new:
            self._begun.append(index)
        if call_id and index not in self._ids:
            self._ids[index] = clean["id"] = call_id
            clean["type"] = _text(part.get("type")) or "function"
        clean["function"] = {}
        if name and name != self._names.get(index):
            self._names[index] = clean["function"]["name"] = name
        if arguments or is_new:
            clean["function"]["arguments"] = arguments
        return clean if len(clean) > 2 or clean["function"] else None

    def _index(self, said: object, call_id: str, name: str) -> int | None:
        """Which call a part belongs to: its id decides, then what it says, then the last one."""
        for index, known in self._ids.items():
            if call_id and known == call_id:
                return index
        given = said if isinstance(said, int) and 0 <= said < _MOST_CALLS else None
        if call_id:
            if given is not None and given not in self._ids:
                return given
            return self._next()
        if given is not None:
            return given
        if not self._begun:
            return 0
        last = self._begun[-1]
        return self._next() if name and last in self._names else last

    def _next(self) -> int | None:
        index = max(self._begun, default=-1) + 1
        return index if index < _MOST_CALLS else None


def _text(value: object) -> str:
    return characters.whole(value) if isinstance(value, str) else ""


def _arguments(value: object) -> str:
    # Some give the arguments as the object that they should be the text of.
    if isinstance(value, dict | list):
        return json.dumps(value)
    return value if isinstance(value, str) else ""
