"""The front: one address, which bounds what comes in and is believed about where that came from."""

import re

import httpx
import pytest

from tests.patience import until
from tests.running_site import RunningSite

pytestmark = pytest.mark.slow

BOUND_KEYS = """
from uuid import uuid4
from accounts.models import User
from keys.issue import issue_api_key
from keys.limits import KeyLimits
user = User.objects.create_user("bound@example.com", "correct horse battery staple")
for network in ("10.1.2.3/32", "127.0.0.1/32"):
    _, text = issue_api_key(
        account=user.personal_account, name=network, submission=uuid4(), by=user,
        limits=KeyLimits(addresses=(network,)),
    )
    print(text)
"""


@pytest.fixture(scope="module")
def keys(site: RunningSite) -> tuple[str, str]:
    """A key that is good from elsewhere alone, and one that is good from here alone."""
    elsewhere, here = site.manage("shell", "-v", "0", "-c", BOUND_KEYS).splitlines()[-2:]
    return elsewhere, here


def style_sheet(site: RunningSite) -> str:
    found = re.search(r'href="(/static/css/\S+?\.css)"', httpx.get(f"{site.address}/").text)
    assert found
    return found[1]


def test_static_files_are_packed_and_kept_for_good(site: RunningSite) -> None:
    path = f"{site.address}{style_sheet(site)}"
    for encoding in ("br", "gzip"):
        answer = httpx.head(path, headers={"Accept-Encoding": encoding})
        assert answer.status_code == 200
        assert answer.headers["content-encoding"] == encoding
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-type"].startswith("text/css")


@pytest.mark.parametrize("path", ["/static/../secrets.json", "/static/%2e%2e/secrets.json"])
def test_no_other_file_is_served(site: RunningSite, path: str) -> None:
    with httpx.Client(base_url=site.address) as client:
        request = client.build_request("GET", "/")
        request.url = request.url.copy_with(raw_path=path.encode())
        assert client.send(request).status_code in {400, 404}


def test_pages_are_packed_and_may_be_asked_for_again_by_their_etag(site: RunningSite) -> None:
    headers = {"Accept-Encoding": "gzip"}
    first = httpx.get(f"{site.address}/pricing", headers=headers)
    assert first.headers["content-encoding"] == "gzip"
    again = httpx.get(
        f"{site.address}/pricing", headers={**headers, "If-None-Match": first.headers["etag"]}
    )
    assert again.status_code == 304


@pytest.mark.parametrize("path", ["/pricing", "/quota/v1/openapi.json", "/api/v1/quota", "/no"])
def test_a_fair_request_id_is_kept_and_another_is_replaced(site: RunningSite, path: str) -> None:
    def told(request_id: str) -> str:
        answer = httpx.get(f"{site.address}{path}", headers={"X-Request-Id": request_id})
        assert len(answer.headers.get_list("x-request-id")) == 1
        return str(answer.headers["x-request-id"])

    assert told("order-17") == "order-17"
    assert told("two words") not in {"", "two words"}
    assert told("x" * 129) != "x" * 129


def test_no_client_says_where_it_is(site: RunningSite, keys: tuple[str, str]) -> None:
    elsewhere, here = keys
    for port in (site.port, site.gate_port):
        for forwarded in ({}, {"X-Forwarded-For": "10.1.2.3"}, {"X-Real-IP": "10.1.2.3"}):

            def status(key: str, port: int = port, more: dict[str, str] = forwarded) -> int:
                return httpx.get(
                    f"http://127.0.0.1:{port}/api/v1/quota",
                    headers={"Authorization": f"Bearer {key}", **more},
                ).status_code

            assert (status(elsewhere), status(here)) == (401, 200), (port, forwarded)


def test_what_is_too_large_is_refused_before_it_is_read(site: RunningSite) -> None:
    api = httpx.post(f"{site.address}/api/v1/chat", content=b"x" * 3_000_000)
    assert api.status_code == 413
    assert api.headers["content-type"] == "application/problem+json"
    page = httpx.post(f"{site.address}/stripe/webhook", content=b"x" * 3_000_000)
    assert page.status_code == 413
    head = httpx.get(f"{site.address}/", headers={"X-Long": "x" * 70_000})
    assert head.status_code == 431


def test_the_front_says_that_it_lives_and_that_nothing_is_missing(site: RunningSite) -> None:
    assert httpx.get(f"{site.address}/healthz").json() == {"status": "ok"}

    def is_whole() -> bool:
        ready = httpx.get(f"{site.address}/readyz")
        assert ready.status_code == 200
        return bool(ready.json() == {"status": "ok", "problems": []})

    # Every part has given a sign of life soon.
    until(is_whole)
