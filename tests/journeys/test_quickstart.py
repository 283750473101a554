"""The quickstart's examples as they stand on the page, run as programs of their own."""

import html
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.api.model_server import ModelServer
from tests.patience import LONGEST_SECONDS
from tests.running_site import RunningSite

pytestmark = pytest.mark.slow

MAKE_KEY = """
from uuid import uuid4
from accounts.models import User
from keys.issue import issue_api_key
user = User.objects.create_user(f"{uuid4().hex}@example.com", "correct horse battery staple")
print(issue_api_key(account=user.personal_account, name="sample", submission=uuid4(), by=user)[1])
"""


@pytest.fixture(scope="module")
def model_server() -> Iterator[ModelServer]:
    """A model server on loopback."""
    with ModelServer().running() as running:
        yield running


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, model_server: ModelServer
) -> Iterator[RunningSite]:
    """A site with a model of its own behind it."""
    running = RunningSite(
        tmp_path_factory.mktemp("model-site") / "data",
        MODEL_BASE_URL=model_server.url,
        MODEL_NAME="house-model",
    )
    try:
        running.until_ready()
        yield running
    finally:
        if running.process.poll() is None:
            running.end()


@pytest.fixture(scope="module")
def key(site: RunningSite) -> str:
    """A key of a fresh account."""
    return site.manage("shell", "--no-imports", "--command", MAKE_KEY).splitlines()[-1]


@pytest.fixture(autouse=True)
def _well_behaved(model_server: ModelServer) -> None:
    model_server.pieces = ["Hel", "lo, ", "wörld"]
    model_server.ending = "whole"
    model_server.status = 200
    model_server.go_on.set()


def example(site: RunningSite, code_id: str) -> str:
    """The text of one example, as a reader would copy it."""
    page = httpx.get(f"{site.address}/docs/quickstart").text
    start = page.index(f'id="{code_id}"')
    body = page[page.index(">", start) + 1 : page.index("</code>", start)]
    return html.unescape(re.sub("<[^>]+>", "", body))


def run(command: list[str], key: str) -> str:
    ended = subprocess.run(
        command,
        env={**os.environ, "SANSXEL_KEY": key},
        capture_output=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout.decode()


def test_the_python_example_prints_the_reply(site: RunningSite, key: str) -> None:
    assert run([sys.executable, "-c", example(site, "q-py")], key) == "Hello, wörld"


def test_the_javascript_example_prints_the_reply(
    site: RunningSite, key: str, tmp_path: Path
) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node.js here")
    program = tmp_path / "example.mjs"
    program.write_text(example(site, "q-js"))
    assert run([node, str(program)], key) == "Hello, wörld"


def test_the_curl_example_prints_the_reply(site: RunningSite, key: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    assert run(["sh", "-c", example(site, "q-curl")], key) == "Hello, wörld"


def test_the_example_for_openais_python_client_prints_the_reply(
    site: RunningSite, key: str
) -> None:
    assert run([sys.executable, "-c", example(site, "q-openai-py")], key) == "Hello, wörld"


def test_the_example_for_openais_javascript_client_prints_the_reply(
    site: RunningSite, key: str, openai_modules: Path
) -> None:
    program = openai_modules.parent / "example.mjs"
    program.write_text(example(site, "q-openai-js"))
    assert run(["node", str(program)], key) == "Hello, wörld"


def test_without_a_model_of_their_own_pictures_and_speech_are_not_offered(
    site: RunningSite, key: str
) -> None:
    for path, body in (("images", {"prompt": "A lighthouse"}), ("voice", {"text": "Hello"})):
        answer = httpx.post(
            f"{site.address}/api/v1/{path}", headers={"Authorization": f"Bearer {key}"}, json=body
        )
        assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")


def test_a_chunk_arrives_before_the_next_one_is_made(
    site: RunningSite, key: str, model_server: ModelServer
) -> None:
    model_server.go_on.clear()
    # If the first chunk waits for the rest, this ends the wait and the test fails by its order.
    give_up = threading.Timer(10, model_server.go_on.set)
    give_up.start()
    with _open_chat(site, key) as answer:
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        chunks = answer.iter_text()
        assert next(chunks) == "Hel"
        assert not model_server.go_on.is_set()
        model_server.go_on.set()
        assert "".join(chunks) == "lo, wörld"
    give_up.cancel()


def test_a_reply_that_breaks_off_is_noticed_and_costs_nothing(
    site: RunningSite, key: str, model_server: ModelServer
) -> None:
    left = _left(site, key)
    model_server.ending = "cut"
    with pytest.raises(httpx.RemoteProtocolError), _open_chat(site, key) as answer:
        for _ in answer.iter_bytes():
            pass
    model_server.ending = "whole"
    assert _left(site, key) == left - 1


def test_a_client_that_goes_away_ends_the_models_work(
    site: RunningSite, key: str, model_server: ModelServer
) -> None:
    model_server.pieces = ["word "] * 100_000
    with _open_chat(site, key) as answer:
        next(answer.iter_bytes())
    assert model_server.cut_off.wait(LONGEST_SECONDS)


def _open_chat(site: RunningSite, key: str):  # type: ignore[no-untyped-def]
    return httpx.stream(
        "POST",
        f"{site.address}/api/v1/chat",
        headers={"Authorization": f"Bearer {key}"},
        json={"messages": [{"role": "user", "content": "Hello!"}], "stream": True},
        timeout=LONGEST_SECONDS,
    )


def _left(site: RunningSite, key: str) -> int:
    """Chats left after one more chat, which this makes."""
    answer = httpx.post(
        f"{site.address}/api/v1/chat",
        headers={"Authorization": f"Bearer {key}", "X-Request-Id": uuid4().hex},
        json={"messages": [{"role": "user", "content": "Hello!"}]},
        timeout=LONGEST_SECONDS,
    )
    assert answer.status_code == 200
    return int(answer.headers["x-ratelimit-remaining"])
