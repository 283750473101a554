"""A webhook leads to servers on the public Internet, and never into a network of ours."""

import socket
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account, User
from alerts import delivering, posting, public_addresses, raising
from alerts.models import Delivery, WebhookEndpoint
from alerts.posting import Message
from alerts.public_addresses import CannotLeadThere
from tests.alerts.receiver import Receiver
from tests.alerts.webhooks import endpoint_of

INSIDE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "168.63.129.16",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
]
# Ways to write 127.0.0.1 and 169.254.169.254 that resolvers understand.
DISGUISED = ["localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "2852039166"]


@pytest.fixture
def stays_out(settings: Settings) -> None:
    """As in production: nothing leads to this machine."""
    settings.WEBHOOKS_MAY_STAY_HERE = False


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """What name servers say, in turn; the last for ever. They are nobody's here."""

    def say(*answers: list[str]) -> None:
        left = list(answers)

        def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
            addresses = left.pop(0) if len(left) > 1 else left[0]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return say


@pytest.mark.usefixtures("stays_out")
@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_not_public(address: str) -> None:
    assert not public_addresses.is_public(address)


@pytest.mark.usefixtures("stays_out")
@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:8.8.8.8"])
def test_an_address_outside_is_public(address: str) -> None:
    assert public_addresses.is_public(address)


def test_a_network_of_the_operator_is_not_public(settings: Settings) -> None:
    assert public_addresses.is_public("8.8.8.8")
    settings.OWN_NETWORKS = [ip_network("8.8.8.0/24"), ip_network("2a00:1450::/32")]
    assert not public_addresses.is_public("8.8.8.8")
    assert not public_addresses.is_public("::ffff:8.8.8.8")
    assert not public_addresses.is_public("2a00:1450:4001::1")
    assert public_addresses.is_public("8.8.9.8")


def test_to_try_it_out_only_loopback_is_let_in() -> None:
    assert public_addresses.is_public("127.0.0.1")
    assert public_addresses.is_public("::1")
    assert not any(map(public_addresses.is_public, ["10.0.0.1", "169.254.169.254", "fe80::1"]))


@pytest.mark.django_db
@pytest.mark.usefixtures("stays_out")
@pytest.mark.parametrize(
    "host", [*DISGUISED, *(f"[{a}]" if ":" in a else a for a in INSIDE if "%" not in a)]
)
def test_a_webhook_into_our_network_is_refused_with_a_reason_at_its_field(
    owner_client: Client, host: str
) -> None:
    answer = owner_client.post(
        reverse("webhook_add"), {"url": f"https://{host}/hook", "submission": str(uuid4())}
    )
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "on the public Internet" in page
    assert 'id="id_url_error"' in page
    assert not WebhookEndpoint.objects.exists()


@pytest.mark.django_db
@pytest.mark.usefixtures("stays_out")
def test_a_name_that_leads_inside_beside_outside_is_refused(
    names: Callable[..., None],
) -> None:
    names(["93.184.216.34", "10.0.0.1"])
    with pytest.raises(CannotLeadThere, match="on the public Internet"):
        posting.check("https://both.example/hook")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "host"),
        ("example.com/hook", "https://"),
        ("ftp://example.com/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("gopher://example.com/", "https://"),
        ("https:///path", "https://"),
        ("https://user:secret@example.com/", "name and password"),
        ("https://example.com@10.0.0.1/", "name and password"),
        ("https://example.com/#fragment", "#"),
        ("https://example.com:0/", "Port 0"),
        ("https://example.com:99999/", "no address"),
        ("https://exa mple.com/", "spaces"),
        ("https://exämple.com/", "ASCII"),
        ("https://example.com/\r\nX: y", "ASCII"),
        ("https://example.com\\@10.0.0.1/", "https://"),
        ("https://[::1/", "no address"),
        ("https://example.com/" + "a" * 500, "500"),
    ],
)
def test_what_is_no_address_of_a_webhook_is_refused_in_a_sentence(url: str, why: str) -> None:
    with pytest.raises(CannotLeadThere, match=why):
        public_addresses.read(url)


def test_in_production_a_webhook_has_tls(settings: Settings) -> None:
    assert public_addresses.read("http://example.com/").port == 80
    settings.IS_DEVELOPMENT = False
    with pytest.raises(CannotLeadThere, match="https://"):
        public_addresses.read("http://example.com/")


@pytest.mark.django_db(transaction=True)
def test_a_name_that_leads_inside_later_is_not_followed_there(
    account: Account,
    owner: User,
    receiver: Receiver,
    names: Callable[..., None],
    settings: Settings,
) -> None:
    """What DNS rebinding is: public when it is added, and loopback when it is used."""
    settings.WEBHOOKS_MAY_STAY_HERE = False
    names(["93.184.216.34"], ["127.0.0.1"])
    url = f"http://rebinding.example:{receiver.server_address[1]}/"
    posting.check(url)
    raising.raise_test(endpoint_of(account, owner, url), at=timezone.now())
    delivering.post_webhooks(at=timezone.now())
    assert receiver.received == []
    assert "on the public Internet" in Delivery.objects.get().error


@pytest.mark.django_db
def test_the_connection_goes_to_the_address_that_was_judged_and_names_the_host(
    receiver: Receiver, names: Callable[..., None]
) -> None:
    """Were the name asked for again, it would lead to port 9 of another address."""
    names(["127.0.0.1"], ["127.0.0.9"])
    port = receiver.server_address[1]
    (outcome,) = posting.post_all([Message(f"http://hooks.example:{port}/x?y=z", {}, b"{}")])
    assert outcome.is_taken
    (request,) = receiver.received
    assert request.path == "/x?y=z"
    assert request.headers["host"] == f"hooks.example:{port}"


@pytest.mark.django_db
def test_a_proxy_of_the_environment_is_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (outcome,) = posting.post_all([Message(f"{receiver.origin}/", {}, b"{}")])
    assert outcome.is_taken


@pytest.mark.django_db
def test_a_server_without_a_certificate_of_its_name_is_told_nothing(receiver: Receiver) -> None:
    url = f"https://127.0.0.1:{receiver.server_address[1]}/"
    (outcome,) = posting.post_all([Message(url, {}, b"{}")])
    assert not outcome.is_taken
    assert receiver.received == []


@pytest.mark.django_db
def test_a_name_that_nobody_has_is_said_at_the_field(owner_client: Client) -> None:
    answer = owner_client.post(
        reverse("webhook_add"),
        {"url": "https://no-such-host.invalid/hook", "submission": str(uuid4())},
    )
    assert answer.status_code == 422
    assert (
        "There is no server no-such-host.invalid on the public Internet." in answer.content.decode()
    )
