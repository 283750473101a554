"""Keys that may do less than their account: from the form to the gate."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from gate.store.connection import sync_client
from gate.terms import addresses
from keys.models import ApiKey
from tests.keys.acts import ask_gate, shown_key, submit_key

Fields = dict[str, str]


def test_a_key_can_be_made_to_end(owner_client: Client) -> None:
    submit_key(owner_client, expires_in="30")
    key = ApiKey.objects.get()
    assert key.expires_at is not None
    assert timedelta(days=29) < key.expires_at - timezone.now() <= timedelta(days=30)
    assert key.is_active
    page = owner_client.get(reverse("keys")).content.decode()
    assert f"until {key.expires_at:%-d %b %Y}" in page


def test_an_expired_key_is_shown_as_expired(owner_client: Client) -> None:
    submit_key(owner_client)
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    page = owner_client.get(reverse("keys")).content.decode()
    assert "Expired" in page
    assert not ApiKey.objects.get().is_active


@pytest.mark.django_db(transaction=True)
def test_a_key_can_have_a_weekly_cap(owner_client: Client) -> None:
    text = shown_key(submit_key(owner_client, weekly_cap="2"))
    assert [ask_gate(text).reason for _ in range(3)] == ["ok", "ok", "key_cap_reached"]


@pytest.mark.django_db(transaction=True)
def test_a_key_can_be_made_to_ask_slowly(owner_client: Client) -> None:
    text = shown_key(submit_key(owner_client, requests_a_minute="2", requests_at_once="5"))
    assert [ask_gate(text).reason for _ in range(3)] == ["ok", "ok", "rate_limited"]
    page = owner_client.get(reverse("keys")).content.decode()
    assert "2 requests a minute · 5 requests at once" in page
    # PostgreSQL tells it again to a Valkey that lost everything.
    sync_client(settings.REDIS_URL).flushall()
    assert [ask_gate(text).reason for _ in range(3)] == ["ok", "ok", "rate_limited"]


@pytest.mark.django_db(transaction=True)
def test_a_key_can_be_bound_to_addresses(owner_client: Client) -> None:
    text = shown_key(submit_key(owner_client, addresses="192.0.2.0/24\n\n2001:db8::7\n"))
    assert ApiKey.objects.get().addresses == ["192.0.2.0/24", "2001:db8::7/128"]
    assert ask_gate(text, address=addresses.to_hex("192.0.2.9")).reason == "ok"
    assert ask_gate(text, address=addresses.to_hex("198.51.100.9")).reason == "invalid_key"
    assert ask_gate(text).reason == "invalid_key"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"expires_in": "-1"}, "Choose one of the times."),
        ({"weekly_cap": "many"}, "give a whole number of chats"),
        ({"weekly_cap": "-1"}, "give a whole number of chats, 0 to"),
        ({"weekly_cap": "1" * 30}, "give a whole number of chats, 0 to"),
        ({"requests_a_minute": "0"}, "Give a whole number of requests, 1 to 1,000,000"),
        ({"requests_a_minute": "1000001"}, "Give a whole number of requests, 1 to 1,000,000"),
        ({"requests_at_once": "some"}, "Give a whole number of requests, 1 to 1,000, or"),
        ({"requests_at_once": "1001"}, "Give a whole number of requests, 1 to 1,000, or"),
        ({"addresses": "somewhere"}, "“somewhere” is no address or network."),
        ({"addresses": "192.0.2.1/24"}, "Write 192.0.2.0/24 for the whole network"),
        ({"addresses": "\n".join(f"192.0.2.{n}" for n in range(21))}, "20 networks at most"),
    ],
)
def test_bad_limits_make_no_key_and_say_why(
    owner_client: Client, fields: Fields, message: str
) -> None:
    page = submit_key(owner_client, **fields).content.decode()
    assert message in page
    assert not ApiKey.objects.exists()


def test_networks_are_kept_in_one_form_and_once(owner_client: Client) -> None:
    written = "192.0.2.7\n[2001:db8::7]:443\n::ffff:192.0.2.0/120\n192.0.2.7:80\n 192.0.2.0/24 \n"
    submit_key(owner_client, addresses=written)
    assert ApiKey.objects.get().addresses == [
        "192.0.2.7/32",
        "2001:db8::7/128",
        "192.0.2.0/24",
    ]
