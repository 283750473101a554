"""A key is made by a form, and shown once."""

import re
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account, User
from gate.terms import key_text
from keys.bounds import KEYS_AT_MOST
from keys.models import ApiKey
from keys.revoke import revoke_api_key
from keys.snippets import snippets_for
from keys.tasks import push_pending
from tests.keys.acts import KEY, UNREACHABLE, ask_gate, shown_key, submit_key


def test_the_form_on_the_page_makes_a_key(owner_client: Client, account: Account) -> None:
    page = owner_client.get(reverse("keys")).content.decode()
    found = re.search(r'name="submission" value="([0-9a-f-]{36})"', page)
    assert found
    response = submit_key(owner_client, "production", submission=found[1])
    assert response.status_code == 201
    key = ApiKey.objects.get(account=account)
    assert key.name == "production"
    assert str(key.submission) == found[1]
    assert key.created_by == account.members.get()
    assert key_text.handle_of(shown_key(response)) == account.handle


@pytest.mark.django_db(transaction=True)
def test_a_new_key_works_at_once(owner_client: Client) -> None:
    assert ask_gate(shown_key(submit_key(owner_client))).reason == "ok"


def test_the_answer_with_the_key_is_kept_by_nobody(owner_client: Client) -> None:
    response = submit_key(owner_client)
    assert "no-store" in response["Cache-Control"]
    assert "private" in response["Cache-Control"]
    assert "ETag" not in response
    assert "Location" not in response


def test_the_page_shows_a_ready_curl_line(owner_client: Client) -> None:
    response = submit_key(owner_client)
    page = response.content.decode()
    assert "curl -N http://testserver/api/v1/chat" in page
    assert f"Authorization: Bearer {shown_key(response)}" in page


def test_programs_are_shown_to_read_the_key_from_where_it_is_kept(owner_client: Client) -> None:
    key = shown_key(submit_key(owner_client))
    snippets = {snippet.name: snippet.code for snippet in snippets_for(key)}
    assert list(snippets) == ["curl", "dotenv", "javascript", "python"]
    assert snippets["dotenv"] == f"SANSXEL_KEY={key}"
    assert key in snippets["curl"]
    for name, reading in (
        ("javascript", "process.env.SANSXEL_KEY"),
        ("python", "os.environ['SANSXEL_KEY']"),
    ):
        assert key not in snippets[name]
        assert reading in snippets[name]
    compile(snippets["python"], "hello.py", "exec")


def test_the_form_asks_in_the_order_of_thinking_and_ends_with_its_button(
    owner_client: Client,
) -> None:
    page = owner_client.get(reverse("keys")).content.decode()
    form = page[page.index(reverse("key_create")) :].partition("</form>")[0]
    asked = re.findall(r'name="(\w+)"|(?<=>)\s*(Create key)\s*<', form)
    carried = {"csrfmiddlewaretoken", "for_account"}
    assert [name or button for name, button in asked if name not in carried] == [
        "submission",
        "name",
        "environment",
        "expires_in",
        "expires_on",
        *("daily_cap", "weekly_cap", "monthly_cap", "total_cap"),
        "requests_a_minute",
        "requests_at_once",
        "addresses",
        *("meters", "meters", "meters"),
        *("only_models", "only_models", "only_models"),
        *("reads_quota", "reads_usage", "manages_keys"),
        "Create key",
    ]


def test_no_later_page_shows_the_key(owner_client: Client) -> None:
    key = shown_key(submit_key(owner_client))
    for name in ("keys", "usage", "billing", "quickstart", "home"):
        page = owner_client.get(reverse(name)).content.decode()
        assert key not in page
        assert not KEY.search(page)
    page = owner_client.get(reverse("keys")).content.decode()
    assert f"{key[:11]}…{key[-4:]}" in page


def test_the_list_shows_only_keys_of_the_account(
    owner_client: Client, outsider_client: Client
) -> None:
    submit_key(owner_client, "owner-laptop")
    submit_key(outsider_client, "outsider-laptop")
    page = owner_client.get(reverse("keys")).content.decode()
    assert "owner-laptop" in page
    assert "outsider-laptop" not in page


def test_an_empty_list_says_what_to_do(owner_client: Client) -> None:
    assert "No keys yet" in owner_client.get(reverse("keys")).content.decode()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "Give the key a name, so that you recognise it later."),
        ("   ", "Give the key a name, so that you recognise it later."),
        ("n" * 81, "Name may have at most 80 characters."),
        ("n" * 100_000, "Name may have at most 80 characters."),
        ("null\x00byte", "Name must not have line breaks"),
    ],
)
def test_a_wrong_name_is_explained_at_its_field(
    owner_client: Client, name: str, sentence: str
) -> None:
    response = submit_key(owner_client, name)
    page = response.content.decode()
    assert response.status_code == 422
    errors = re.search(r'<ul class="errorlist" id="id_name_error">(.*?)</ul>', page, re.DOTALL)
    assert errors
    assert sentence in errors[1]
    assert re.search(r'<input[^>]* name="name"[^>]* aria-invalid="true"', page)
    assert not ApiKey.objects.exists()


def test_a_refused_form_keeps_what_was_typed(owner_client: Client) -> None:
    submission = uuid4()
    name = "a <b>bold</b> name " + "n" * 80
    page = submit_key(owner_client, name, submission=submission).content.decode()
    assert 'value="a &lt;b&gt;bold&lt;/b&gt; name nnn' in page
    assert f'value="{submission}"' in page


def test_a_name_is_never_markup(owner_client: Client) -> None:
    page = submit_key(owner_client, "<script>alert(1)</script>").content.decode()
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize(
    "submission", ["nonsense", "0" * 1_000_000, "' OR 1=1 --", "\x00", "ü" * 36]
)
def test_a_damaged_form_makes_no_key_and_says_so(owner_client: Client, submission: str) -> None:
    response = submit_key(owner_client, submission=submission)
    assert response.status_code == 422
    assert "The form was damaged. Nothing was created; try again." in response.content.decode()
    assert not ApiKey.objects.exists()


def test_an_incomplete_form_makes_no_key_and_says_so(owner_client: Client) -> None:
    response = owner_client.post(reverse("key_create"), {"name": "laptop"})
    assert response.status_code == 422
    assert "The form was incomplete. Nothing was created; try again." in response.content.decode()
    assert not ApiKey.objects.exists()


def test_the_page_after_a_damaged_form_can_be_submitted(owner_client: Client) -> None:
    """Whoever presses the button again, without a reload, must not fail for ever."""
    page = submit_key(owner_client, "laptop", submission="nonsense").content.decode()
    found = re.search(r'name="submission" value="([^"]*)"', page)
    assert found
    assert submit_key(owner_client, "laptop", submission=found[1]).status_code == 201


def test_active_keys_are_limited_and_a_revoked_one_makes_room(
    owner_client: Client, account: Account, owner: User
) -> None:
    ApiKey.objects.bulk_create(
        ApiKey(
            account=account,
            name=f"key {number}",
            digest=f"digest {number}",
            pepper_id="1",
            last_four="0000",
            submission=uuid4(),
            pushed_version=1,
        )
        for number in range(KEYS_AT_MOST)
    )
    response = submit_key(owner_client, "one more")
    assert response.status_code == 422
    assert "You have 1,000 active keys. Revoke one" in response.content.decode()
    assert 'value="one more"' in response.content.decode()
    assert not KEY.search(response.content.decode())

    key = ApiKey.objects.get(name="key 7")
    revoke_api_key(key=key, by=owner, at=timezone.now())
    assert submit_key(owner_client, "one more").status_code == 201


@pytest.mark.django_db(transaction=True)
def test_a_key_made_while_valkey_is_away_works_after_the_sweep(
    owner_client: Client, issued: tuple[ApiKey, str], settings: Settings
) -> None:
    assert ask_gate(issued[1]).reason == "ok"
    reachable = settings.REDIS_URL
    settings.REDIS_URL = UNREACHABLE
    response = submit_key(owner_client, "made in the dark")
    assert response.status_code == 201
    settings.REDIS_URL = reachable
    assert ask_gate(shown_key(response)).reason == "invalid_key"
    push_pending()
    assert ask_gate(shown_key(response)).reason == "ok"
