"""Which account pages are about: chosen in a session, checked at every request."""

import re
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts import switching
from accounts.models import Account, Membership, User
from keys.models import ApiKey
from quotas import projection
from tests.team.conftest import acting_for

Role = Membership.Role
Join = Callable[[str], User]
MEANT_FOR_ANOTHER = "That was meant for another account"


def switch(client: Client, account: Account, came_from: str = "") -> str:
    fields = {"account": account.handle, "next": came_from}
    return str(client.post(reverse("team_switch"), fields).headers["Location"])


def new_key(client: Client, **fields: str) -> int:
    fields = {"name": "laptop", "submission": str(uuid4()), **fields}
    return client.post(reverse("key_create"), fields).status_code


def test_somebody_acts_for_the_account_that_they_chose(
    owner_client: Client, account: Account, team: Account
) -> None:
    before = owner_client.get(reverse("keys")).content.decode()
    assert f'value="{team.handle}"' in before
    assert switch(owner_client, team, reverse("usage")) == reverse("usage")
    page = owner_client.get(reverse("keys")).content.decode()
    head = page.partition("<main")[0]
    assert re.search(r"Acme\s+<span[^>]*>· Owner<", head)
    assert new_key(owner_client, for_account=team.handle) == 201
    assert ApiKey.objects.get().account == team
    assert switch(owner_client, account) == reverse("keys")
    assert "No keys yet" in owner_client.get(reverse("keys")).content.decode()


def test_a_switch_leads_to_a_page_that_the_role_may_see(
    account: Account, team: Account, joined: Join
) -> None:
    client = acting_for(joined(Role.VIEWER), account)
    assert switch(client, team, reverse("keys")) == reverse("usage")
    assert switch(client, team, reverse("alerts")) == reverse("alerts")
    for odd in ("https://elsewhere.example/", "//elsewhere.example", "/no/such", "", "/admin/"):
        assert switch(client, team, odd) == reverse("usage")
    assert switch(client, team, reverse("key_edit", args=[1])) == reverse("usage")


def test_nobody_chooses_an_account_of_others(outsider_client: Client, team: Account) -> None:
    assert switch(outsider_client, team) == reverse("home")
    page = outsider_client.get(reverse("keys")).content.decode()
    assert "You are not a member of that account." in page
    assert "Acme" not in page
    # Nor by writing it into the session itself, as an older one may have it.
    session = outsider_client.session
    session["account"] = team.handle
    session.save()
    page = outsider_client.get(reverse("keys")).content.decode()
    assert "You are no longer a member of the account that you used." in page
    assert "Acme" not in page


def test_who_is_removed_meanwhile_is_at_home_again_and_told_so_once(
    team: Account, joined: Join
) -> None:
    user = joined(Role.ADMIN)
    client = acting_for(user, team)
    assert "Acme" in client.get(reverse("keys")).content.decode()
    user.memberships.filter(account=team).delete()
    # What was opened before does nothing, neither there nor at home.
    assert new_key(client, for_account=team.handle) == 409
    assert new_key(client) == 409
    assert not ApiKey.objects.exists()
    page = client.get(reverse("keys")).content.decode()
    assert "No longer a member".lower() in page.lower() or "Mr Admin" in page
    assert "Acme" not in page
    again = client.get(reverse("keys")).content.decode()
    assert "no longer a member" not in again


def test_a_form_of_one_account_is_not_taken_for_another(
    owner_client: Client, account: Account, team: Account
) -> None:
    page = owner_client.get(reverse("keys")).content.decode()
    assert f'name="for_account" value="{account.handle}"' in page
    # In another tab:
    switch(owner_client, team)
    answer = owner_client.post(
        reverse("key_create"),
        {"name": "laptop", "submission": uuid4(), "for_account": account.handle},
    )
    assert answer.status_code == 409
    said = answer.content.decode()
    assert MEANT_FOR_ANOTHER in said
    assert "Switch to “Olga Owner”" in said
    # A form that says nothing cannot know of the switch.
    assert new_key(owner_client) == 409
    # Nor can somebody else’s form be passed off.
    assert new_key(owner_client, for_account="nobodys0") == 409
    assert not ApiKey.objects.exists()
    assert new_key(owner_client, for_account=team.handle) == 201


def test_what_a_page_asks_for_by_itself_is_not_answered_for_another_account(
    owner_client: Client, account: Account, team: Account
) -> None:
    page = owner_client.get(reverse("usage")).content.decode()
    header = re.search(r'<body hx-headers="\{&quot;(.*?)&quot;: &quot;(.*?)&quot;\}"', page)
    assert header
    assert header[2] == account.handle
    asked = {header[1]: header[2]}
    assert owner_client.get(reverse("usage_now"), headers=asked).status_code == 200
    switch(owner_client, team)
    assert owner_client.get(reverse("usage_now"), headers=asked).status_code == 409


# Forms about the visitor, about everything, or about the account that they name.
_OF_NO_ACCOUNT = frozenset(
    {"account", "accounts", "admin", "allauth", "layouts", "mfa", "partials", "socialaccount"}
)


def test_every_form_of_the_account_area_says_whose_it_is() -> None:
    silent = []
    for file in Path(settings.BASE_DIR, "templates").rglob("*.html"):
        folder = file.relative_to(settings.BASE_DIR / "templates").parts[0]
        if folder in _OF_NO_ACCOUNT:
            continue
        forms = re.findall(r"<form\b.*?</form>", file.read_text(), re.DOTALL)
        silent += [
            (file.name, form[:80])
            for form in forms
            if 'method="post"' in form
            and "account_form" not in form
            # About no account, or about the one that they name.
            and not re.search(r"url '(team_new|team_switch|invitation_)", form)
        ]
    assert silent == []


def test_choosing_costs_no_query(owner_client: Client, team: Account, account: Account) -> None:
    def questions() -> int:
        with CaptureQueriesContext(connection) as asked:
            owner_client.get(reverse("keys"))
        return len(asked)

    # No page is measured that has to load the account.
    for one in (account, team):
        assert projection.push(one)
    before = questions()
    switch(owner_client, team)
    assert questions() == before


def test_a_new_team_belongs_to_who_made_it_and_is_acted_for_at_once(
    outsider_client: Client, outsider: User
) -> None:
    answer = outsider_client.post(reverse("team_new"), {"name": "Widgets & Co"})
    assert answer.headers["Location"] == "/account/team"
    made = Account.objects.get(is_personal=False)
    assert made.name == "Widgets & Co"
    assert made.memberships.get().user == outsider
    assert made.memberships.get().role == Role.OWNER
    assert "Widgets &amp; Co" in outsider_client.get(reverse("keys")).content.decode()


@pytest.mark.parametrize("name", ["", "   ", "x" * 121])
def test_a_team_has_a_name(outsider_client: Client, name: str) -> None:
    assert outsider_client.post(reverse("team_new"), {"name": name}).status_code == 422
    assert not Account.objects.filter(is_personal=False).exists()


def test_nobody_gathers_teams_for_what_each_has_for_nothing(outsider_client: Client) -> None:
    for number in range(switching.OWNED_AT_MOST):
        answer = outsider_client.post(reverse("team_new"), {"name": f"Team {number}"})
        assert answer.status_code == 302
    refused = outsider_client.post(reverse("team_new"), {"name": "One more"})
    assert refused.status_code == 422
    assert "You own 5 teams" in refused.text
    # Those of others do not count.
    Membership.objects.filter(account__is_personal=False).update(role=Role.ADMIN)
    assert outsider_client.post(reverse("team_new"), {"name": "One more"}).status_code == 302
