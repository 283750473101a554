"""What staff do with members: an owner is left, and it is written down."""

from collections.abc import Callable

from django.test import Client
from django.urls import reverse

from accounts.models import Account, AuditEvent, Membership, User
from tests.quotas.forms_of_the_admin import filled_in

Role = Membership.Role
Join = Callable[[str], User]
NO_OWNER = "would have members and no owner"


def change(client: Client, thing: Account | User, **changes: object) -> str:
    """Send the form of an account or a person with changes; the page that follows."""
    name = f"admin:accounts_{'account' if isinstance(thing, Account) else 'user'}_change"
    url = reverse(name, args=[thing.pk])
    sent = {**filled_in(client, url), **changes}
    return str(client.post(url, sent, follow=True).content.decode())


def roles_in(account: Account) -> dict[str, str]:
    rows = Membership.objects.filter(account=account).select_related("user")
    return {row.user.name: row.role for row in rows}


def acts_of(account: Account) -> list[tuple[str, str, str, list[list[str]]]]:
    rows = AuditEvent.objects.filter(account=account, kind="people").order_by("pk")
    return [(row.act, row.thing, row.via, row.changes) for row in rows]


def test_an_account_with_members_keeps_an_owner(
    admin_client: Client, team: Account, owner: User, joined: Join
) -> None:
    joined(Role.DEVELOPER)
    before = roles_in(team)
    assert NO_OWNER in change(admin_client, team, **{"memberships-0-role": "viewer"})
    assert NO_OWNER in change(admin_client, team, **{"memberships-0-DELETE": "on"})
    at = [m.pk for m in owner.memberships.all()].index(owner.memberships.get(account=team).pk)
    assert NO_OWNER in change(admin_client, owner, **{f"memberships-{at}-role": "viewer"})
    assert NO_OWNER in change(admin_client, owner, **{f"memberships-{at}-DELETE": "on"})
    page = admin_client.post(
        reverse("admin:accounts_user_delete", args=[owner.pk]), {"post": "yes"}
    )
    assert page.status_code == 200
    assert "would have no owner" in page.content.decode()
    assert roles_in(team) == before
    assert acts_of(team) == []


def test_what_staff_change_is_written_down(
    admin_client: Client, team: Account, joined: Join
) -> None:
    user = joined(Role.DEVELOPER)
    change(admin_client, team, **{"memberships-1-role": "owner"})
    change(admin_client, team, **{"memberships-0-role": "viewer"})
    change(admin_client, team, **{"memberships-0-DELETE": "on"})
    assert roles_in(team) == {user.name: Role.OWNER}
    assert acts_of(team) == [
        ("role changed", user.email, "staff", [["role", "developer", "owner"]]),
        ("role changed", "owner@example.com", "staff", [["role", "owner", "viewer"]]),
        ("removed", "owner@example.com", "staff", [["role", "viewer", ""]]),
    ]


def test_people_who_are_put_in_moved_and_deleted_are_written_down(
    admin_client: Client, team: Account, outsider: User, joined: Join
) -> None:
    user = joined(Role.DEVELOPER)
    change(admin_client, team, **{"memberships-1-user": outsider.pk})
    address = reverse("admin:accounts_user_delete", args=[outsider.pk])
    admin_client.post(address, {"post": "yes"})
    assert acts_of(team) == [
        ("removed", user.email, "staff", [["role", "developer", ""]]),
        ("joined", "outsider@example.com", "staff", [["role", "", "developer"]]),
        ("removed", "outsider@example.com", "staff", [["role", "developer", ""]]),
    ]
