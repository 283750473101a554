"""The sandbox as one ASGI app: the API, the hosted checkout, and the work in the background."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route, Router
from starlette.types import Receive, Scope, Send

from stripe_sandbox import api
from stripe_sandbox.background import Background
from stripe_sandbox.configuration import CannotStartSandbox, Configuration
from stripe_sandbox.pages import addresses, frame
from stripe_sandbox.store import Store

__all__ = ["CannotStartSandbox", "Sandbox", "create_app"]

logger = logging.getLogger(__name__)

MOST_BODY_BYTES = 256 * 1024
ANY_METHOD = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Endpoint(Protocol):
    """Answers a request whose body has been read; it works in a thread, for it waits for SQLite."""

    def __call__(
        self, request: Request, body: bytes, *, store: Store, configuration: Configuration
    ) -> Response: ...


class Sandbox:
    """The ASGI app. Its background work begins with lifespan startup, `start()`, or a request."""

    def __init__(self, *, store: Store, configuration: Configuration) -> None:
        self._store = store
        self._configuration = configuration
        self._background: Background | None = None
        self._work: asyncio.Task[None] | None = None
        routes = [
            self._route("/v1/{path:path}", api.answer, methods=ANY_METHOD),
            *(
                self._route(path, act, methods=methods)
                for path, act, methods in addresses.ADDRESSES
            ),
        ]
        self._app = Starlette(
            routes=[Mount(configuration.mount, app=Router(routes, redirect_slashes=False))],
            exception_handlers={
                404: self._missing,
                413: _too_large,
                ClientDisconnect: _gone_away,
            },
            lifespan=self._live,
            max_body_size=MOST_BODY_BYTES,
        )

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
        if scope["type"] == "http":
            await self.start()
        await self._app(scope, receive, send)
        if scope["type"] == "http" and scope["method"] != "GET" and self._background is not None:
            self._background.wake()

    @asynccontextmanager
    async def _live(self, app: Starlette) -> AsyncIterator[None]:
        await self.start()
        yield
        await self.stop()

    def _route(self, path: str, act: Endpoint, *, methods: tuple[str, ...] = ("GET",)) -> Route:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            try:
                answer = await run_in_threadpool(
                    act, request, body, store=self._store, configuration=self._configuration
                )
            except Exception:
                # Only the route: a body may hold a card number.
                logger.exception(
                    "the sandbox failed on %s %s", request.method, request.scope["path"]
                )
                return api.failure(500, "The sandbox failed; its log says why.", kind="api_error")
            # A call that a developer lets hang holds no thread.
            await asyncio.sleep(getattr(answer, "hold_seconds", 0))
            return answer

        return Route(path, endpoint, methods=methods)

    def _missing(self, request: Request, error: Exception) -> Response:
        return frame.missing(self._configuration)


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


def _too_large(request: Request, error: Exception) -> Response:
    return api.failure(413, "the body is too large", kind="invalid_request_error")


def _gone_away(request: Request, error: Exception) -> Response:
    """An answer that nobody waits for."""
    return Response(status_code=400)
