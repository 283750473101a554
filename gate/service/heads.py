"""The head of a request, read strictly: what two readers could understand differently is refused.

The one reader of heads for everything that comes in, so that the shortcut and ASGI cannot disagree
(docs/decisions/0010). It takes less than RFC 9112 allows and nothing that it forbids.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn
from urllib.parse import unquote

from gate.service import limits
from gate.service.http import Headers, Problem

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb'{1,32}) ([!"$-~]+) HTTP/1\.([01])')
_HEADER = re.compile(rb"(" + _TOKEN + rb"+):[ \t]*([\t -~\x80-\xff]*)")
_ABSOLUTE = re.compile(rb"(https?)://([^/?@]+)(/[^?]*)?(\?.*)?", re.IGNORECASE)
_HOST = re.compile(rb"([A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
_SLASH = ord("/")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BEGINNING = re.compile(_TOKEN)
# These say where a request ends and whose it is; everything else is only passed on.
_SPECIAL = frozenset({b"content-length", b"transfer-encoding", b"connection", b"expect", b"host"})
_DEFAULT_PORTS = {b"http": 80, b"https": 443}


@dataclass(slots=True)
class Head:
    """What a head says.

    path: decoded, without the query. headers: names in lower case; not to be changed, as heads
    that are alike may share them. length: bytes of the body, None when it comes in chunks.
    is_persistent: the client wants to go on after this request.
    """

    method: str
    path: str
    raw_path: bytes
    query: bytes
    version: str
    headers: Headers
    length: int | None
    is_persistent: bool
    expects_continue: bool

    @property
    def is_plain(self) -> bool:
        """Whether one answer is all that it asks for, and its end is known."""
        return self.is_persistent and self.length is not None and not self.expects_continue


def look_at_beginning(data: bytes | bytearray) -> None:
    """Refuse the beginning of a head that no end can make a good one. Problem 400."""
    if data and not _BEGINNING.match(data):
        _refuse("It must begin with a method.")
    if data.count(b"\n") != data.count(b"\r\n"):
        _refuse("Lines must end with CR and LF.")
    first, end, _ = data.partition(b"\r\n")
    if end and not _REQUEST_LINE.fullmatch(first):
        _refuse("Its first line is none.")


def read_head(data: bytes) -> Head:
    """The head that stands before the empty line. Problem 400, 413 or 431."""
    if len(data) > limits.HEAD_BYTES:
        raise too_large()
    lines = data.split(b"\r\n")
    if len(lines) > limits.HEAD_LINES:
        raise too_large()
    first = _REQUEST_LINE.fullmatch(lines[0])
    if first is None:
        _refuse("Its first line is none.")
    headers: Headers = []
    special: dict[bytes, bytes] = {}
    for line in lines[1:]:
        header = _HEADER.fullmatch(line)
        if header is None:
            _refuse("One of its header lines is none.")
        name, value = header[1].lower(), header[2].rstrip(b" \t")
        if name in _SPECIAL:
            _remember(special, name, value)
        elif b"_" in name:
            # Programs behind this one take it for the same name with hyphens.
            continue
        headers.append((name, value))
    is_new = first[3] == b"1"
    named, raw_path, query = _target(first[2])
    _check_host(special.get(b"host"), named, is_needed=is_new)
    wishes = special.get(b"connection")
    return Head(
        first[1].decode(),
        _decoded(raw_path),
        raw_path,
        query,
        "1.1" if is_new else "1.0",
        headers,
        _length(special, takes_chunks=is_new),
        is_new and (wishes is None or not _has_word(wishes, b"close")),
        is_new and b"expect" in special and special[b"expect"].lower() == b"100-continue",
    )


def too_large() -> Problem:
    """The answer to a head of too many bytes or lines."""
    return Problem(
        431,
        "head_too_large",
        f"The head of a request may have {limits.HEAD_BYTES:,} bytes "
        f"and {limits.HEAD_LINES} lines at the most.",
    )


def is_header_line(line: bytes) -> bool:
    """Whether a line reads `name: value`."""
    return _HEADER.fullmatch(line) is not None


def _remember(special: dict[bytes, bytes], name: bytes, value: bytes) -> None:
    """Keep a header that says how to read the request; only wishes for the connection add up."""
    if name not in special:
        special[name] = value
    elif name == b"connection":
        special[name] += b"," + value
    else:
        _refuse(f"“{name.decode()}” is given twice.")


def _target(target: bytes) -> tuple[tuple[bytes, bytes] | None, bytes, bytes]:
    """Scheme and host if they are named, path and query."""
    if target[0] == _SLASH:
        path, _, query = target.partition(b"?")
        return None, path, query
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        _refuse("It asks for something that has no path.")
    scheme, host, path, query = absolute.groups()
    return (scheme.lower(), host), path or b"/", (query or b"")[1:]


def _check_host(host: bytes | None, named: tuple[bytes, bytes] | None, *, is_needed: bool) -> None:
    if host is None:
        if is_needed or named is not None:
            _refuse("“Host” is missing.")
        return
    says = _place(host)
    if says is None:
        _refuse("“Host” names no host.")
    if named is not None:
        asks_for = _place(named[1])
        default = _DEFAULT_PORTS[named[0]]
        if asks_for is None or (says[0], says[1] or default) != (
            asks_for[0],
            asks_for[1] or default,
        ):
            _refuse("“Host” names another host than the address that is asked for.")


@lru_cache(maxsize=256)
def _place(host: bytes) -> tuple[bytes, int] | None:
    """Name and port, 0 where none is told; None when it names no host."""
    says = _HOST.fullmatch(host)
    return None if says is None else (says[1].lower(), int(says[2] or 0))


def _length(special: dict[bytes, bytes], *, takes_chunks: bool) -> int | None:
    length, coding = special.get(b"content-length"), special.get(b"transfer-encoding")
    if coding is not None:
        if length is not None:
            _refuse("“Content-Length” and “Transfer-Encoding” exclude each other.")
        if not takes_chunks or coding.lower() != b"chunked":
            _refuse("“Transfer-Encoding” may only be “chunked”.")
        return None
    if length is None:
        return 0
    if not length.isdigit():
        _refuse("“Content-Length” is no number.")
    # Longer than any number that is allowed; int() would count the digits for a long time.
    if len(length) > 18 or int(length) > limits.BODY_BYTES:
        raise body_too_large()
    return int(length)


def body_too_large() -> Problem:
    """The answer to a body of too many bytes or chunks."""
    return Problem(413, "too_large", f"The body may have at most {limits.BODY_BYTES:,} bytes.")


def _decoded(raw_path: bytes) -> str:
    path = raw_path.decode("ascii")
    if "%" in path:
        path = unquote(path)
        if _CONTROL.search(path):
            _refuse("Its path holds a control character.")
    return path


def _has_word(value: bytes, word: bytes) -> bool:
    return word in (one.strip(b" \t") for one in value.lower().split(b","))


def _refuse(reason: str) -> NoReturn:
    raise malformed(reason)


def malformed(reason: str) -> Problem:
    """The answer to bytes that are no request."""
    return Problem(400, "malformed_request", f"This is no HTTP request. {reason}")
