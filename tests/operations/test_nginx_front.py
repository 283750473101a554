"""nginx as the front, by the file in deploy/: before the gate and the pages of scripts/run."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from dev.conditions import REPOSITORY
from tests.patience import LONGEST_SECONDS
from tests.running_site import RunningSite, free_port

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NGINX is None, reason="there is no nginx on this machine"),
]

FRAME = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 128; }}
http {{
    types {{ text/css css; text/html html; }}
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {block}
}}
"""


def configuration(folder: Path, site: RunningSite, port: int) -> str:
    """The file as it stands there, without TLS and where this site's sockets and files are."""
    block = (REPOSITORY / "deploy" / "nginx.conf").read_text()
    changes = (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port};"),
        ("server_name ACCOUNT.EXAMPLE.COM;", ""),
        (r"ssl_certificate\S*\s+\S+;", ""),
        ("/run/sansxel/", f"{site.data_dir}/run/"),
        ("/var/lib/sansxel", str(site.data_dir)),
    )
    for pattern, value in changes:
        block, count = re.subn(pattern, value, block)
        assert count, pattern
    return FRAME.format(folder=folder, block=block)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """Everything that scripts/run starts, its own front included."""
    running = RunningSite(tmp_path_factory.mktemp("n") / "d")
    try:
        running.until_ready()
        yield running
    finally:
        if running.process.poll() is None:
            running.end()


@pytest.fixture(scope="module")
def front(site: RunningSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of an nginx before the same gate and pages."""
    assert NGINX
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    file = folder / "nginx.conf"
    file.write_text(configuration(folder, site, port))
    nginx = subprocess.Popen([NGINX, "-c", str(file), "-p", str(folder)])
    try:
        headers = {"Host": f"127.0.0.1:{site.port}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers) as client:
            deadline = time.monotonic() + LONGEST_SECONDS
            while True:
                with suppress(httpx.HTTPError):
                    client.get("/healthz")
                    break
                assert time.monotonic() < deadline, (folder / "error.log").read_text()
                time.sleep(0.05)
            yield client
    finally:
        nginx.terminate()
        nginx.wait()


def test_pages_the_gate_and_files_have_one_address(front: httpx.Client) -> None:
    page = front.get("/pricing")
    assert page.status_code == 200
    assert page.headers["content-encoding"] == "gzip"
    assert front.get("/quota/v1/openapi.json").json()["openapi"]
    assert front.get("/api/v1/quota").status_code == 401
    assert front.get("/readyz").status_code == 200
    found = re.search(r'href="(/static/css/\S+?\.css)"', page.text)
    assert found
    style = front.get(found[1])
    assert style.status_code == 200
    assert style.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_what_is_too_large_is_refused(front: httpx.Client) -> None:
    assert front.post("/stripe/webhook", content=b"x" * 3_000_000).status_code == 413


def test_it_says_what_nobody_behind_it_can_say(front: httpx.Client, site: RunningSite) -> None:
    assert site.end() == 0
    api = front.get("/quota/v1/openapi.json")
    assert api.status_code == 503
    assert api.json()["code"] == "quota_unavailable"
    page = front.get("/pricing")
    assert page.status_code == 503
    assert "Back in a moment" in page.text
