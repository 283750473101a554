"""A key says in a word where it is used; the list shows and finds it."""

import re

import pytest
from django.db import IntegrityError, connection
from django.test import Client
from django.urls import reverse

from accounts.models import Account, AuditEvent, Membership, User
from keys.models import ApiKey
from tests.keys.acts import submit_key
from tests.keys.test_key_list import ask, error_of, listed, make_key
from tests.team.conftest import acting_for


def test_it_is_chosen_shown_and_changed(owner_client: Client) -> None:
    submit_key(owner_client, "website", environment=" production ")
    key = ApiKey.objects.get()
    assert key.environment == "production"
    tag = '<span class="badge">production</span>'
    assert tag in ask(owner_client).content.decode()
    page = owner_client.get(reverse("key_edit", args=[key.pk])).content.decode()
    assert tag in page
    assert re.search(r'name="environment"\s+value="production"', page)
    sent = {"name": "website", "environment": "staging"}
    owner_client.post(reverse("key_edit", args=[key.pk]), sent)
    key.refresh_from_db()
    assert key.environment == "staging"
    event = AuditEvent.objects.get(act="changed")
    assert event.changes == [["environment", "production", "staging"]]


def test_a_key_may_say_nothing(owner_client: Client) -> None:
    submit_key(owner_client, "website")
    assert ApiKey.objects.get().environment == ""
    assert 'name="environment"' not in re.sub(
        r'<form class="form".*?</form>', "", ask(owner_client).content.decode(), flags=re.DOTALL
    )


@pytest.mark.parametrize("text", ["x" * 21, "a\u202eb", "a\x00b"])
def test_what_is_no_word_is_told_at_its_field(owner_client: Client, text: str) -> None:
    page = submit_key(owner_client, "website", environment=text)
    assert page.status_code == 422
    assert page.context["form"].errors["environment"]
    assert not ApiKey.objects.exists()


def test_no_sql_saves_what_cannot_be_seen(account: Account) -> None:
    key = make_key(account, "website")
    with pytest.raises(IntegrityError, match="api_key_environment_clean"), connection.cursor() as c:
        c.execute("UPDATE keys_apikey SET environment = %s WHERE id = %s", ["a\u200b", key.pk])


def test_the_release_before_makes_keys_without_it(account: Account) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_default, is_nullable FROM information_schema.columns "
            "WHERE table_name = 'keys_apikey' AND column_name = 'environment'"
        )
        assert cursor.fetchone() == ("''::character varying", "NO")


def test_keys_are_found_by_it(account: Account, owner_client: Client) -> None:
    make_key(account, "shop", environment="production", minutes=-1)
    make_key(account, "try", environment="staging", minutes=-2)
    make_key(account, "old", minutes=-3)
    assert listed(ask(owner_client)) == ["shop", "try", "old"]
    page = ask(owner_client, environment="staging")
    assert listed(page) == ["try"]
    assert re.findall(r'<option value="(\w+)"[^>]*>\w+</option>', page.content.decode())
    choices = [value for value, _ in page.context["asked"].fields["environment"].choices]
    assert choices == ["", "production", "staging"]
    page = ask(owner_client, environment="nowhere")
    assert error_of(page, "environment") == "Choose one of the environments of these keys."


def test_environments_of_keys_that_a_member_does_not_see_are_no_choice(
    account: Account, team_mate: User
) -> None:
    make_key(account, "theirs", environment="secret-project")
    make_key(account, "own", environment="staging", created_by=team_mate)
    assert Membership.objects.get(account=account, user=team_mate).role == "developer"
    page = acting_for(team_mate, account).get(reverse("keys"))
    assert "secret-project" not in page.content.decode()
    assert "staging" in page.content.decode()
