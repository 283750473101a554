"""The quota-check service in this process, on the real Valkey."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
from redis.exceptions import RedisError
from uvicorn.config import Config
from uvicorn.server import ServerState

from gate.service import service
from gate.service.asgi import QuotaApp
from gate.service.guarded import GuardedProtocol
from gate.service.http import Receive, Scope, Send
from gate.service.service_tokens import ServiceTokens
from gate.service.shortcut import ShortcutProtocol
from gate.service.sightings import Record, Sightings
from gate.service.trust import Trust
from gate.store.snapshots import BoostGrant
from gate.terms import key_text
from gate.terms.week import week_of
from tests.gate.world import HOUR_MS, PEPPER, OpenGate, World, now_ms

BILLING_URL = "https://sansxel.example/account/billing"
PROBLEM = "application/problem+json"
RATE_HEADERS = {
    "ratelimit-policy",
    "ratelimit",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
}

Story = Callable[[httpx.AsyncClient], Awaitable[Any]]


class CountingApp(QuotaApp):
    """The service as an application that counts what reaches it by ASGI."""

    asgi_requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asgi_requests += 1
        await super().__call__(scope, receive, send)


class Served:
    """The service behind our web server's own protocol, on a port of its own."""

    def __init__(
        self, app: CountingApp, *, protocol: type[GuardedProtocol] = ShortcutProtocol
    ) -> None:
        self.app = app
        self.port = 0
        self._protocol = protocol
        self.connections_made = 0
        self._config = Config(app, interface="asgi3", proxy_headers=False, log_config=None)
        self._state = ServerState()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Served"]:
        """Listen for a while."""
        server = await asyncio.get_running_loop().create_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for connection in list(self._state.connections):
                connection.transport.abort()

    def _connect(self) -> GuardedProtocol:
        self.connections_made += 1
        return self._protocol(self._config, self._state, {})

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection to it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield reader, writer
        finally:
            writer.close()

    def shut_down(self) -> None:
        """Tell every connection that the server stops."""
        for connection in list(self._state.connections):
            connection.shutdown()


class QuotaService:
    """The service, a valid service token, and the world behind it.

    by_shortcut: asked over a socket of our web server, instead of by ASGI in this process.
    """

    def __init__(self, world: World, *, by_shortcut: bool = False) -> None:
        self.world = world
        self.by_shortcut = by_shortcut
        self.token = key_text.new_service_token()
        self.tokens = {key_text.digest(self.token, PEPPER): Trust(token_id=1, name="gateway")}
        self.ignored: Counter[int] = Counter()
        self.record_sightings: Record | None = None

    async def load_tokens(self) -> dict[str, Trust]:
        return dict(self.tokens)

    async def record_ignored(self, counts: Mapping[int, int]) -> None:
        self.ignored.update(counts)

    def trust(self, **what: Any) -> None:
        """Trust the gateway with something."""
        self.tokens = {one: replace(trust, **what) for one, trust in self.tokens.items()}

    @asynccontextmanager
    async def app(self) -> AsyncIterator[tuple[CountingApp, OpenGate]]:
        """The service as an application, ready to answer, and the gate behind it."""
        async with self.world.gate() as open_gate:
            tokens = ServiceTokens(
                peppers=[PEPPER], load=self.load_tokens, record_ignored=self.record_ignored
            )
            if self.by_shortcut:
                # Only what need not wait for these takes the shortcut.
                with contextlib.suppress(RedisError):
                    await open_gate.connect()
                await tokens.refresh_if_due()
            answering = service.QuotaService(
                gate=open_gate.gate,
                service_tokens=tokens,
                billing_url=BILLING_URL,
                sightings=Sightings(record=self.record_sightings, written_every_seconds=0.05),
            )
            yield CountingApp(answering), open_gate

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Served]:
        """The service behind our web server's protocol."""
        async with self.app() as (app, _), Served(app).running() as served:
            yield served

    @asynccontextmanager
    async def client(self) -> AsyncIterator[tuple[httpx.AsyncClient, OpenGate]]:
        """A client of the service, and the gate behind it."""
        async with self.app() as (app, open_gate), AsyncExitStack() as stack:
            transport: httpx.AsyncBaseTransport = httpx.ASGITransport(app=app)
            url = "http://quota"
            if self.by_shortcut:
                served = await stack.enter_async_context(Served(app).running())
                transport, url = httpx.AsyncHTTPTransport(), f"http://127.0.0.1:{served.port}"
            # Told, so that answers can be compared.
            headers = {"X-Request-Id": "told"}
            client = httpx.AsyncClient(transport=transport, base_url=url, headers=headers)
            yield await stack.enter_async_context(client), open_gate

    def tell(self, story: Story) -> Any:
        """Run a story with a client of the service."""

        async def run() -> Any:
            async with self.client() as (client, _):
                return await story(client)

        return asyncio.run(run())

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request, with nothing in it but what is told."""
        answer: httpx.Response = self.tell(lambda client: client.request(method, path, **more))
        return answer

    def post(self, path: str, body: Any, *, token: str | None = None) -> httpx.Response:
        """One JSON body, with the service token unless another is told."""
        return self.request("POST", f"/quota/v1/{path}", **self.words(body, token=token))

    def words(self, body: Any, *, token: str | None = None) -> dict[str, Any]:
        """Headers and body of a request; a body of bytes is sent as it stands."""
        return {
            "headers": {
                "Authorization": f"Bearer {self.token if token is None else token}",
                "Content-Type": "application/json",
            },
            "content": body if isinstance(body, bytes) else json.dumps(body).encode(),
        }

    def check(self, **members: Any) -> httpx.Response:
        """One check of the world's key."""
        return self.post("check", {"key": self.world.key, **members})

    def authorize(
        self, *headers: tuple[str, str], method: str = "GET", path: str = "", key: str | None = None
    ) -> httpx.Response:
        """One question of a gateway about the world's key, with more headers."""
        return self.request(
            method,
            f"/quota/v1/authorize{path}",
            headers=[
                ("Authorization", f"Bearer {self.world.key if key is None else key}"),
                ("X-Quota-Service-Token", self.token),
                *headers,
            ],
        )

    def use_up(self, chats: int = 50) -> None:
        """Let PostgreSQL say that so many chats of this week's allowance are used."""
        self.world.grant(used=chats, week=week_of(now_ms()))

    def push(self) -> None:
        """Bring what PostgreSQL says of the account to a Valkey that knows it already."""

        async def run() -> None:
            async with self.world.gate() as open_gate:
                await open_gate.push()

        asyncio.run(run())

    def boost(self, boost_id: int, chats: int) -> BoostGrant:
        """A boost that ends tomorrow."""
        return BoostGrant(
            boost_id=boost_id, chats=chats, expires_ms=now_ms() + 24 * HOUR_MS, spent=0
        )

    @property
    def remaining(self) -> dict[str, int]:
        """What is left, by source."""
        left: dict[str, int] = self.check(units=0).json()["remaining"]
        return left


def assert_problem(
    answer: httpx.Response, status: int, code: str, field: str | None = None
) -> dict[str, Any]:
    """The problem document of an answer, which must say all of this."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == PROBLEM
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["code"], body.get("field")) == (status, code, field)
    assert body["type"] == "about:blank"
    assert body["title"] != "Error"
    assert body["detail"].endswith(".")
    return body
