"""Signing in by way of GitHub: a site that behaves as GitHub does stands in for it, over HTTP."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.accounts.test_second_factor import code_of
from tests.journeys.test_pages_look_right import problems, sign_up
from tests.running_site import RunningSite

pytestmark = [pytest.mark.slow, pytest.mark.browser]


class GitHub(ThreadingHTTPServer):
    """Who is signed in there is whoever the test says: a number and an address."""

    daemon_threads = True
    person: tuple[int, str] = (1, "nobody@example.com")
    is_away = False


class Answers(BaseHTTPRequestHandler):
    server: GitHub

    def do_GET(self) -> None:
        """The page that asks, answered by a person who agrees; and who they are."""
        parts = urlsplit(self.path)
        number, email = self.server.person
        if parts.path == "/login/oauth/authorize":
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            back = urlencode({"code": "once", "state": asked["state"]})
            self.send_response(302)
            self.send_header("Location", f"{asked['redirect_uri']}?{back}")
            self.end_headers()
        elif parts.path == "/api/v3/user":
            self._say({"id": number, "login": f"person-{number}", "name": "P", "email": email})
        else:
            self._say([{"email": email, "primary": True, "verified": True}])

    def do_POST(self) -> None:
        """A token for the code."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.server.is_away:
            self.send_error(500)
            return
        self._say({"access_token": "token", "token_type": "bearer", "scope": "user:email"})

    def _say(self, what: object) -> None:
        body = json.dumps(what).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def github() -> Iterator[GitHub]:
    server = GitHub(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def known_site(tmp_path_factory: pytest.TempPathFactory, github: GitHub) -> Iterator[RunningSite]:
    """A site that GitHub knows."""
    running = RunningSite(
        tmp_path_factory.mktemp("known") / "data",
        GITHUB_CLIENT_ID="known",
        GITHUB_CLIENT_SECRET="secret",
        GITHUB_URL=f"http://127.0.0.1:{github.server_port}",
    )
    try:
        running.until_ready()
        yield running
    finally:
        if running.process.poll() is None:
            running.end()


def new_person(github: GitHub) -> str:
    """Somebody else is signed in at GitHub now; answers their address."""
    number = uuid4().int % 10**9
    github.person = (number, f"person-{number}@example.com")
    github.is_away = False
    return github.person[1]


def go_by_github(page: Page, site: RunningSite) -> None:
    page.goto(f"{site.address}/auth/login/")
    page.get_by_role("button", name="Go on with GitHub").click()


def sign_out(page: Page, site: RunningSite) -> None:
    page.goto(f"{site.address}/auth/logout/")
    page.get_by_role("main").get_by_role("button", name="Sign out").click()


def test_somebody_new_gets_an_account_and_comes_back_to_it(
    page: Page, known_site: RunningSite, github: GitHub
) -> None:
    email = new_person(github)
    go_by_github(page, known_site)
    expect(page).to_have_url(f"{known_site.address}/account/keys")
    sign_out(page, known_site)
    go_by_github(page, known_site)
    page.goto(f"{known_site.address}/account/security")
    expect(page.get_by_role("main")).to_contain_text(email)
    assert problems(page) == []
    # Their only way in does not go.
    page.get_by_role("button", name="Disconnect GitHub").click()
    expect(page.get_by_role("heading", name="This connection stays")).to_be_visible()
    assert problems(page) == []


def test_an_address_that_is_ours_is_not_taken_over_and_is_connected_by_its_owner(
    page: Page, chromium: Browser, known_site: RunningSite, github: GitHub
) -> None:
    email = sign_up(page, known_site)
    number = uuid4().int % 10**9
    github.person = (number, email)
    stranger = chromium.new_page()
    go_by_github(stranger, known_site)
    expect(stranger.get_by_role("heading", name="Your address")).to_be_visible()
    assert problems(stranger) == []
    stranger.get_by_role("button", name="Create account").click()
    expect(stranger.get_by_role("main")).to_contain_text("already exists")
    stranger.goto(f"{known_site.address}/account/keys")
    expect(stranger.get_by_role("heading", name="Sign in")).to_be_visible()
    stranger.close()
    page.goto(f"{known_site.address}/account/security")
    page.get_by_role("button", name="Connect GitHub").click()
    expect(page).to_have_url(f"{known_site.address}/account/security")
    expect(page.get_by_role("main")).to_contain_text("The other site is connected")
    sign_out(page, known_site)
    go_by_github(page, known_site)
    page.goto(f"{known_site.address}/account/security")
    expect(page.get_by_role("main")).to_contain_text(email)
    page.get_by_role("button", name="Disconnect GitHub").click()
    expect(page.get_by_role("button", name="Connect GitHub")).to_be_visible()
    page.goto(f"{known_site.address}/account/audit")
    expect(page.get_by_role("main")).to_contain_text("Sign-in by way of another site removed")


def test_a_second_factor_is_asked_for_here_whoever_was_asked_there(
    page: Page, known_site: RunningSite, github: GitHub
) -> None:
    new_person(github)
    go_by_github(page, known_site)
    page.goto(f"{known_site.address}/auth/2fa/totp/activate/")
    page.get_by_text("I cannot scan it").click()
    secret = page.locator("#totp-secret").inner_text()
    page.get_by_label("Authenticator code").fill(code_of(secret))
    page.get_by_role("button", name="Add the app").click()
    sign_out(page, known_site)
    go_by_github(page, known_site)
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()


def test_a_site_that_is_away_is_said_to_be(
    page: Page, known_site: RunningSite, github: GitHub
) -> None:
    new_person(github)
    github.is_away = True
    go_by_github(page, known_site)
    expect(page.get_by_role("heading", name="did not answer")).to_be_visible()
    assert problems(page) == []


def test_without_settings_there_is_no_button(page: Page, site: RunningSite) -> None:
    page.goto(f"{site.address}/auth/login/")
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Go on with")).to_have_count(0)
