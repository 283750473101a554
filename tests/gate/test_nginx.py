"""The nginx of the README, as it stands there: a real nginx between customers, gate and an API."""

import asyncio
import re
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from dev.conditions import REPOSITORY
from gate.service.http import Receive, Scope, Send
from gate.terms import addresses
from tests.gate.quota_service import BILLING_URL, QuotaService, Served
from tests.gate.world import World
from tests.running_site import free_port

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="there is no nginx on this machine")

PIECES = 3
FRAME = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 128; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {block}
}}
"""


class TheApi:
    """What stands behind the gateway: it says what reached it."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.may_go_on = asyncio.Event()
        self.port = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        self.requests.append({"headers": headers, "size": size, "version": scope["http_version"]})
        status = int(headers.get("x-answer", "200"))
        begun = {"type": "http.response.start", "status": status, "headers": []}
        await send(begun)
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        pieces = [b" second"]
        if scope["path"].endswith("/stream"):
            pieces = [b" piece"] * PIECES
        for piece in pieces:
            if len(pieces) > 1:
                await self.may_go_on.wait()
                self.may_go_on.clear()
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    @asynccontextmanager
    async def running(self) -> AsyncIterator["TheApi"]:
        config = Config(self, interface="asgi3", log_config=None)
        state = ServerState()
        server = await asyncio.get_running_loop().create_server(
            lambda: HttpToolsProtocol(config, state, {}), "127.0.0.1", 0
        )
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for connection in list(state.connections):
                connection.transport.abort()


def block_of_the_readme() -> str:
    """The configuration that the README shows."""
    found = re.findall(r"```nginx\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    assert len(found) == 1
    return str(found[0])


@asynccontextmanager
async def nginx(
    folder: Path, *, gate_port: int, api_port: int, token: str
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a running nginx; only ports and the token are not as in the README."""
    port = free_port()
    block = block_of_the_readme()
    for there, here in (
        ("server 127.0.0.1:8001;", f"server 127.0.0.1:{gate_port};"),
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("http://your-api;", f"http://127.0.0.1:{api_port};"),
        ("svc_…", token),
    ):
        assert block.count(there) == 1
        block = block.replace(there, here)
    configuration = folder / "nginx.conf"
    configuration.write_text(FRAME.format(folder=folder, block=block))
    assert NGINX is not None
    process = await asyncio.create_subprocess_exec(
        NGINX, "-p", str(folder), "-c", str(configuration), "-e", str(folder / "error.log")
    )
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False
        ) as client:
            deadline = time.monotonic() + 30
            while True:
                assert process.returncode is None, (folder / "error.log").read_text()
                try:
                    await client.get("/")
                    break
                except httpx.ConnectError:
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.02)
            yield client
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


class Gateway:
    """nginx with the gate and an API behind it, and customers in front of it."""

    def __init__(
        self, service: QuotaService, served: Served, api: TheApi, client: httpx.AsyncClient
    ) -> None:
        self.service, self.served, self.api, self.client = service, served, api, client

    async def ask(
        self, method: str = "POST", path: str = "/v1/chat", *, key: str | None = None, **more: Any
    ) -> httpx.Response:
        """A customer's request, with the world's key unless told otherwise."""
        headers = more.pop("headers", [])
        used = self.service.world.key if key is None else key
        if used:
            headers = [("Authorization", f"Bearer {used}"), *headers]
        return await self.client.request(method, path, headers=headers, **more)

    async def left(self) -> int:
        """Chats that the gate says are left."""
        async with self.service.world.gate() as open_gate:
            look = await open_gate.gate.check(
                key=self.service.world.key, units=0, address=addresses.to_hex("127.0.0.1")
            )
            return int(look.answer.allowance_left)  # type: ignore[union-attr, arg-type]


@pytest.fixture
def service() -> QuotaService:
    """The service as the README's nginx is known to it."""
    service = QuotaService(World(), by_shortcut=True)
    service.trust(client_ip=True)
    return service


@pytest.fixture
def gateway(service: QuotaService, tmp_path: Path) -> Callable[[], Any]:
    """Opens the gateway; the account may be changed before."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Gateway]:
        async with (
            service.served() as served,
            TheApi().running() as api,
            nginx(
                tmp_path, gate_port=served.port, api_port=api.port, token=service.token
            ) as client,
        ):
            yield Gateway(service, served, api, client)

    return opened


Opened = Callable[[], Any]


async def test_what_is_allowed_reaches_the_api_with_whom_it_is_about(gateway: Opened) -> None:
    async with gateway() as there:
        answer = await there.ask(content=b"hello")
        assert (answer.status_code, answer.text) == (200, "first second")
        assert answer.headers["ratelimit"].startswith('"week";r=49;t=')
        (request,) = there.api.requests
        assert (request["size"], request["version"]) == (5, "1.1")
        assert request["headers"]["x-quota-account"] == there.service.world.handle
        assert request["headers"]["x-quota-key"] == "7"
        assert request["headers"]["x-quota-charge"].startswith("ch_")
        assert "authorization" not in request["headers"]
        assert await there.left() == 49


async def test_nothing_that_a_customer_forges_arrives_anywhere(
    gateway: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    forged = [
        ("X-Quota-Request-Id", "same"),
        ("X-Quota-Tag", "somebody"),
        ("X-Quota-Units", "0"),
        ("X-Quota-Meter", "nonsense"),
        ("X-Quota-Client-IP", "192.0.2.9"),
        ("X-Quota-Service-Token", "svc_mine"),
        ("X-Quota-Account", "Somebody"),
        ("X-Quota-Key", "1"),
        ("X-Quota-Charge", "ch_mine"),
        ("X-Forwarded-For", "192.0.2.9"),
        ("X_Quota_Client_IP", "192.0.2.9"),
        ("X-Forwarded-Method", "OPTIONS"),
        ("Origin", "https://app.example"),
        ("Access-Control-Request-Method", "POST"),
    ]
    async with gateway() as there:
        for _ in range(3):
            assert (await there.ask(headers=forged)).status_code == 200
        assert await there.left() == 47
        for request in there.api.requests:
            said = {n: v for n, v in request["headers"].items() if n.startswith("x-quota")}
            assert said.keys() == {"x-quota-account", "x-quota-key", "x-quota-charge"}
            assert said["x-quota-account"] == there.service.world.handle
        assert len({r["headers"]["x-quota-charge"] for r in there.api.requests}) == 3
        assert (await there.ask(key="", headers=forged)).status_code == 401
        # None of it was even ignored: it never came to the gate.
        assert "was ignored" not in caplog.text


@pytest.mark.parametrize(("network", "status"), [("127.0.0.0/8", 200), ("192.0.2.0/24", 401)])
async def test_a_bound_key_works_from_the_address_that_nginx_sees(
    gateway: Opened, service: QuotaService, network: str, status: int
) -> None:
    bound = (addresses.network_to_hex(network),)
    service.world.grant(keys=(service.world.key_state(version=2, addresses=bound),))
    async with gateway() as there:
        answer = await there.ask(headers=[("X-Quota-Client-IP", "192.0.2.9")])
        assert answer.status_code == status


def assert_refused(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-quota-reason"] == code
    assert (answer.json()["status"], answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("key", ["", "noise", "sk_" + "a" * 46])
async def test_without_a_valid_key_it_is_401(gateway: Opened, key: str) -> None:
    async with gateway() as there:
        answer = await there.ask(key=key)
        assert_refused(answer, 401, "invalid_key")
        assert answer.headers["www-authenticate"] == 'Bearer realm="api"'
        assert there.api.requests == []


async def test_a_suspended_account_is_403(gateway: Opened, service: QuotaService) -> None:
    service.world.grant(suspended=True)
    async with gateway() as there:
        assert_refused(await there.ask(), 403, "not_permitted")
        assert there.api.requests == []


async def test_used_up_is_429_and_says_when_and_where(
    gateway: Opened, service: QuotaService
) -> None:
    service.use_up()
    async with gateway() as there:
        answer = await there.ask()
        assert_refused(answer, 429, "quota_exhausted")
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["link"] == f'<{BILLING_URL}>; rel="payment"'
        assert answer.headers["ratelimit"].startswith('"week";r=0;t=')
        assert there.api.requests == []


async def test_where_waiting_does_not_help_nginx_does_not_say_so(
    gateway: Opened, service: QuotaService
) -> None:
    service.world.grant(plan="none")
    async with gateway() as there:
        answer = await there.ask()
        assert_refused(answer, 429, "above_plan_cap")
        assert "retry-after" not in answer.headers


async def test_the_operators_fault_is_503(gateway: Opened, service: QuotaService) -> None:
    service.tokens.clear()
    async with gateway() as there:
        answer = await there.ask()
        assert_refused(answer, 503, "gateway_misconfigured")
        assert int(answer.headers["retry-after"]) > 0


async def test_a_large_body_passes_and_a_larger_one_is_not_charged(gateway: Opened) -> None:
    async with gateway() as there:
        assert (await there.ask(content=b"x" * 5_000_000)).status_code == 200
        assert there.api.requests[0]["size"] == 5_000_000
        assert (await there.ask(content=b"x" * 11_000_000)).status_code == 413
        assert await there.left() == 49


async def test_a_refused_body_is_no_trouble(gateway: Opened, service: QuotaService) -> None:
    service.use_up()
    async with gateway() as there:
        assert_refused(await there.ask(content=b"x" * 5_000_000), 429, "quota_exhausted")


async def test_a_reply_is_passed_on_as_it_is_made(gateway: Opened) -> None:
    async with gateway() as there:
        headers = {"Authorization": f"Bearer {there.service.world.key}"}
        async with there.client.stream("POST", "/v1/stream", headers=headers) as answer:
            pieces = answer.aiter_raw()
            assert await anext(pieces) == b"first"
            for _ in range(PIECES):
                # The next is made only when this one was seen.
                there.api.may_go_on.set()
                assert await anext(pieces) == b" piece"


async def test_connections_to_the_gate_are_kept(gateway: Opened) -> None:
    async with gateway() as there:
        for _ in range(5):
            assert (await there.ask()).status_code == 200
        assert there.served.connections_made == 1


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
async def test_the_apis_own_errors_are_its_own(gateway: Opened, status: int) -> None:
    async with gateway() as there:
        answer = await there.ask(headers=[("X-Answer", str(status))])
        assert (answer.status_code, answer.text) == (status, "first second")


async def test_a_preflight_passes_without_a_key(gateway: Opened) -> None:
    asked = [("Origin", "https://app.example"), ("Access-Control-Request-Method", "POST")]
    async with gateway() as there:
        assert (await there.ask("OPTIONS", key="", headers=asked)).status_code == 200
        assert (await there.ask("OPTIONS", key="")).status_code == 401
        assert await there.left() == 50


async def test_nobody_asks_the_gate_through_nginx(gateway: Opened) -> None:
    async with gateway() as there:
        assert (await there.ask("GET", "/_quota")).status_code == 404


async def test_a_gate_that_is_gone_is_503(service: QuotaService, tmp_path: Path) -> None:
    async with (
        TheApi().running() as api,
        nginx(tmp_path, gate_port=free_port(), api_port=api.port, token=service.token) as client,
    ):
        answer = await client.get(
            "/v1/chat", headers={"Authorization": f"Bearer {service.world.key}"}
        )
        assert_refused(answer, 503, "quota_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert api.requests == []


@pytest.mark.slow
async def test_a_gate_that_hangs_is_503(service: QuotaService, tmp_path: Path) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    hanging = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = hanging.sockets[0].getsockname()[1]
    async with (
        hanging,
        TheApi().running() as api,
        nginx(tmp_path, gate_port=port, api_port=api.port, token=service.token) as client,
    ):
        # The client of the test waits 30 s at the most.
        answer = await client.get(
            "/v1/chat", headers={"Authorization": f"Bearer {service.world.key}"}
        )
        assert_refused(answer, 503, "quota_unavailable")
        assert api.requests == []
