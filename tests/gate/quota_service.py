"""The quota-check service in this process, on the real Valkey."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from gate import digest
from gate.asgi import create_app
from gate.check import now_ms
from gate.service_tokens import ServiceTokens
from gate.snapshots import BoostGrant
from gate.week import week_of
from tests.gate.conftest import HOUR_MS, PEPPER, OpenGate, World

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


class QuotaService:
    """The service, a valid service token, and the world behind it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.token = digest.new_service_token()
        self.digests = {digest.digest(self.token, PEPPER)}

    async def load_digests(self) -> frozenset[str]:
        return frozenset(self.digests)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[tuple[httpx.AsyncClient, OpenGate]]:
        """A client of the service, and the gate behind it."""
        async with self.world.gate() as open_gate:
            app = create_app(
                gate=open_gate.gate,
                service_tokens=ServiceTokens(peppers=[PEPPER], load=self.load_digests),
                billing_url=BILLING_URL,
            )
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://quota") as client:
                yield client, open_gate

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
