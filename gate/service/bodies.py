"""The body of a request, cut from what comes in: by its length, or in chunks."""

import re
from typing import Protocol

from gate.service import limits
from gate.service.heads import Head, body_too_large, is_header_line, malformed, too_large

_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
_LONGEST_SIZE = 8


class Body(Protocol):
    """A body that is being read."""

    is_complete: bool

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        """What belongs to the body, and what comes after it. Problem for what is no body."""


def body_of(head: Head) -> Body:
    """What reads the body that a head announces."""
    return Chunks() if head.length is None else Counted(head.length)


class Counted:
    """A body of so many bytes."""

    def __init__(self, length: int) -> None:
        self._missing = length
        self.is_complete = length == 0

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        """See Body."""
        mine, rest = data[: self._missing], data[self._missing :]
        self._missing -= len(mine)
        self.is_complete = self._missing == 0
        return mine, rest


class Chunks:
    """A body in chunks (RFC 9112 §7.1), without extensions; trailers are read and dropped."""

    def __init__(self) -> None:
        self.is_complete = False
        self._unread = b""
        self._missing = 0  # bytes of the chunk that is being read
        self._is_at_end_of_chunk = False
        self._is_in_trailer = False
        self._size = 0
        self._chunks = 0
        self._trailer_bytes = 0
        self._trailer_lines = 0

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        """See Body."""
        data, self._unread = self._unread + data, b""
        parts: list[bytes] = []
        at = 0
        while at < len(data) and not self.is_complete:
            if self._missing:
                part = data[at : at + self._missing]
                parts.append(part)
                self._missing -= len(part)
                at += len(part)
                continue
            end = data.find(b"\r\n", at)
            if end < 0:
                self._unread = self._look_at_beginning(data[at:])
                break
            self._read_line(data[at:end])
            at = end + 2
        return b"".join(parts), data[at:] if self.is_complete else b""

    def _look_at_beginning(self, line: bytes) -> bytes:
        """Refuse half a line that no end can make a good one."""
        said = line.removesuffix(b"\r")
        if self._is_in_trailer:
            if self._trailer_bytes + len(line) > limits.HEAD_BYTES:
                raise too_large()
            if b"\n" in line:
                raise malformed("Lines must end with CR and LF.")
        elif self._is_at_end_of_chunk:
            if said:
                raise malformed("A chunk of its body is longer than it says.")
        elif said and (len(said) > _LONGEST_SIZE or not _SIZE.fullmatch(said)):
            raise malformed("A chunk of its body has no size.")
        return line

    def _read_line(self, line: bytes) -> None:
        if self._is_in_trailer:
            self._read_trailer(line)
        elif self._is_at_end_of_chunk:
            if line:
                raise malformed("A chunk of its body is longer than it says.")
            self._is_at_end_of_chunk = False
        else:
            self._begin_chunk(line)

    def _begin_chunk(self, line: bytes) -> None:
        if not _SIZE.fullmatch(line):
            raise malformed("A chunk of its body has no size.")
        self._missing = int(line, 16)
        self._is_in_trailer = not self._missing
        self._is_at_end_of_chunk = not self._is_in_trailer
        self._size += self._missing
        self._chunks += 1
        if self._size > limits.BODY_BYTES or self._chunks > limits.BODY_CHUNKS:
            raise body_too_large()

    def _read_trailer(self, line: bytes) -> None:
        if not line:
            self.is_complete = True
            return
        self._trailer_lines += 1
        self._trailer_bytes += len(line) + 2
        if self._trailer_lines > limits.HEAD_LINES or self._trailer_bytes > limits.HEAD_BYTES:
            raise too_large()
        if not is_header_line(line):
            raise malformed("A line after its body is no header.")
