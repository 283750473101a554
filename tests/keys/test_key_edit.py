"""Keys are changed, switched off and on; each counts before the page says so."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import AuditEvent, User
from gate.terms import addresses
from keys.models import ApiKey
from keys.revoke import revoke_api_key
from keys.tasks import push_pending
from tests.keys.acts import UNREACHABLE, ask_gate, shown_key, submit_key
from tests.site.answer import Answer

Issued = tuple[ApiKey, str]


def edit(client: Client, key: ApiKey, **fields: Any) -> Answer:
    """Send the form of a key's page, with everything else as it is."""
    page = client.get(reverse("key_edit", args=[key.pk]))
    form = page.context["form"]
    as_it_is = {name: form[name].value() for name in form.fields}
    kept = {name: value for name, value in as_it_is.items() if value not in (None, False)}
    sent = {name: value for name, value in {**kept, **fields}.items() if value is not None}
    return client.post(reverse("key_edit", args=[key.pk]), sent, follow=True)


def switch(client: Client, key: ApiKey, *, on: bool) -> str:
    sent = {"on": "true" if on else "false"}
    answer = client.post(reverse("key_switch", args=[key.pk]), sent, follow=True)
    return str(answer.content.decode())


@pytest.mark.django_db(transaction=True)
def test_what_is_saved_counts_for_the_very_next_request(
    owner_client: Client, issued: Issued
) -> None:
    key, text = issued
    assert ask_gate(text).allowed
    page = edit(owner_client, key, name="server", weekly_cap="1", addresses="192.0.2.0/24")
    assert ask_gate(text).reason == "invalid_key"
    here = addresses.to_hex("192.0.2.9")
    assert ask_gate(text, address=here).reason == "key_cap_reached"
    assert "Saved. It counts for the very next request." in page.content.decode()
    key.refresh_from_db()
    assert (key.name, key.weekly_cap, key.addresses) == ("server", 1, ["192.0.2.0/24"])
    assert key.pushed_version == key.version
    edit(owner_client, key, weekly_cap="", addresses="")
    assert ask_gate(text).allowed


@pytest.mark.django_db(transaction=True)
def test_how_quickly_it_may_ask_counts_for_the_very_next_request(
    owner_client: Client, issued: Issued
) -> None:
    key, text = issued
    edit(owner_client, key, requests_a_minute="1", requests_at_once="2")
    assert [ask_gate(text).reason for _ in range(2)] == ["ok", "rate_limited"]
    changes = AuditEvent.objects.filter(act="changed").latest("pk").changes
    assert ["requests_a_minute", "", "1"] in changes
    # What is not touched stays.
    edit(owner_client, key, name="slow")
    assert ask_gate(text).reason == "rate_limited"
    edit(owner_client, key, requests_a_minute="")
    assert ask_gate(text).allowed
    key.refresh_from_db()
    assert (key.requests_a_minute, key.requests_at_once) == (None, 2)


def test_what_is_not_touched_stays_as_it_is(owner_client: Client, issued: Issued) -> None:
    key, _text = issued
    ends = timezone.now() + timedelta(days=9)
    ApiKey.objects.update(
        expires_at=ends, weekly_cap=7, scopes=["chat", "usage:read"], addresses=["192.0.2.7/32"]
    )
    edit(owner_client, key, name="renamed")
    key.refresh_from_db()
    assert (key.name, key.expires_at, key.weekly_cap) == ("renamed", ends, 7)
    assert (key.scopes, key.addresses) == (["chat", "usage:read"], ["192.0.2.7/32"])
    edit(owner_client, key, reads_usage=None)
    key.refresh_from_db()
    assert key.scopes == ["chat"]


def test_what_was_so_already_is_said_and_changes_nothing(
    owner_client: Client, issued: Issued
) -> None:
    before = ApiKey.objects.get().version
    page = edit(owner_client, issued[0]).content.decode()
    assert "Nothing was changed: it was so already." in page
    assert ApiKey.objects.get().version == before


@pytest.mark.django_db(transaction=True)
def test_a_key_that_has_expired_is_given_a_later_end(owner_client: Client, issued: Issued) -> None:
    key, text = issued
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(days=1), version=2)
    push_pending()
    assert ask_gate(text).reason == "invalid_key"
    day = timezone.now().date() + timedelta(days=3)
    edit(owner_client, key, expires_in="day", expires_on=f"{day:%Y-%m-%d}")
    assert ask_gate(text).allowed
    key.refresh_from_db()
    assert key.expires_at
    assert f"{key.expires_at:%Y-%m-%d %H:%M:%S}" == f"{day:%Y-%m-%d} 23:59:59"
    edit(owner_client, key, expires_in="")
    key.refresh_from_db()
    assert key.expires_at is None


def test_a_new_key_may_end_on_a_day(owner_client: Client) -> None:
    day = timezone.now().date() + timedelta(days=40)
    submit_key(owner_client, expires_in="day", expires_on=f"{day:%Y-%m-%d}")
    ends = ApiKey.objects.get().expires_at
    assert ends
    assert ends.date() == day


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "Give the key a name"),
        ({"weekly_cap": "-1"}, "give a whole number of chats"),
        ({"addresses": "somewhere"}, "“somewhere” is no address or network."),
        ({"expires_in": "later"}, "Choose one of the times."),
        ({"expires_in": "same"}, "Choose one of the times."),
        ({"expires_in": "day"}, "Give the day."),
        ({"expires_in": "day", "expires_on": "soon"}, "Give a day, as 2027-01-31."),
        ({"expires_in": "day", "expires_on": "2020-01-01"}, "This day is over."),
        ({"expires_in": "day", "expires_on": "9999-12-31"}, "That is too far away."),
    ],
)
def test_what_cannot_be_is_said_at_its_field_and_changes_nothing(
    owner_client: Client, issued: Issued, fields: dict[str, str], message: str
) -> None:
    before = ApiKey.objects.values().get()
    answer = edit(owner_client, issued[0], **fields)
    assert answer.status_code == 422
    assert message in answer.content.decode()
    assert ApiKey.objects.values().get() == before


@pytest.mark.django_db(transaction=True)
def test_a_key_is_switched_off_and_on_again(
    owner_client: Client, owner: User, issued: Issued
) -> None:
    key, text = issued
    page = switch(owner_client, key, on=False)
    assert ask_gate(text).reason == "invalid_key"
    assert "“laptop” is off. Requests with it are refused until you switch it on." in page
    key.refresh_from_db()
    assert (key.is_disabled, key.is_active, key.disabled_by) == (True, False, owner)
    listed = owner_client.get(reverse("keys")).content.decode()
    assert '<span class="badge">Off</span>' in listed
    page = switch(owner_client, key, on=True)
    assert ask_gate(text).allowed
    assert "“laptop” is on. Requests with it are accepted." in page
    key.refresh_from_db()
    assert (key.disabled_at, key.disabled_by) == (None, None)


def test_a_key_that_is_off_is_told_so_to_a_gate_that_has_forgotten_it(issued: Issued) -> None:
    key, _text = issued
    assert key.state().is_active
    key.disabled_at = timezone.now()
    assert not key.state().is_active


def test_switching_twice_is_harmless(owner_client: Client, issued: Issued) -> None:
    switch(owner_client, issued[0], on=False)
    first = ApiKey.objects.get()
    assert "is off" in switch(owner_client, issued[0], on=False)
    second = ApiKey.objects.get()
    assert (second.disabled_at, second.version) == (first.disabled_at, first.version)


def test_who_switches_an_expired_key_on_is_told_so(owner_client: Client, issued: Issued) -> None:
    ended = timezone.now() - timedelta(days=1)
    ApiKey.objects.update(disabled_at=timezone.now(), expires_at=ended)
    assert "is on, but it has expired" in switch(owner_client, issued[0], on=True)


def test_a_form_that_says_neither_switches_nothing(owner_client: Client, issued: Issued) -> None:
    for sent in ({}, {"on": "maybe"}):
        url = reverse("key_switch", args=[issued[0].pk])
        page = owner_client.post(url, sent, follow=True).content.decode()
        assert "The form was incomplete." in page
    assert ApiKey.objects.get().is_active


@pytest.mark.django_db(transaction=True)
def test_without_the_gate_it_is_saved_said_so_and_repeated(
    owner_client: Client, issued: Issued, settings: Settings
) -> None:
    key, text = issued
    assert ask_gate(text).allowed
    gate = settings.REDIS_URL
    settings.REDIS_URL = UNREACHABLE
    assert "the gate has not confirmed it yet" in switch(owner_client, key, on=False)
    settings.REDIS_URL = gate
    assert ask_gate(text).allowed
    push_pending()
    assert ask_gate(text).reason == "invalid_key"


def test_a_revoked_key_shows_who_and_why_and_is_never_changed(
    owner_client: Client, owner: User, issued: Issued
) -> None:
    key, _text = issued
    url = reverse("key_revoke", args=[key.pk])
    owner_client.post(url, {"note": "laptop was stolen"})
    page = owner_client.get(reverse("key_edit", args=[key.pk])).content.decode()
    assert "laptop was stolen" in page
    assert "Save" not in page
    before = ApiKey.objects.values().get()
    sent = {"name": "risen", "expires_in": ""}
    answer = owner_client.post(reverse("key_edit", args=[key.pk]), sent, follow=True)
    assert "This key is revoked, which is final" in answer.content.decode()
    assert "This key is revoked, which is final" in switch(owner_client, key, on=True)
    revoke_api_key(key=key, by=owner, at=timezone.now(), note="another reason")
    assert ApiKey.objects.values().get() == before


def test_before_a_key_goes_that_is_in_use_one_is_warned(
    owner_client: Client, issued: Issued
) -> None:
    def page() -> str:
        url = reverse("key_revoke", args=[issued[0].pk])
        return owner_client.get(url).content.decode()

    assert "It was used in the last 7 days" not in page()
    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(days=6))
    assert "It was used in the last 7 days" in page()
    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(days=8))
    assert "It was used in the last 7 days" not in page()


def test_a_reason_that_is_too_long_revokes_nothing(owner_client: Client, issued: Issued) -> None:
    url = reverse("key_revoke", args=[issued[0].pk])
    answer = owner_client.post(url, {"note": "x" * 201})
    assert answer.status_code == 422
    assert ApiKey.objects.get().is_active


@pytest.mark.parametrize("name", ["key_edit", "key_switch"])
def test_somebody_elses_key_does_not_exist(
    outsider_client: Client, issued: Issued, name: str
) -> None:
    sent = {"name": "mine", "on": "false"}
    for pk in (issued[0].pk, issued[0].pk + 1_000):
        assert outsider_client.post(reverse(name, args=[pk]), sent).status_code == 404
    assert ApiKey.objects.get().name == "laptop"


def test_keys_that_are_off_are_found_by_their_state(owner_client: Client) -> None:
    shown_key(submit_key(owner_client, "sleeping"))
    shown_key(submit_key(owner_client, "awake"))
    ApiKey.objects.filter(name="sleeping").update(disabled_at=timezone.now())
    for state, found, not_found in (("off", "sleeping", "awake"), ("active", "awake", "sleeping")):
        page = owner_client.get(reverse("keys"), {"state": state}).content.decode()
        assert f">{found}</a>" in page
        assert f">{not_found}</a>" not in page
