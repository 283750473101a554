"""The list of keys says when each was last used."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from keys.models import ApiKey
from quotas.tasks import drain_all
from tests.keys.acts import ask_gate

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_unused_key_was_never_used(owner_client: Client, issued: tuple[ApiKey, str]) -> None:
    assert "Never" in owner_client.get(reverse("keys")).content.decode()


def test_a_used_key_shows_when_after_the_drain(
    owner_client: Client, issued: tuple[ApiKey, str]
) -> None:
    key, text = issued
    before = timezone.now()
    assert ask_gate(text).allowed
    drain_all()
    key.refresh_from_db()
    assert key.last_used_at
    # Milliseconds are what the gate knows.
    assert before - timedelta(milliseconds=1) <= key.last_used_at <= timezone.now()
    page = owner_client.get(reverse("keys")).content.decode()
    assert "Never" not in page
    assert f"{key.last_used_at:%H:%M}" in page


def test_a_look_is_no_use(issued: tuple[ApiKey, str]) -> None:
    key, text = issued
    assert ask_gate(text, units=0).allowed
    drain_all()
    key.refresh_from_db()
    assert key.last_used_at is None
