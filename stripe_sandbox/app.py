"""The sandbox as one ASGI app: the API, the hosted checkout, and the work in the background."""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from stripe_sandbox import api, pages
from stripe_sandbox.background import Background
from stripe_sandbox.configuration import CannotStartSandbox, Configuration
from stripe_sandbox.store import Store
from stripe_sandbox.wire import (
    CannotReadRequest,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    json_response,
    read_request,
    send_response,
)

__all__ = ["CannotStartSandbox", "Sandbox", "create_app"]

logger = logging.getLogger(__name__)


class Sandbox:
    """The ASGI app. Its background work begins with lifespan startup, `start()`, or a request."""

    def __init__(self, *, store: Store, configuration: Configuration) -> None:
        self._store = store
        self._configuration = configuration
        self._background: Background | None = None
        self._work: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin the background work in the running loop; doing it twice changes nothing."""
        if self._work is None or self._work.done():
            self._background = Background(self._store, self._configuration)
            self._work = asyncio.create_task(self._background.run())

    async def stop(self) -> None:
        """End the background work; what was being sent is sent again after the next start."""
        work, self._work = self._work, None
        if work is not None:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self.start()
            await self._serve(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = await read_request(
                scope=scope, receive=receive, mount=self._configuration.mount
            )
            response = await asyncio.to_thread(self._answer, request)
        except CannotReadRequest as refusal:
            response = _failure(413, str(refusal), kind="invalid_request_error")
        await send_response(response, send=send, head_only=scope["method"] == "HEAD")
        if scope["method"] == "POST" and self._background is not None:
            self._background.wake()

    def _answer(self, request: Request) -> Response:
        act = api.answer if request.path.startswith("/v1/") else pages.answer
        try:
            return act(request, store=self._store, configuration=self._configuration)
        except Exception:
            # Only the route: a body may hold a card number.
            logger.exception("the sandbox failed on %s %s", request.method, request.path)
            return _failure(500, "The sandbox failed; its log says why.", kind="api_error")


def create_app(
    *,
    mount: str,
    store_path: Path,
    public_url: str,
    webhook_url: str,
    secret_key: str,
    webhook_secret: str,
    merchant: str = "sansxel",
    settle_after_seconds: float = 5.0,
    retry_after_seconds: float = 1.0,
    clock: Callable[[], float] = time.time,
) -> Sandbox:
    """A sandbox whose state is the SQLite file `store_path`, shared by all that open it.

    `mount` is the path prefix it is reached at (`/sandbox/stripe`); `public_url` the origin that a
    buyer's browser reaches it at; `webhook_url` where events are posted, signed with
    `webhook_secret`. Raises CannotStartSandbox when `secret_key` could be a real one.
    """
    configuration = Configuration(
        mount=mount,
        public_url=public_url,
        webhook_url=webhook_url,
        secret_key=secret_key,
        webhook_secret=webhook_secret,
        merchant=merchant,
        settle_after_seconds=settle_after_seconds,
        retry_after_seconds=retry_after_seconds,
    )
    return Sandbox(store=Store(store_path, clock=clock), configuration=configuration)


def _failure(status: int, message: str, *, kind: str) -> Response:
    return json_response({"error": {"type": kind, "message": message}}, status=status)
