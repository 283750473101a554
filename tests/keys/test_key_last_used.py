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


def rows(browser: Client) -> str:
    """The list itself: a form beside it has keys that never end."""
    page = browser.get(reverse("keys")).content.decode()
    return page[page.index("<tbody") : page.index("</tbody")]


def test_an_unused_key_was_never_used(owner_client: Client, issued: tuple[ApiKey, str]) -> None:
    assert "Never" in rows(owner_client)


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
    assert "Never" not in rows(owner_client)
    assert f"{key.last_used_at:%H:%M}" in rows(owner_client)


def test_a_look_is_no_use(issued: tuple[ApiKey, str]) -> None:
    key, text = issued
    assert ask_gate(text, units=0).allowed
    drain_all()
    key.refresh_from_db()
    assert key.last_used_at is None
