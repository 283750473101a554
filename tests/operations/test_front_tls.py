"""The front ends TLS: deploy/Caddyfile with an address of https, before a whole site."""

import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from dev.site import CADDYFILE
from tests.api.model_server import ModelServer
from tests.patience import LONGEST_SECONDS
from tests.running_site import RunningSite, free_port

pytestmark = pytest.mark.slow

PASSWORD = "correct horse battery staple"
MAKE_KEYS = f"""
from uuid import uuid4
from accounts.models import User
from keys.issue import issue_api_key
from keys.limits import KeyLimits
user = User.objects.create_user("tls@example.com", "{PASSWORD}")
for network in ("10.1.2.3/32", "127.0.0.1/32"):
    _, text = issue_api_key(
        account=user.personal_account, name=network, submission=uuid4(), by=user,
        limits=KeyLimits(addresses=(network,)),
    )
    print(text)
"""


class Front:
    """Caddy by the file of production, with a certificate of its own making for localhost."""

    def __init__(self, folder: Path, *, port: int, site: RunningSite) -> None:
        self.folder = folder
        self.plain = f"http://localhost:{free_port()}"
        self.address = f"https://localhost:{port}"
        self.root = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        self.log = folder / "log"
        told = {
            "FRONT_ADDRESS": self.address,
            "FRONT_BIND": "127.0.0.1",
            "FRONT_HTTP_PORT": self.plain.rpartition(":")[2],
            "GATE_UPSTREAM": f"unix/{site.data_dir}/run/gate.sock",
            "SITE_UPSTREAM": f"unix/{site.data_dir}/run/site.sock",
            "STATIC_ROOT": str(site.data_dir / "static"),
            # Where it keeps certificates, and all that it keeps.
            "XDG_DATA_HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
        }
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    *(Path(sys.executable).with_name("caddy"), "run"),
                    *("--config", CADDYFILE, "--adapter", "caddyfile"),
                ],
                env={**os.environ, **told},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def until_ready(self) -> None:
        """Wait until it has a certificate and serves."""
        deadline = time.monotonic() + LONGEST_SECONDS
        while True:
            with suppress(httpx.HTTPError, FileNotFoundError), self.client() as client:
                client.get("/healthz")
                return
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def client(self) -> httpx.Client:
        """A browser that trusts its certificate and nobody else's."""
        trusting = ssl.create_default_context(cafile=self.root)
        return httpx.Client(base_url=self.address, verify=trusting, timeout=LONGEST_SECONDS)


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    """The model that chats are answered by."""
    with ModelServer().running() as running:
        yield running


@pytest.fixture(scope="module")
def port() -> int:
    """Where the site is for people."""
    return free_port()


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, model: ModelServer, port: int
) -> Iterator[RunningSite]:
    """Everything that scripts/run starts, told that its address is one with TLS."""
    running = RunningSite(
        tmp_path_factory.mktemp("t") / "d",
        SITE_URL=f"https://localhost:{port}",
        MODEL_BASE_URL=model.url,
        MODEL_NAME="house-model",
    )
    try:
        running.until_ready()
        yield running
    finally:
        if running.process.poll() is None:
            running.end()


@pytest.fixture(scope="module")
def front(
    tmp_path_factory: pytest.TempPathFactory, site: RunningSite, port: int
) -> Iterator[Front]:
    """The front of production before the same gate and pages."""
    front = Front(tmp_path_factory.mktemp("front"), port=port, site=site)
    try:
        front.until_ready()
        yield front
    finally:
        front.process.terminate()
        front.process.wait(LONGEST_SECONDS)


@pytest.fixture
def browser(front: Front) -> Iterator[httpx.Client]:
    """Somebody who asks by https."""
    with front.client() as client:
        yield client


@pytest.fixture(scope="module")
def keys(site: RunningSite) -> tuple[str, str]:
    """A key that is good from elsewhere alone, and one that is good from here alone."""
    elsewhere, here = site.manage("shell", "-v", "0", "-c", MAKE_KEYS).splitlines()[-2:]
    return elsewhere, here


@pytest.mark.parametrize("path", ["/pricing?from=mail", "/quota/v1/check", "/static/x.css"])
def test_plain_http_is_led_to_tls(front: Front, path: str) -> None:
    answer = httpx.get(f"{front.plain}{path}")
    assert answer.status_code == 308
    assert answer.headers["location"] == f"{front.address}{path}"


def test_who_signs_in_gets_cookies_for_tls_alone(
    browser: httpx.Client, front: Front, keys: tuple[str, str]
) -> None:
    page = browser.get("/auth/login/")
    assert page.status_code == 200
    assert page.headers["strict-transport-security"].startswith("max-age=31536000")
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert found
    told = {
        "login": "tls@example.com",
        "password": PASSWORD,
        "csrfmiddlewaretoken": found[1],
    }
    # Who comes by TLS must say from where; the site knows that it is its own address.
    assert browser.post("/auth/login/", data=told).status_code == 403
    answer = browser.post("/auth/login/", data=told, headers={"Referer": front.address})
    assert answer.status_code == 302, answer.text
    cookies = [*page.headers.get_list("set-cookie"), *answer.headers.get_list("set-cookie")]
    assert {cookie.partition("=")[0] for cookie in cookies} == {
        "__Host-csrftoken",
        "__Host-sessionid",
    }
    assert all("; Secure" in cookie for cookie in cookies), cookies
    assert browser.get("/account/keys").status_code == 200


def test_a_check_goes_through(
    browser: httpx.Client, site: RunningSite, keys: tuple[str, str]
) -> None:
    token = site.manage("issue_service_token", "tls").splitlines()[-1]
    answer = browser.post(
        "/quota/v1/check",
        json={"key": keys[1], "meter": "chat", "units": 1, "ip": "127.0.0.1"},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["allowed"] is True


def test_a_stream_arrives_as_it_is_made(
    browser: httpx.Client, model: ModelServer, keys: tuple[str, str]
) -> None:
    model.go_on.clear()
    with browser.stream(
        "POST",
        "/api/v1/chat",
        headers={"Authorization": f"Bearer {keys[1]}"},
        json={"messages": [{"role": "user", "content": "Hello!"}], "stream": True},
    ) as answer:
        assert answer.status_code == 200
        pieces = answer.iter_text()
        # The model says no more before this.
        assert next(pieces) == model.pieces[0]
        model.go_on.set()
        assert "".join(pieces) == "".join(model.pieces[1:])


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded"])
def test_no_client_says_where_it_is(
    browser: httpx.Client, keys: tuple[str, str], header: str
) -> None:
    def status(key: str) -> int:
        return browser.get(
            "/api/v1/quota", headers={"Authorization": f"Bearer {key}", header: "10.1.2.3"}
        ).status_code

    elsewhere, here = keys
    assert (status(elsewhere), status(here)) == (401, 200)


def test_no_client_says_by_which_scheme_it_came(site: RunningSite, front: Front) -> None:
    """By the front without TLS a page leads to the one with it, whatever the client claims."""
    answer = httpx.get(f"{site.address}/auth/login/", headers={"X-Forwarded-Proto": "https"})
    assert answer.status_code == 301
    assert answer.headers["location"].startswith("https://")
