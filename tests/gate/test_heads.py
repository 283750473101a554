"""Our reader of requests takes nothing that other parsers refuse, or understand otherwise."""

import h11
import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gate.service import limits
from gate.service.bodies import body_of
from gate.service.heads import Head, read_head
from gate.service.http import Headers, Problem


class Understood:
    """What httptools makes of some bytes."""

    def __init__(self, data: bytes) -> None:
        self.messages = 0
        self.url, self.body = b"", b""
        self.headers: Headers = []
        self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Which we ignore, whatever it offers.
            self.messages = 1
        self.method = self._parser.get_method().decode()

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.strip(b" \t")))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.messages += 1


def understood_by_h11(data: bytes) -> tuple[h11.Request, bytes]:
    """The request that h11 makes of some bytes, and its body."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.HEAD_BYTES)
    connection.receive_data(data)
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    return request, body


def read(data: bytes) -> tuple[Head, bytes] | None:
    """The one request that some bytes are, as we read it; None where we refuse or miss some."""
    head_bytes, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None
    try:
        head = read_head(head_bytes)
        body = body_of(head)
        content, after = body.read(rest) if rest else (b"", b"")
    except Problem:
        return None
    return (head, content) if body.is_complete and not after else None


_names = st.sampled_from(
    [
        b"Host",
        b"content-length",
        b"Content-Length",
        b"transfer-encoding",
        b"connection",
        b"expect",
        b"upgrade",
        b"x",
        b"x_y",
        b"\xe9",
    ]
) | st.binary(max_size=4)
_values = st.sampled_from(
    [b"4", b"04", b"+4", b" 4 ", b"4,4", b"chunked", b"close", b"upgrade", b"h2c", b"a\tb", b"a:1"]
) | st.binary(max_size=6)
_lines = st.lists(
    st.tuples(_names, st.sampled_from([b": ", b":", b" : ", b":\t"]), _values), max_size=4
)
_good_lines = st.lists(
    st.sampled_from(
        [
            (b"host", b": ", b"a.example:80"),
            (b"content-length", b": ", b"4"),
            (b"transfer-encoding", b": ", b"chunked"),
            (b"x-a", b":", b" \xe9 \t"),
            (b"connection", b": ", b"close"),
        ]
    ),
    max_size=4,
    unique=True,
)


@given(
    method=st.sampled_from([b"POST", b"GET", b"HEAD", b"PUT"]),
    target=st.sampled_from([b"/", b"/a/b?c=d", b"//a", b"/%63", b"*", b"http://a.example/b"])
    | st.binary(max_size=6).map(lambda more: b"/" + more),
    version=st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2", b"http/1.1"]),
    lines=_good_lines | _lines,
    body=st.sampled_from([b"", b"body", b"4\r\nbody\r\n0\r\n\r\n", b"0\r\n\r\n"])
    | st.binary(max_size=6),
    end=st.sampled_from([b"\r\n", b"\r\n", b"\n"]),
)
@example(
    method=b"POST",
    target=b"/",
    version=b"HTTP/1.1",
    lines=[(b"Host", b":", b"a"), (b"transfer-encoding", b": ", b"chunked")],
    body=b"4\r\nbody\r\n0\r\n\r\n",
    end=b"\r\n",
)
def test_what_we_read_other_parsers_read_alike(
    *,
    method: bytes,
    target: bytes,
    version: bytes,
    lines: list[tuple[bytes, bytes, bytes]],
    body: bytes,
    end: bytes,
) -> None:
    data = end.join([b" ".join([method, target, version]), *map(b"".join, lines), b"", b""]) + body
    read_by_us = read(data)
    if read_by_us is None:
        return
    head, content = read_by_us
    understood = Understood(data)
    assert understood.messages == 1
    assert understood.method == head.method
    shown = [(name, value) for name, value in understood.headers if b"_" not in name]
    assert shown == head.headers
    if not any(name == b"upgrade" for name, _ in head.headers):
        assert understood.body == content
    by_h11, body_by_h11 = understood_by_h11(data)
    assert (by_h11.method.decode(), by_h11.target) == (head.method, target)
    assert [(n, v) for n, v in by_h11.headers if b"_" not in n] == head.headers
    assert body_by_h11 == content


def test_a_name_with_an_underscore_is_not_taken_for_one_with_a_hyphen() -> None:
    head = read_head(b"GET / HTTP/1.1\r\nhost: a\r\nx_forwarded_for: 1.2.3.4\r\nx-a: b")
    assert head.headers == [(b"host", b"a"), (b"x-a", b"b")]


@pytest.mark.parametrize(
    "more", [b"\r\nx: " + b"y" * limits.HEAD_BYTES, b"\r\nx: y" * limits.HEAD_LINES]
)
def test_a_head_has_so_many_bytes_and_lines(more: bytes) -> None:
    beginning = b"GET / HTTP/1.1\r\nhost: a"
    read_head(beginning + b"\r\nx: y" * (limits.HEAD_LINES - 2))
    with pytest.raises(Problem, match="head_too_large"):
        read_head(beginning + more)


def test_a_body_has_so_many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_CHUNKS", 3)
    head = read_head(b"GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked")
    assert body_of(head).read(b"1\r\na\r\n" * 2 + b"0\r\n\r\nrest") == (b"aa", b"rest")
    with pytest.raises(Problem, match="too_large"):
        body_of(head).read(b"1\r\na\r\n" * 3 + b"0\r\n\r\n")
