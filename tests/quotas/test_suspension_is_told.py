"""Who owns a suspended account reads since when, why, and whom to ask; on its pages and by mail."""

import re
from html import unescape

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Membership, User
from quotas import grants, projection
from tests.conftest import PASSWORD
from tests.quotas.forms_of_the_admin import saved
from tests.team.conftest import acting_for

pytestmark = pytest.mark.django_db(transaction=True)
Role = Membership.Role
WHY = "Too many complaints about <b>spam</b>"


def words_of(client: Client, path: str) -> str:
    page = client.get(path)
    assert page.status_code == 200
    return " ".join(unescape(re.sub("<[^>]+>", " ", page.content.decode())).split())


@pytest.mark.parametrize("page", ["keys", "usage", "billing", "team", "alerts", "audit"])
def test_an_owner_reads_since_when_and_why_on_every_page(
    owner_client: Client, account: Account, page: str
) -> None:
    assert "This account is suspended" not in words_of(owner_client, f"/account/{page}")
    grants.suspend(account=account, at=timezone.now(), note=WHY)
    said = words_of(owner_client, f"/account/{page}")
    assert said.count("Requests are refused with 403 until that is resolved.") == 1
    assert f"by our staff: {WHY}" in said
    assert "Write to us to have it looked at again." in said
    grants.reinstate(account=account, at=timezone.now())
    assert "This account is suspended" not in words_of(owner_client, f"/account/{page}")


def test_who_does_not_answer_for_it_reads_that_it_is_so_and_not_why(account: Account) -> None:
    viewer = User.objects.create_user("viewer@example.com", PASSWORD)
    Membership.objects.create(account=account, user=viewer, role=Role.VIEWER)
    grants.suspend(account=account, at=timezone.now(), note=WHY)
    said = words_of(acting_for(viewer, account), "/account/team")
    assert "Owners and admins of the account were told why." in said
    assert "complaints" not in said


def test_a_page_that_is_not_suspended_asks_no_more_than_before(
    owner_client: Client, account: Account, django_assert_max_num_queries: object
) -> None:
    projection.push(account)
    owner_client.get("/account/team")
    with django_assert_max_num_queries(7):  # type: ignore[operator]
        owner_client.get("/account/team")


def test_owners_get_a_mail_of_it_and_of_its_end(
    admin_client: Client, account: Account, team_mate: User
) -> None:
    page = f"/admin/accounts/account/{account.pk}"
    saved(admin_client, f"{page}/suspend/", reason=WHY)
    (told,) = mail.outbox
    assert told.to == ["owner@example.com"]
    assert told.subject == f"“{account.name}” is suspended"
    assert f"The reason: {WHY}" in unescape(str(told.body))
    assert "<b>spam</b>" not in str(told.alternatives[0][0])  # type: ignore[attr-defined]
    mail.outbox.clear()
    saved(admin_client, f"{page}/reinstate/", reason="It was not them")
    (told,) = mail.outbox
    assert "It was not them" in str(told.body)


def test_a_mail_names_no_member_of_staff(
    admin_client: Client, admin_user: User, account: Account, owner_client: Client
) -> None:
    saved(admin_client, f"/admin/accounts/account/{account.pk}/suspend/", reason=WHY)
    assert admin_user.email not in str(mail.outbox[0].body)
    assert admin_user.email not in words_of(owner_client, "/account/team")


def test_it_is_told_once(account: Account) -> None:
    grants.suspend(account=account, at=timezone.now(), note=WHY)
    grants.suspend(account=account, at=timezone.now(), note="Again")
    assert len(mail.outbox) == 1
