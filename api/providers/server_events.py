"""Server-sent events out of bytes that may be cut anywhere.

As the HTML standard has them, but for an end without an empty line, which real servers forget.
The bytes are UTF-8 whatever the headers say. Lines end where the standard says, and not at the
other line ends of Unicode, which JSON may contain.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE_END = re.compile(rb"\r\n|\r|\n")
_BYTE_ORDER_MARK = "\ufeff"


class EventTooLong(Exception):
    """An event has more bytes than anybody should have to keep."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event; a comment is one without data, too: a sign of life."""

    name: str = ""
    data: str = ""


class EventReader:
    """Give it bytes as they come, and at their end `end()`."""

    def __init__(self, *, event_bytes: int) -> None:
        self._event_bytes = event_bytes
        self._line: list[bytes] = []
        self._line_bytes = 0
        self._ended_in_return = False
        self._is_first_line = True
        self._name = ""
        self._data: list[str] = []
        self._data_bytes = 0

    def read(self, piece: bytes) -> Iterator[Event]:
        """The events that are complete now. Raises EventTooLong."""
        if self._ended_in_return and piece.startswith(b"\n"):
            piece = piece[1:]
            self._ended_in_return = False
        if not piece:
            return
        self._ended_in_return = piece.endswith(b"\r")
        first, *others = _LINE_END.split(piece)
        self._keep(first)
        for part in others:
            yield from self._read_line()
            self._keep(part)

    def end(self) -> Iterator[Event]:
        """What is left when no more bytes come."""
        yield from self._read_line()
        yield from self._dispatch()

    def _keep(self, part: bytes) -> None:
        self._line.append(part)
        self._line_bytes += len(part)
        if self._line_bytes + self._data_bytes > self._event_bytes:
            raise EventTooLong

    def _read_line(self) -> Iterator[Event]:
        line = b"".join(self._line).decode(errors="replace")
        size, self._line, self._line_bytes = self._line_bytes, [], 0
        if self._is_first_line:
            line = line.removeprefix(_BYTE_ORDER_MARK)
            self._is_first_line = False
        if not line:
            yield from self._dispatch()
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not name:
            yield Event()
        elif name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
            self._data_bytes += size

    def _dispatch(self) -> Iterator[Event]:
        if self._data:
            yield Event(self._name, "\n".join(self._data))
        self._name, self._data, self._data_bytes = "", [], 0
