"""What each role sees and may do with keys, usage and money."""

import csv
from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from accounts.models import Account, Membership, User
from keys.issue import issue_api_key
from keys.limits import KeyLimits
from keys.models import ApiKey
from keys.scopes import READ_USAGE
from quotas.models.used import UsageRollup
from tests.quotas.live_gate import LiveGate
from tests.team.conftest import acting_for

Role = Membership.Role
Join = Callable[[str], User]


@pytest.fixture
def theirs(team: Account, owner: User) -> ApiKey:
    """A key of the team that the owner made."""
    return issue_api_key(account=team, name="server-7", submission=uuid4(), by=owner)[0]


def test_a_developer_sees_changes_and_revokes_their_own_keys_alone(
    team: Account, joined: Join, theirs: ApiKey
) -> None:
    user = joined(Role.DEVELOPER)
    client = acting_for(user, team)
    fields = {"name": "laptop", "submission": uuid4(), "for_account": team.handle}
    assert client.post(reverse("key_create"), fields).status_code == 201
    own = ApiKey.objects.get(created_by=user)
    page = client.get(reverse("keys")).content.decode()
    assert "laptop" in page
    assert "server-7" not in page
    # Nor by their name, by who made them, or on the quickstart.
    assert "server-7" not in client.get(reverse("keys"), {"q": "server"}).content.decode()
    by = client.get(reverse("keys"), {"by": str(theirs.created_by_id)})
    assert "server-7" not in by.content.decode()
    own.revoked_at = own.created_at
    own.save()
    assert theirs.masked not in client.get(reverse("quickstart")).content.decode()
    for name in ("key_edit", "key_rotate", "key_revoke", "key_spending"):
        assert client.get(reverse(name, args=[theirs.pk])).status_code == 404
        assert client.get(reverse(name, args=[own.pk])).status_code == 200
    for name in (
        *("key_edit", "key_rotate", "key_former_end", "key_revoke", "key_spending", "key_switch"),
    ):
        sent = {"for_account": team.handle, "on": "false", "name": "mine"}
        assert client.post(reverse(name, args=[theirs.pk]), sent).status_code == 404
    theirs.refresh_from_db()
    assert (theirs.name, theirs.is_active) == ("server-7", True)


@pytest.mark.parametrize("role", [Role.BILLING, Role.VIEWER])
def test_others_see_no_keys_at_all(team: Account, joined: Join, theirs: ApiKey, role: str) -> None:
    client = acting_for(joined(role), team)
    assert client.get(reverse("keys")).status_code == 403
    assert client.get(reverse("key_edit", args=[theirs.pk])).status_code == 403
    for name in ("usage", "quickstart"):
        page = client.get(reverse(name)).content.decode()
        assert theirs.masked not in page
        assert f'<a href="{reverse("keys")}"' not in page.partition("<main")[0]


@pytest.mark.parametrize(
    ("role", "sees"),
    [(Role.ADMIN, True), (Role.DEVELOPER, False), (Role.BILLING, False), (Role.VIEWER, False)],
)
def test_usage_is_told_to_all_and_names_of_keys_to_who_may_see_them(
    *, team: Account, joined: Join, theirs: ApiKey, role: str, sees: bool, hour: datetime
) -> None:
    client = acting_for(joined(role), team)
    UsageRollup.objects.create(
        account=team, key_id=theirs.pk, meter="chat", hour=hour, source="allowance", chats=7
    )
    asked = {"by": "key"}
    for name in ("usage", "usage_now"):
        page = client.get(reverse(name), asked).content.decode()
        assert ("server-7" in page) is sees
        assert (f"Key {theirs.pk}" in page) is not sees
    narrowed = client.get(reverse("usage"), {"key": theirs.pk}).content.decode()
    assert ("server-7" in narrowed) is sees
    file = b"".join(client.get(reverse("usage_export", args=["csv"]), asked)).decode()
    rows = list(csv.DictReader(file.splitlines()))
    assert [(row["key"], row["chats"]) for row in rows] == [("server-7" if sees else "", "7")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("role", "name"), [(Role.ADMIN, "server-7"), (Role.DEVELOPER, "")])
def test_a_key_that_reads_usage_tells_no_more_names_than_its_maker_may_see(
    *,
    team: Account,
    joined: Join,
    theirs: ApiKey,
    hour: datetime,
    gate: LiveGate,
    role: str,
    name: str,
) -> None:
    limits = KeyLimits(scopes=(READ_USAGE,))
    text = issue_api_key(
        account=team, name="reader", submission=uuid4(), by=joined(role), limits=limits
    )[1]
    UsageRollup.objects.create(
        account=team, key_id=theirs.pk, meter="chat", hour=hour, source="allowance", chats=7
    )
    answer = Client().get("/api/v1/usage?by=key", headers={"Authorization": f"Bearer {text}"})
    assert [part["name"] for part in answer.json()["parts"]] == [name or f"Key {theirs.pk}"]


def test_billing_spends_and_a_developer_sees_no_money(team: Account, joined: Join) -> None:
    paying = acting_for(joined(Role.BILLING), team)
    for name in ("billing", "purchases", "credits", "spending", "top_up"):
        assert paying.get(reverse(name)).status_code == 200
    making = acting_for(joined(Role.DEVELOPER), team)
    for name in ("billing", "purchases", "credits", "spending", "top_up"):
        assert making.get(reverse(name)).status_code == 403
    page = making.get(reverse("usage")).content.decode()
    assert f'href="{reverse("billing")}"' not in page


def test_what_the_release_before_writes_is_read_as_developer(team: Account, joined: Join) -> None:
    user = joined(Role.VIEWER)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounts_membership SET role = 'member' WHERE account_id = %s AND user_id = %s",
            [team.pk, user.pk],
        )
    assert Membership.objects.get(account=team, user=user).role == Role.DEVELOPER
    assert acting_for(user, team).get(reverse("keys")).status_code == 200
