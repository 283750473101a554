"""Links that leave the site begin with SITE_URL, whatever Host or port a request names."""

import re
from pathlib import Path

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import User
from keys.models import ApiKey
from tests.accounts.acts import is_signed_in, sign_in, sign_up
from tests.conftest import PASSWORD
from tests.keys.acts import submit_key

REPOSITORY = Path(__file__).resolve().parents[2]
SITE = "https://account.example.com"
# Each passes ALLOWED_HOSTS, which says nothing about ports.
ELSEWHERE = ["localhost:4711", "127.0.0.1", "testserver:81", "[::1]:8000"]

elsewhere = pytest.mark.parametrize("host", ELSEWHERE)


@pytest.fixture(autouse=True)
def _site_url(settings: Settings) -> None:
    settings.SITE_URL = SITE


def addresses(text: str) -> set[str]:
    """Scheme and host of every address in a text, without those of other people's sites."""
    found = set(re.findall(r"https?://[^/\s\"'<>&]+", text))
    return {address for address in found if "w3.org" not in address and "your-api" not in address}


def test_our_code_never_builds_a_link_from_the_request() -> None:
    """One function knows where the site is; templates get its answer."""
    forbidden = re.compile(r"build_absolute_uri|\.get_host\b|request\.scheme|get_current_site")
    # It is about the request's own name.
    allowed = {"config/one_address.py"}
    sources = [
        path
        for folder in ("accounts", "api", "billing", "config", "keys", "quotas", "templates")
        for pattern in ("*.py", "*.html", "*.txt")
        for path in (REPOSITORY / folder).rglob(pattern)
    ]
    assert len(sources) > 100
    guilty = {
        str(path.relative_to(REPOSITORY))
        for path in sources
        if forbidden.search(path.read_text()) and "sandbox" not in path.parts
    }
    assert guilty == allowed


@elsewhere
@pytest.mark.parametrize("name", ["home", "quickstart"])
def test_examples_to_copy(client: Client, plans: None, host: str, name: str) -> None:
    page = client.get(reverse(name), HTTP_HOST=host).content.decode()
    assert f"{SITE}/api/v1/chat" in page
    assert addresses(page) == {SITE}


@elsewhere
def test_the_curl_line_of_a_new_key(owner_client: Client, host: str) -> None:
    page = submit_key(owner_client, HTTP_HOST=host).content.decode()
    assert f"curl -N {SITE}/api/v1/chat" in page
    assert host not in page


@elsewhere
def test_mails(client: Client, owner: User, host: str, settings: Settings) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    settings.ALLOWED_HOSTS = ["*"]
    sign_up(client, "new@example.com", HTTP_HOST=host)
    sign_up(Client(), "owner@example.com", HTTP_HOST=host)
    for email in ("owner@example.com", "nobody@example.com"):
        url = reverse("account_reset_password")
        Client().post(url, {"email": email}, HTTP_HOST=host, HTTP_X_FORWARDED_HOST="evil.example")
    assert len(mail.outbox) == 4
    for message in mail.outbox:
        assert isinstance(message, EmailMultiAlternatives)
        bodies = [message.body, *(part[0] for part in message.alternatives)]
        assert addresses("".join(map(str, bodies))) == {SITE}
    assert f"{SITE}/auth/confirm-email/" in mail.outbox[0].body
    assert f"{SITE}/auth/password/reset/key/" in mail.outbox[2].body


def test_another_port_is_no_way_around_the_throttle(owner: User, settings: Settings) -> None:
    for number in range(6):
        sign_in(Client(), "owner@example.com", "wrong", HTTP_HOST=f"localhost:{8000 + number}")
    browser = Client()
    sign_in(browser, "owner@example.com", PASSWORD, HTTP_HOST="localhost:9999")
    assert not is_signed_in(browser)


# --- development ------------------------------------------------------------------------------


@pytest.fixture
def at_127(settings: Settings) -> None:
    settings.SITE_URL = "http://127.0.0.1:8000"


@pytest.mark.usefixtures("at_127")
def test_in_development_another_name_of_this_machine_leads_to_the_one_that_has_the_session(
    client: Client, plans: None
) -> None:
    response = client.get("/pricing?a=1&b=%2F", HTTP_HOST="localhost:8000")
    assert response.status_code == 307
    assert response["Location"] == "http://127.0.0.1:8000/pricing?a=1&b=%2F"


@pytest.mark.usefixtures("at_127")
@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("127.0.0.1:8000", "/pricing"),
        # A tunnel: the port of SITE_URL may not be reachable from there.
        ("localhost:9000", "/pricing"),
        ("testserver:8000", "/pricing"),
        ("localhost:8000", "/healthz"),
        ("localhost:8000", "/readyz"),
    ],
)
def test_what_is_no_other_name_or_a_probe_is_answered_where_it_asks(
    client: Client, plans: None, host: str, path: str
) -> None:
    assert client.get(path, HTTP_HOST=host).status_code == 200


@pytest.mark.usefixtures("at_127")
def test_a_form_is_never_sent_elsewhere(owner_client: Client) -> None:
    assert submit_key(owner_client, HTTP_HOST="localhost:8000").status_code == 201
    assert ApiKey.objects.count() == 1


def test_nobody_is_led_away_in_production(client: Client, plans: None, settings: Settings) -> None:
    settings.IS_DEVELOPMENT = False
    settings.SITE_URL = "http://127.0.0.1:8000"
    assert client.get("/pricing", HTTP_HOST="localhost:8000").status_code == 200


def test_a_forged_host_is_still_refused(client: Client, plans: None) -> None:
    assert client.get("/pricing", HTTP_HOST="evil.example").status_code == 400
