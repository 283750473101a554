"""Members, their roles, and who goes: on the pages, and under the lock."""

import threading
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import people
from accounts.models import Account, AuditEvent, Invitation, Membership, User
from accounts.roles import LINES, Act
from keys.issue import issue_api_key
from quotas import projection
from tests.team.conftest import acting_for

Role = Membership.Role
Join = Callable[[str], User]
AN_OWNER = "An account needs an owner who can sign in."


@pytest.fixture
def client_of_owner(owner: User, team: Account) -> Client:
    return acting_for(owner, team)


def role_of(user: User, account: Account) -> str:
    found = Membership.objects.filter(user=user, account=account).first()
    return found.role if found else ""


def send(client: Client, account: Account, to: str, *arguments: object, **fields: object) -> str:
    """Send a form; the page that follows."""
    sent = {"for_account": account.handle, **fields}
    answer = client.post(reverse(to, args=arguments), sent, follow=True)
    return str(answer.content.decode())


def acts_of(account: Account) -> list[tuple[str, str, str]]:
    rows = AuditEvent.objects.filter(account=account, kind="people").order_by("pk")
    return [(event.act, event.thing, event.user_name) for event in rows]


def test_the_page_tells_who_is_there_and_what_each_role_may(
    client_of_owner: Client, team: Account, joined: Join
) -> None:
    joined(Role.DEVELOPER)
    page = client_of_owner.get(reverse("team")).content.decode()
    for words in (
        "Olga Owner",
        "Mr Developer",
        "developer.mate@example.com",
        "What each role may do",
    ):
        assert words in page
    for line, _acts in LINES:
        assert str(line) in page


def test_the_matrix_tells_every_act_once() -> None:
    told = [act for _words, acts in LINES for act in acts]
    assert sorted(told) == sorted(Act)


@pytest.mark.parametrize("role", [Role.DEVELOPER, Role.BILLING, Role.VIEWER])
def test_others_see_the_people_and_change_nothing(
    team: Account, owner: User, joined: Join, role: str
) -> None:
    client = acting_for(joined(role), team)
    page = client.get(reverse("team")).content.decode()
    assert "Olga Owner" in page
    assert reverse("team_invite") not in page
    assert reverse("team_member", args=[owner.pk]) not in page
    for name in ("team_member", "team_remove", "team_hand_over"):
        sent = {"for_account": team.handle, "role": "viewer"}
        assert client.post(reverse(name, args=[owner.pk]), sent).status_code == 403
    assert role_of(owner, team) == Role.OWNER


def test_a_role_is_changed_and_counts_from_the_next_click(
    client_of_owner: Client, team: Account, joined: Join
) -> None:
    user = joined(Role.DEVELOPER)
    theirs = acting_for(user, team)
    assert theirs.get(reverse("keys")).status_code == 200
    page = send(client_of_owner, team, "team_member", user.pk, role="viewer")
    assert "It counts from their next click." in page
    assert theirs.get(reverse("keys")).status_code == 403
    assert acts_of(team) == [("role changed", user.email, "owner@example.com")]
    event = AuditEvent.objects.get(act="role changed")
    assert event.changes == [["role", "developer", "viewer"]]
    for odd in ("", "king", "member"):
        assert (
            client_of_owner.post(
                reverse("team_member", args=[user.pk]), {"for_account": team.handle, "role": odd}
            ).status_code
            == 422
        )
    assert role_of(user, team) == Role.VIEWER


def test_an_admin_makes_and_unmakes_no_owner(team: Account, owner: User, joined: Join) -> None:
    admin, other = joined(Role.ADMIN), joined(Role.VIEWER)
    client = acting_for(admin, team)
    shown = client.get(reverse("team_member", args=[other.pk])).content.decode()
    assert 'value="owner"' not in shown
    for user in (other, admin):
        send(client, team, "team_member", user.pk, role="owner")
    send(client, team, "team_member", owner.pk, role="viewer")
    send(client, team, "team_remove", owner.pk)
    sent = {"for_account": team.handle}
    assert client.post(reverse("team_hand_over", args=[other.pk]), sent).status_code == 403
    roles = [role_of(user, team) for user in (owner, admin, other)]
    assert roles == [Role.OWNER, Role.ADMIN, Role.VIEWER]


def test_who_is_removed_has_no_access_and_their_keys_are_listed_for_the_owner(
    client_of_owner: Client, team: Account, joined: Join
) -> None:
    user = joined(Role.ADMIN)
    theirs = acting_for(user, team)
    issue_api_key(account=team, name="left behind", submission=uuid4(), by=user)
    assert "left behind" not in client_of_owner.get(reverse("team")).content.decode()
    question = client_of_owner.get(reverse("team_remove", args=[user.pk])).content.decode()
    assert "1 key that they made goes on working" in question
    page = send(client_of_owner, team, "team_remove", user.pk)
    assert "Keys of people who left" in page
    assert "left behind" in page
    assert role_of(user, team) == ""
    after = theirs.get(reverse("keys")).content.decode()
    assert "Acme" not in after
    assert "no longer a member" in after
    assert acts_of(team) == [("removed", user.email, "owner@example.com")]


def test_the_last_owner_neither_goes_nor_is_demoted_nor_removed(
    client_of_owner: Client, team: Account, owner: User, joined: Join
) -> None:
    joined(Role.ADMIN)
    asleep = joined(Role.OWNER)
    User.objects.filter(pk=asleep.pk).update(is_active=False)
    for name, *arguments in (
        ("team_leave",),
        ("team_remove", owner.pk),
        ("team_member", owner.pk),
    ):
        page = send(client_of_owner, team, str(name), *arguments, role="viewer")
        assert AN_OWNER in page
    assert role_of(owner, team) == Role.OWNER
    User.objects.filter(pk=asleep.pk).update(is_active=True)
    assert "You left “Acme”." in send(client_of_owner, team, "team_leave")
    assert role_of(owner, team) == ""


def test_it_is_handed_over_to_a_member(
    client_of_owner: Client, team: Account, owner: User, outsider: User, joined: Join
) -> None:
    user = joined(Role.BILLING)
    sent = {"for_account": team.handle}
    address = reverse("team_hand_over", args=[outsider.pk])
    assert client_of_owner.post(address, sent).status_code == 404
    question = client_of_owner.get(reverse("team_hand_over", args=[user.pk])).content.decode()
    assert "Hand “Acme” over to Mr Billing?" in question
    assert role_of(owner, team) == Role.OWNER
    send(client_of_owner, team, "team_hand_over", user.pk)
    assert (role_of(user, team), role_of(owner, team)) == (Role.OWNER, Role.ADMIN)
    assert acts_of(team) == [("handed over", user.email, "owner@example.com")]


@pytest.mark.django_db(transaction=True)
def test_of_two_owners_who_leave_at_once_one_stays(
    team: Account, owner: User, joined: Join
) -> None:
    pair = [owner, joined(Role.OWNER)]
    line, refused = threading.Barrier(2), []

    def go(user: User) -> None:
        line.wait()
        try:
            people.leave(account=team, by=user, at=timezone.now())
        except people.CannotChangePeople:
            refused.append(user)
        finally:
            connection.close()

    threads = [threading.Thread(target=go, args=[user]) for user in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert Membership.objects.get(account=team).user == refused[0]


def test_the_account_is_renamed(client_of_owner: Client, team: Account) -> None:
    page = send(client_of_owner, team, "team_rename", name="Acme Inc")
    assert "Acme Inc" in page
    assert AuditEvent.objects.get(act="renamed").changes == [["name", "Acme", "Acme Inc"]]
    sent = {"for_account": team.handle, "name": " "}
    assert client_of_owner.post(reverse("team_rename"), sent).status_code == 422


def test_members_of_another_account_are_nobody_here(
    client_of_owner: Client, team: Account, outsider: User
) -> None:
    for name in ("team_member", "team_remove", "team_hand_over"):
        assert client_of_owner.get(reverse(name, args=[outsider.pk])).status_code == 404


def test_the_page_asks_as_often_for_thirty_people_as_for_one(
    client_of_owner: Client, team: Account, owner: User
) -> None:
    def add(count: int) -> None:
        for number in range(count):
            user = User.objects.create_user(f"{uuid4().hex}@example.com")
            Membership.objects.create(account=team, user=user, role=Role.DEVELOPER)
            gone = User.objects.create_user(f"{uuid4().hex}@example.com")
            issue_api_key(account=team, name=f"key {number}", submission=uuid4(), by=gone)
            Invitation.objects.create(
                account=team,
                email=gone.email,
                role=Role.VIEWER,
                digest=uuid4().hex,
                invited_by=owner,
                expires_at=timezone.now(),
            )

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert client_of_owner.get(reverse("team")).status_code == 200
        return len(asked)

    add(1)
    assert projection.push(team)
    few = queries()
    add(29)
    assert queries() == few <= 7
