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
        # Said instead of the pieces, as a model refuses in words.
        self.refusal = ""
        # Calls of tools, said instead of the pieces: a name, and the parts of the arguments.
        self.calls: list[tuple[str, ...]] = []
        self.status = 200
        # "whole", "cut" after the first piece, "error" event after it, or "nonsense".
        self.ending = "whole"
        # The first piece waits for this.
        self.begin = threading.Event()
        self.begin.set()
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
        server = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (_Handler,), {"model": self})
        )
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        try:
            yield self
        finally:
            self.begin.set()
            self.go_on.set()
            server.shutdown()
            server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    """One connection to a model server."""

    model: ModelServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.model.requests.append(json.loads(body))
        self.model.authorization.append(self.headers.get("Authorization"))
        assert self.path == "/v1/chat/completions"
        self.send_response(self.model.status)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        if self.model.status == 200:
            try:
                self._stream()
            except ConnectionError:
                self.model.cut_off.set()
        self.close_connection = True

    def _stream(self) -> None:
        self.model.begin.wait(LONGEST_SECONDS)
        if self.model.calls:
            self._call_tools()
            return
        if self.model.refusal:
            said = {"refusal": self.model.refusal}
            self._event({"choices": [{"index": 0, "delta": said, "finish_reason": "stop"}]})
            return
        for at, piece in enumerate(self.model.pieces):
            if at == 1:
                if self.model.ending == "cut":
                    return
                if self.model.ending == "error":
                    self._event({"error": {"message": "out of memory"}})
                    return
                if self.model.ending == "nonsense":
                    self._event([1, 2, 3])
                    return
                self.model.go_on.wait(LONGEST_SECONDS)
            self._event({"choices": [{"index": 0, "delta": {"content": piece}}]})
        self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self._event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}})
        self.wfile.write(b"data: [DONE]\n\n")

    def _call_tools(self) -> None:
        for at, (name, *parts) in enumerate(self.model.calls):
            for number, part in enumerate(parts):
                function = {"arguments": part} | ({} if number else {"name": name})
                call = {"index": at, "function": function}
                call |= {} if number else {"id": f"call_{at}", "type": "function"}
                self._event({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
        self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, value: object) -> None:
        self.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        return
