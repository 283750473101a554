"""The public API in this process, on the real Valkey, with a model server over real HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from api.asgi import create_app
from api.model import DemoModel, OpenAIModel
from tests.api.model_server import ModelServer
from tests.gate.world import World

BILLING_URL = "https://sansxel.example/account/billing"


class Api:
    """A client of the API, and the gate behind it."""

    def __init__(self, world: World, model_server: ModelServer) -> None:
        self.world = world
        self.model_server = model_server
        self.uses_demo = False
        self.trusted_proxies = 0

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        async with self.world.gate() as open_gate:
            model = (
                DemoModel()
                if self.uses_demo
                else OpenAIModel(
                    base_url=self.model_server.url, api_key="model-key", model="house-model"
                )
            )
            app = create_app(
                gate=open_gate.gate,
                model=model,
                billing_url=BILLING_URL,
                proxies_by_port=self.trusted_proxies,
            )
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                yield client

    def ask(self, story: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
        """Run a story with a client of the API."""

        async def run() -> Any:
            async with self._client() as client:
                return await story(client)

        return asyncio.run(run())

    def request(
        self,
        *,
        key: str | None = None,
        method: str = "POST",
        path: str = "/api/v1/chat",
        **more: Any,
    ) -> httpx.Response:
        """One request, with the world's key unless told otherwise."""
        headers = {"Authorization": f"Bearer {self.world.key if key is None else key}"}
        headers |= more.pop("headers", {})

        async def story(client: httpx.AsyncClient) -> httpx.Response:
            return await client.request(method, path, headers=headers, **more)

        answer: httpx.Response = self.ask(story)
        return answer

    def chat(self, content: str = "Hello!", **more: Any) -> httpx.Response:
        """One chat."""
        headers = more.pop("headers", {})
        body = {"messages": [{"role": "user", "content": content}], **more}
        return self.request(json=body, headers=headers)

    @property
    def used(self) -> int:
        """Chats that the gate counts this week."""

        async def look() -> int:
            async with self.world.gate() as open_gate:
                decision = await open_gate.gate.check(key=self.world.key, units=0)
                assert decision.answer is not None
                return decision.answer.used

        return asyncio.run(look())


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    """A model server on loopback."""
    with ModelServer().running() as running:
        yield running


@pytest.fixture
def api(model_server: ModelServer) -> Api:
    """The API with an account on Free."""
    return Api(World(), model_server)
