"""Somebody else's servers on a bad day: one hangs, one answers whatever it is told to."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hanging:
    """Accepts connections and never says a word."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._accepted: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def calls(self) -> int:
        """How many connections it has accepted."""
        return len(self._accepted)

    def close(self) -> None:
        """End, and with it everybody who waits."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self._accepted:
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._accepted.append(self._listener.accept()[0])


class Lying(ThreadingHTTPServer):
    """Answers every request with the same status, headers and body."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _LyingHandler)
        self.status = 200
        self.headers = {"Content-Type": "application/json"}
        self.body = b""
        self.calls = 0

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _LyingHandler(BaseHTTPRequestHandler):
    server: Lying

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.calls += 1
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Keep the test output quiet."""


@contextlib.contextmanager
def hanging() -> Iterator[Hanging]:
    """A server that hangs until the end of the block."""
    server = Hanging()
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def lying() -> Iterator[Lying]:
    """A server that answers what it is told to, until the end of the block."""
    with Lying() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
