"""The public API in this process, on the real Valkey, with a model server over real HTTP."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from api.asgi import create_app
from api.offer import Model
from api.providers.calls import Limits
from api.providers.demo import DemoProvider
from api.providers.openai import OpenAIProvider
from api.serving import Proxies
from gate.service.guarded import GuardedProtocol
from gate.service.sightings import Record, Sightings
from gate.store.hot_state import Entry
from tests.api.model_server import ModelServer
from tests.gate.world import World

BILLING_URL = "https://sansxel.example/account/billing"
# What is still under way then is cut, when a server ends.
STOP_SECONDS = 1
PATIENT = Limits(first_seconds=30, between_seconds=30, total_seconds=60, wait_seconds=1)


def offered(name: str, *, endpoint: str = "chat", **more: Any) -> Model:
    """A model that every plan may use for one chat, of the demo unless told otherwise."""
    says: dict[str, Any] = {
        "units": 1,
        "chats": 1,
        "plans": None,
        "provider": DemoProvider(),
        "name_at_provider": name,
    }
    return Model(name=name, endpoint=endpoint, **{**says, **more})


class Api:
    """A client of the API, and the gate behind it.

    models: those that are offered. Without any, `model_server` answers chats, the demo the rest.
    """

    def __init__(self, world: World, model_server: ModelServer) -> None:
        self.world = world
        world.catalogue = replace(world.catalogue, meters={"chat": 1, "images": 4, "voice": 2})
        self.model_server = model_server
        self.models: list[Model] = []
        self.limits = PATIENT
        self.trusted_proxies = 0
        self.cors_origins: list[str] = []
        self.hold_seconds = 60
        self.record_sightings: Record | None = None

    @property
    def provider(self) -> OpenAIProvider:
        """The model server, asked anew."""
        return OpenAIProvider(self.model_server.url, "model-key", limits=self.limits)

    @asynccontextmanager
    async def app(self) -> AsyncIterator[Starlette]:
        """The application until the end of the block."""
        models = self.models or [
            offered("house", provider=self.provider, name_at_provider="house-model"),
            offered("picture", endpoint="images"),
            offered("speech", endpoint="voice"),
        ]

        async def load_models() -> list[Model]:
            return models

        async with self.world.gate() as open_gate:
            app = create_app(
                gate=open_gate.gate,
                load_models=load_models,
                billing_url=BILLING_URL,
                proxies=Proxies(by_port=self.trusted_proxies),
                cors_origins=self.cors_origins,
                hold_seconds=self.hold_seconds,
                sightings=Sightings(record=self.record_sightings, written_every_seconds=0.05),
            )
            async with app.router.lifespan_context(app):
                yield app

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client until the end of the block; it gets every answer whole."""
        async with self.app() as app:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                yield client

    @asynccontextmanager
    async def server(self) -> AsyncIterator[str]:
        """The address of the API, served as in production, until the end of the block."""
        async with self.app() as app:
            config = uvicorn.Config(
                app,
                http=GuardedProtocol,
                lifespan="off",
                log_config=None,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
            server = uvicorn.Server(config)
            with socket.socket() as listening:
                listening.bind(("127.0.0.1", 0))
                listening.listen()
                task = asyncio.create_task(server.serve([listening]))
                try:
                    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
                finally:
                    server.should_exit = True
                    await task

    def ask(self, story: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
        """Run a story with a client of the API."""

        async def run() -> Any:
            async with self.client() as client:
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

    def complete(self, content: str = "Hello!", **more: Any) -> httpx.Response:
        """One chat in the shape of the OpenAI API."""
        body = {"messages": [{"role": "user", "content": content}], **more}
        return self.request(path="/api/v1/chat/completions", json=body)

    @property
    def used(self) -> int:
        """Chats that the gate counts this week."""
        return asyncio.run(self.count_used())

    def entries(self) -> list[Entry]:
        """The account's charges that wait for the drain."""

        async def read() -> list[Entry]:
            async with self.world.gate() as open_gate:
                return open_gate.entries()

        return asyncio.run(read())

    def refusals(self) -> list[str]:
        """Why requests of the account were refused, as it is counted for its owner."""

        async def read() -> dict[str, int]:
            async with self.world.gate() as open_gate:
                return open_gate.refusals()

        counted = [field.split("|") for field in asyncio.run(read())]
        return [reason for handle, _, _, reason in counted if handle == self.world.handle]

    async def count_used(self) -> int:
        """The same inside an event loop."""
        async with self.world.gate() as open_gate:
            decision = await open_gate.gate.check(key=self.world.key, units=0)
            assert decision.answer is not None
            return decision.answer.used


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    """A model server on loopback."""
    with ModelServer().running() as running:
        yield running


@pytest.fixture
def api(model_server: ModelServer) -> Api:
    """The API with an account on Free."""
    return Api(World(), model_server)
