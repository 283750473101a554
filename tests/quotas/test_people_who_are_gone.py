"""Access ends at the gate with the last person who may act, whichever way they are removed."""

import re
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account, Membership, User
from keys.issue import issue_api_key
from keys.models import ApiKey
from quotas import grants
from quotas.entitlements import plan_of
from quotas.models.entitlements import Entitlement
from quotas.models.ledger import Boost, CreditEntry
from quotas.projection import account_snapshot
from quotas.tasks import push_pending
from tests import entitled
from tests.conftest import PASSWORD
from tests.quotas.forms_of_the_admin import filled_in, post
from tests.quotas.live_gate import LiveGate
from tests.quotas.test_quota_admin import account_page

pytestmark = pytest.mark.django_db(transaction=True)

Away = Callable[[bool], None]
USERS = "/admin/accounts/user/"


def user_page(user: User) -> str:
    return f"{USERS}{user.pk}/change/"


def saved(client: Client, url: str, **changes: object) -> str:
    """Send an admin form with changes (None leaves a field out); the page that follows."""
    sent = {**filled_in(client, url), **changes}
    sent = {name: value for name, value in sent.items() if value is not None}
    answer = client.post(url, sent, follow=True)
    page = str(answer.content.decode())
    assert answer.redirect_chain, re.findall("errorlist.*", page)
    return page


def switch_off(client: Client, user: User) -> str:
    return saved(client, user_page(user), is_active=None)


def switch_on(client: Client, user: User) -> str:
    return saved(client, user_page(user), is_active="on")


def delete(client: Client, user: User) -> str:
    answer = client.post(f"{USERS}{user.pk}/delete/", {"post": "yes"}, follow=True)
    return str(answer.content.decode())


def delete_selected(client: Client, user: User) -> str:
    sent = {"action": "delete_selected", "_selected_action": [user.pk], "post": "yes"}
    return str(client.post(USERS, sent, follow=True).content.decode())


def leave_on_the_page_of_the_user(client: Client, user: User) -> str:
    return saved(client, user_page(user), **{"memberships-0-DELETE": "on"})


def leave_on_the_page_of_the_account(client: Client, user: User) -> str:
    page = account_page(Account.objects.get(memberships__user=user))
    return saved(client, page, **{"memberships-0-DELETE": "on"})


def move_to_another_person(client: Client, user: User) -> str:
    """On the account's page the row of one person is given to one who may not sign in."""
    gone = User.objects.create_user("gone@example.com", PASSWORD, is_active=False)
    page = account_page(Account.objects.get(memberships__user=user))
    return saved(client, page, **{"memberships-0-user": gone.pk})


PAGES = [
    switch_off,
    delete,
    delete_selected,
    leave_on_the_page_of_the_user,
    leave_on_the_page_of_the_account,
    move_to_another_person,
]


@pytest.mark.parametrize("remove", PAGES)
def test_from_the_moment_the_page_says_so_every_key_is_refused(
    *,
    owner: User,
    account: Account,
    key: str,
    gate: LiveGate,
    admin_client: Client,
    remove: Callable[[Client, User], str],
) -> None:
    second = issue_api_key(account=account, name="server", submission=uuid4(), by=owner)[1]
    assert gate.check(key).allowed
    page = remove(admin_client, owner)
    assert [gate.check(text).reason for text in (key, second)] == ["suspended", "suspended"]
    assert "Nobody may act for Olga Owner" in page
    assert "The gate refuses all its requests." in page


@pytest.mark.parametrize("remove", PAGES)
def test_without_valkey_the_page_says_that_it_is_pending_and_it_is_repeated(
    *,
    owner: User,
    key: str,
    gate: LiveGate,
    admin_client: Client,
    valkey_away: Away,
    remove: Callable[[Client, User], str],
) -> None:
    assert gate.check(key).allowed
    valkey_away(True)
    page = remove(admin_client, owner)
    assert "the gate has not confirmed it yet" in page
    assert "The gate refuses" not in page
    valkey_away(False)
    assert gate.check(key).allowed, "the warning was true"
    push_pending()
    assert gate.check(key).reason == "suspended"


def in_code(user: User) -> None:
    user.delete()


def in_bulk(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def saved_in_code(user: User) -> None:
    user.is_active = False
    user.save()


def memberships_in_bulk(user: User) -> None:
    Membership.objects.filter(user=user).delete()


def in_sql(user: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_user SET is_active = false WHERE id = %s", [user.pk])


def deleted_in_sql(user: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM accounts_membership WHERE user_id = %s", [user.pk])


@pytest.mark.parametrize(
    "remove",
    [in_code, in_bulk, saved_in_code, memberships_in_bulk, in_sql, deleted_in_sql],
)
def test_what_code_or_sql_removes_reaches_the_gate_with_the_next_second(
    owner: User, key: str, gate: LiveGate, remove: Callable[[User], None]
) -> None:
    assert gate.check(key).allowed
    remove(owner)
    push_pending()
    assert gate.check(key).reason == "suspended"


@pytest.mark.parametrize("remove", [in_code, in_sql])
def test_an_account_that_the_gate_does_not_know_is_loaded_as_closed(
    owner: User, key: str, gate: LiveGate, remove: Callable[[User], None]
) -> None:
    remove(owner)
    assert gate.check(key).reason == "suspended"


def test_a_snapshot_that_was_read_before_does_not_come_out_on_top(
    owner: User, account: Account, key: str
) -> None:
    before = account_snapshot(account)
    assert not before.suspended
    owner.delete()
    after = account_snapshot(account)
    assert after.suspended
    assert after.version > before.version


def test_an_account_without_an_entitlement_gets_one_to_be_remembered_by(
    owner: User, account: Account, key: str
) -> None:
    Entitlement.objects.filter(account=account).delete()
    in_bulk(owner)
    entitlement = Entitlement.objects.get(account=account)
    assert entitlement.pushed_version < entitlement.version
    assert plan_of(account, at=timezone.now()).is_default


# --- undone -----------------------------------------------------------------------------------


def test_switching_the_person_on_again_brings_access_back_exactly_as_it_was(
    *, owner: User, account: Account, boost: Boost, key: str, gate: LiveGate, admin_client: Client
) -> None:
    gate.use(key, 51)
    switch_off(admin_client, owner)
    assert gate.check(key).reason == "suspended"
    page = switch_on(admin_client, owner)
    assert "Somebody may act for Olga Owner" in page
    assert "1 active key: “laptop”" in page
    gate.use(key, 499)
    assert gate.check(key).reason == "quota_exhausted"


def test_a_deleted_person_leaves_the_account_with_its_books_and_another_may_open_it_again(
    *, owner: User, outsider: User, account: Account, key: str, gate: LiveGate, admin_client: Client
) -> None:
    grants.grant_credits(
        account=account,
        credits=40,
        kind=CreditEntry.Kind.GRANT,
        at=timezone.now(),
        source_ref="test:kept",
    )
    delete(admin_client, owner)
    assert CreditEntry.objects.get(account=account).credits == 40
    assert ApiKey.objects.get(account=account).created_by is None
    assert (
        "Nobody may act: access ended" in admin_client.get(account_page(account)).content.decode()
    )
    page = saved(
        admin_client,
        account_page(account),
        **{
            "memberships-TOTAL_FORMS": "1",
            "memberships-0-user": outsider.pk,
            "memberships-0-account": account.pk,
            "memberships-0-role": "owner",
        },
    )
    assert "Somebody may act for Olga Owner" in page
    assert gate.check(key).allowed


def test_suspension_by_an_admin_stays_when_a_person_returns(
    owner: User, account: Account, key: str, gate: LiveGate, admin_client: Client
) -> None:
    entitled.set_suspended(account, True)
    switch_off(admin_client, owner)
    switch_on(admin_client, owner)
    assert gate.check(key).reason == "suspended"
    entitled.set_suspended(account, False)
    assert gate.check(key).allowed


# --- who is left ------------------------------------------------------------------------------


def test_while_somebody_is_left_the_account_goes_on(
    owner: User, team_mate: User, key: str, gate: LiveGate, admin_client: Client
) -> None:
    page = switch_off(admin_client, owner)
    assert gate.check(key).allowed
    assert "Nobody may act for Olga Owner" not in page
    switch_off(admin_client, team_mate)
    assert gate.check(key).reason == "suspended"


def test_two_people_who_are_deleted_together_leave_nobody(
    owner: User, team_mate: User, key: str, gate: LiveGate, admin_client: Client
) -> None:
    ids = [owner.pk, team_mate.pk]
    sent = {"action": "delete_selected", "_selected_action": ids}
    assert "Olga Owner" in admin_client.post(USERS, sent).content.decode()
    page = admin_client.post(USERS, {**sent, "post": "yes"}, follow=True).content.decode()
    assert "Nobody may act for Olga Owner" in page
    assert gate.check(key).reason == "suspended"


# --- said before ------------------------------------------------------------------------------


def test_every_page_says_what_ends_before_it_is_done(
    owner: User, account: Account, key: str, admin_client: Client
) -> None:
    select = {"action": "delete_selected", "_selected_action": [owner.pk]}
    for page in (
        admin_client.get(user_page(owner)),
        admin_client.get(f"{USERS}{owner.pk}/delete/"),
        post(admin_client, USERS, select),
        admin_client.get(account_page(account)),
    ):
        text = page.content.decode()
        assert "1 active key: “laptop”" in text
        assert "access" in text
    assert User.objects.filter(pk=owner.pk).exists()


def test_a_page_about_somebody_who_can_be_spared_says_so(
    owner: User, team_mate: User, admin_client: Client
) -> None:
    assert "None: others may act" in admin_client.get(user_page(owner)).content.decode()


def test_the_admin_finds_the_accounts_that_nobody_may_act_for(
    owner: User, outsider: User, account: Account, admin_client: Client
) -> None:
    in_bulk(owner)
    page = admin_client.get("/admin/accounts/account/?access=ended").content.decode()
    assert account.handle in page
    assert outsider.personal_account.handle not in page
    others = admin_client.get("/admin/accounts/account/?access=open").content.decode()
    assert account.handle not in others


# --- the person's own pages ---------------------------------------------------------------------


@pytest.mark.parametrize("remove", [in_bulk, in_code])
def test_the_sessions_of_somebody_who_is_gone_have_ended(
    owner: User, owner_client: Client, remove: Callable[[User], None]
) -> None:
    assert owner_client.get(reverse("keys")).status_code == 200
    remove(owner)
    assert owner_client.get(reverse("keys")).status_code == 302


def test_somebody_who_was_taken_out_of_their_account_is_told_so(
    owner: User, owner_client: Client
) -> None:
    memberships_in_bulk(owner)
    for name in ("keys", "usage", "billing"):
        response = owner_client.get(reverse(name))
        assert response.status_code == 403
        assert "You are not a member of any account" in response.content.decode()
    assert owner_client.get(reverse("home")).status_code == 200


def test_a_member_of_somebody_elses_personal_account_still_sees_their_own(
    team_mate: User, account: Account
) -> None:
    browser = Client()
    browser.force_login(team_mate)
    assert browser.get(reverse("keys")).status_code == 200
    assert team_mate.personal_account != account
