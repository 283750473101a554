"""A small server that speaks the OpenAI API, for tests: real HTTP, real server-sent events."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.patience import LONGEST_SECONDS


class ModelServer:
    """Answers what a test tells it to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.pieces: list[str] = ["Hel", "lo, ", "wörld"]
        self.status = 200
        # "whole", "cut" after the first piece, "error" event after it, or "nonsense".
        self.ending = "whole"
        # The second piece waits for this, so that a test can show that the first one has arrived.
        self.go_on = threading.Event()
        self.go_on.set()
        # Set when whoever asked went away before the reply was complete.
        self.cut_off = threading.Event()
        self.requests: list[dict[str, Any]] = []
        self.authorization: list[str | None] = []
        self.url = ""

    @contextmanager
    def running(self) -> Iterator["ModelServer"]:
        """Serve on a free port of loopback."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        try:
            yield self
        finally:
            self.go_on.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                model.requests.append(json.loads(body))
                model.authorization.append(self.headers.get("Authorization"))
                assert self.path == "/v1/chat/completions"
                self.send_response(model.status)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                if model.status == 200:
                    try:
                        self._stream()
                    except ConnectionError:
                        model.cut_off.set()
                self.close_connection = True

            def _stream(self) -> None:
                for at, piece in enumerate(model.pieces):
                    if at == 1:
                        if model.ending == "cut":
                            return
                        if model.ending == "error":
                            self._event({"error": {"message": "out of memory"}})
                            return
                        if model.ending == "nonsense":
                            self._event([1, 2, 3])
                            return
                        model.go_on.wait(LONGEST_SECONDS)
                    self._event({"choices": [{"index": 0, "delta": {"content": piece}}]})
                self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
                self._event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}})
                self.wfile.write(b"data: [DONE]\n\n")

            def _event(self, value: object) -> None:
                self.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")
                self.wfile.flush()

            def log_message(self, format: str, *args: object) -> None:
                return

        return Handler
