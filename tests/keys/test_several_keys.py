"""Several keys are revoked or switched at once, and each is so before the page says it."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account, AuditEvent, Membership, User
from keys.issue import issue_api_key
from keys.models import ApiKey
from keys.tasks import push_pending
from tests.keys.acts import UNREACHABLE, ask_gate
from tests.site.answer import Answer
from tests.team.conftest import acting_for

PAGE = "/account/keys/several"
Issued = tuple[ApiKey, str]


def issue(account: Account, by: User, *names: str) -> list[Issued]:
    """Keys of these names, and their texts."""
    return [issue_api_key(account=account, name=n, submission=uuid4(), by=by) for n in names]


def numbers(*keys: ApiKey) -> list[int]:
    return [key.pk for key in keys]


def do(client: Client, act: str, *keys: ApiKey, **more: str) -> str:
    """Press the button of the page that asks; the page that follows."""
    sent = {"do": act, "key": numbers(*keys), **more}
    response = client.post(PAGE, sent, follow=True)
    assert response.redirect_chain == [(reverse("keys"), 302)]
    return str(response.content.decode())


def visit(client: Client, act: str, *keys: ApiKey) -> Answer:
    """The page that asks about these keys."""
    return client.get(PAGE, {"do": act, "key": [str(number) for number in numbers(*keys)]})


def asked_about(page: Answer) -> list[str]:
    return [
        name.strip() for name in re.findall(r'<th scope="row">\s*([^<]+)', page.content.decode())
    ]


@pytest.mark.parametrize("act", ["revoke", "off", "on"])
def test_a_visit_names_the_keys_and_changes_nothing(
    account: Account, owner: User, owner_client: Client, act: str
) -> None:
    (first, text), (second, _), _ = issue(account, owner, "one", "two", "three")
    page = visit(owner_client, act, first, second)
    assert page.status_code == 200
    assert sorted(asked_about(page)) == ["one", "two"]
    assert first.masked in page.content.decode()
    assert text not in page.content.decode()
    assert ApiKey.objects.filter(revoked_at=None, disabled_at=None).count() == 3
    assert not AuditEvent.objects.exclude(act="created").filter(kind="key").exists()


def test_each_key_that_was_used_lately_is_warned_of_first(
    account: Account, owner: User, owner_client: Client
) -> None:
    keys = [key for key, _ in issue(account, owner, "idle", "busy", "long ago")]
    now = timezone.now()
    ApiKey.objects.filter(name="busy").update(last_used_at=now - timedelta(days=6))
    ApiKey.objects.filter(name="long ago").update(last_used_at=now - timedelta(days=8))
    page = visit(owner_client, "revoke", *keys)
    assert asked_about(page) == ["busy", "long ago", "idle"]
    words = " ".join(page.content.decode().split())
    assert words.count(">Used in the last 7 days<") == 1
    assert "1 of them was used in the last 7 days" in words
    assert "last 7 days" not in visit(owner_client, "revoke", keys[0], keys[2]).content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_hundred_keys_are_refused_before_the_page_says_so(
    account: Account, owner: User, owner_client: Client
) -> None:
    made = issue(account, owner, *(f"key {number:03}" for number in range(101)))
    gone, (_, stays) = made[:100], made[100]
    assert ask_gate(gone[0][1]).allowed
    page = do(owner_client, "revoke", *(key for key, _ in gone), note="the laptop is gone")
    assert [ask_gate(text).reason for _, text in gone[::9]] == ["invalid_key"] * 12
    assert ask_gate(stays).allowed
    assert "100 keys are revoked. Requests with them are refused." in page
    revoked = ApiKey.objects.exclude(revoked_at=None)
    assert {(key.revoked_by, key.revoke_note) for key in revoked} == {(owner, "the laptop is gone")}
    assert all(key.pushed_version == key.version for key in revoked)
    written = AuditEvent.objects.filter(account=account, act="revoked", user=owner)
    assert sorted(event.thing for event in written) == sorted(str(key) for key, _ in gone)


@pytest.mark.django_db(transaction=True)
def test_keys_are_switched_off_and_on_together(
    account: Account, owner: User, owner_client: Client
) -> None:
    (one, text), (two, other) = issue(account, owner, "one", "two")
    assert ask_gate(text).allowed
    page = do(owner_client, "off", one, two)
    assert {ask_gate(text).reason, ask_gate(other).reason} == {"invalid_key"}
    assert "2 keys are off." in page
    page = do(owner_client, "on", one, two)
    assert ask_gate(text).allowed
    assert ask_gate(other).allowed
    assert "2 keys are on." in page
    acts = AuditEvent.objects.filter(kind="key").order_by("pk").values_list("act", flat=True)
    assert list(acts)[2:] == ["switched off"] * 2 + ["switched on"] * 2


def test_what_is_revoked_is_named_and_the_others_are_changed(
    account: Account, owner: User, owner_client: Client
) -> None:
    gone, stays = (key for key, _ in issue(account, owner, "gone", "stays"))
    do(owner_client, "revoke", gone)
    page = do(owner_client, "off", gone, stays)
    assert f"nothing was changed: “gone” ({gone.masked})" in page
    assert "1 key is off." in page
    stays.refresh_from_db()
    assert stays.is_disabled


def test_a_key_that_has_expired_is_on_and_named(
    account: Account, owner: User, owner_client: Client
) -> None:
    (over, _), (other, _) = issue(account, owner, "over", "other")
    ApiKey.objects.filter(pk=over.pk).update(expires_at=timezone.now())
    page = do(owner_client, "on", over, other)
    assert f"until you give them a later end: “over” ({over.masked})" in page


def test_revoking_again_changes_nothing(
    account: Account, owner: User, owner_client: Client
) -> None:
    keys = [key for key, _ in issue(account, owner, "one", "two")]
    do(owner_client, "revoke", *keys, note="first")
    before = list(ApiKey.objects.order_by("pk").values())
    assert "2 keys are revoked." in do(owner_client, "revoke", *keys, note="second")
    assert list(ApiKey.objects.order_by("pk").values()) == before
    page = visit(owner_client, "revoke", *keys)
    assert page.status_code == 302
    assert "nothing is left to do" in owner_client.get(reverse("keys")).content.decode()


@pytest.mark.django_db(transaction=True)
def test_without_valkey_each_key_that_still_works_is_named(
    account: Account, owner: User, owner_client: Client, settings: Settings
) -> None:
    (one, text), (two, _) = issue(account, owner, "one", "two")
    assert ask_gate(text).allowed
    reachable, settings.REDIS_URL = settings.REDIS_URL, UNREACHABLE
    page = do(owner_client, "revoke", one, two)
    named = f"not confirmed by the gate yet: “one” ({one.masked}), “two” ({two.masked})."
    assert named in page
    assert "are refused" not in page
    settings.REDIS_URL = reachable
    assert ask_gate(text).allowed, "the warning was true"
    push_pending()
    assert ask_gate(text).reason == "invalid_key"


def test_keys_that_are_not_the_visitors_are_as_if_they_were_not_there(
    account: Account, owner: User, team_mate: User, outsider: User
) -> None:
    (owners, _), (own, _) = issue(account, owner, "owners")[0], issue(account, team_mate, "own")[0]
    (others, _) = issue(outsider.personal_account, outsider, "others")[0]
    Membership.objects.filter(user=team_mate, account=account).update(
        role=Membership.Role.DEVELOPER
    )
    client = acting_for(team_mate, account)
    page = visit(client, "revoke", owners, own, others)
    assert asked_about(page) == ["own"]
    sent = {"do": "revoke", "for_account": account.handle}
    assert client.post(PAGE, {**sent, "key": numbers(owners, others)}).status_code == 404
    assert visit(client, "revoke", owners, others).status_code == 404
    assert client.post(PAGE, {**sent, "key": numbers(owners, own, others)}).status_code == 302
    assert [key.name for key in ApiKey.objects.exclude(revoked_at=None)] == ["own"]


@pytest.mark.parametrize("number", ["0", "-1", "x", "", "٣", str(2**63), "9" * 400, "1\x00"])
def test_a_number_that_no_key_has_is_not_found(owner_client: Client, number: str) -> None:
    assert owner_client.get(PAGE, {"do": "off", "key": number}).status_code == 404
    assert owner_client.post(PAGE, {"do": "off", "key": number}).status_code == 404


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"do": "off"}, "Choose keys in the list first"),
        ({"do": "off", "key": list(range(1, 102))}, "Choose 100 keys at most."),
        ({"do": "explode"}, "Choose whether to switch the keys off or on"),
        ({}, "Choose whether to switch the keys off or on"),
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_what_cannot_be_done_is_said_and_changes_nothing(
    owner_client: Client, issued: Issued, method: str, asked: dict[str, object], says: str
) -> None:
    if asked.get("do") != "off":
        asked = {**asked, "key": [issued[0].pk]}
    page = getattr(owner_client, method)(PAGE, asked, follow=True)
    assert page.redirect_chain == [(reverse("keys"), 302)]
    assert says in page.content.decode()
    assert ApiKey.objects.get().is_active


def test_a_note_that_is_too_long_is_told_at_its_field(owner_client: Client, issued: Issued) -> None:
    sent = {"do": "revoke", "key": [issued[0].pk], "note": "x" * 201}
    page = owner_client.post(PAGE, sent)
    assert page.status_code == 422
    assert asked_about(page) == ["laptop"]
    assert "200 characters" in page.content.decode()
    assert ApiKey.objects.get().is_active


def test_a_page_of_another_site_cannot_do_it(owner: User, issued: Issued) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(owner)
    assert browser.post(PAGE, {"do": "revoke", "key": [issued[0].pk]}).status_code == 403
    assert ApiKey.objects.get().is_active


def test_the_list_lets_keys_be_ticked_that_are_not_revoked(
    account: Account, owner: User, owner_client: Client
) -> None:
    gone, stays = (key for key, _ in issue(account, owner, "gone", "stays"))
    do(owner_client, "revoke", gone)
    page = owner_client.get(reverse("keys")).content.decode()
    assert re.findall(r'form="several"\s+name="key"\s+value="(\d+)"', page) == [str(stays.pk)]
    assert "With the ticked keys" in page
    do(owner_client, "revoke", stays)
    assert "With the ticked keys" not in owner_client.get(reverse("keys")).content.decode()
