"""People delete themselves: what goes with them, what hinders them, what stays."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, AuditEvent, Membership, User
from billing import closing_person
from keys.models import ApiKey
from tests.billing.conftest import nobody_listens
from tests.billing.subscriber import Subscriber
from tests.quotas.live_gate import LiveGate
from tests.signed_in import sign_in_at_once
from tests.site.answer import Answer

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/account/security/close"


def go(client: Client, email: str = "owner@example.com") -> Answer:
    return client.post(PAGE, {"email": email})


def is_there(user: User) -> bool:
    return User.objects.filter(pk=user.pk).exists()


def test_who_goes_is_gone_and_their_keys_are_refused(
    owner_client: Client, owner: User, account: Account, key: str, gate: LiveGate
) -> None:
    assert gate.check(key).allowed
    assert go(owner_client, " OWNER@example.com ").status_code == 302
    assert not gate.check(key).allowed
    assert not is_there(owner)
    account.refresh_from_db()
    assert account.closed_at is not None
    assert owner_client.get("/account/usage").status_code == 302
    event = AuditEvent.objects.get(account=account, act="account closed")
    assert (event.user, event.user_name) == (None, "owner@example.com")


def test_another_address_deletes_nobody(owner_client: Client, owner: User) -> None:
    assert go(owner_client, "mate@example.com").status_code == 422
    assert is_there(owner)


def test_a_team_is_left_and_goes_on_with_the_keys_made_for_it(
    owner_client: Client, owner: User, outsider: User
) -> None:
    team = Account.objects.open_for(outsider, name="Acme")
    Membership.objects.create(account=team, user=owner, role="owner")
    made = ApiKey.objects.create(
        account=team,
        name="build",
        digest="d",
        pepper_id="1",
        last_four="0000",
        submission="0b0b0b0b-0b0b-4b0b-8b0b-0b0b0b0b0b0b",
        created_by=owner,
    )
    assert go(owner_client).status_code == 302
    team.refresh_from_db()
    made.refresh_from_db()
    assert team.closed_at is None
    assert made.revoked_at is None
    assert [place.user for place in Membership.objects.filter(account=team)] == [outsider]
    assert AuditEvent.objects.filter(account=team, act="left").exists()


def test_who_is_the_last_owner_of_a_team_stays(
    owner_client: Client, owner: User, account: Account
) -> None:
    Account.objects.open_for(owner, name="Acme")
    assert "Acme" in owner_client.get(PAGE).content.decode()
    answer = go(owner_client)
    assert answer.status_code == 422
    assert "Nobody else owns Acme." in answer.content.decode()
    account.refresh_from_db()
    assert is_there(owner)
    assert account.closed_at is None


def test_staff_do_not_delete_themselves(admin_client: Client, admin_user: User) -> None:
    assert go(admin_client, admin_user.email).status_code == 422
    assert is_there(admin_user)


def test_without_an_answer_of_stripe_nobody_goes(
    subscriber: Subscriber, owner: User, stripe_at: Callable[[str], None]
) -> None:
    subscriber.subscribe("plus")
    stripe_at(nobody_listens())
    assert go(subscriber.client).status_code == 422
    assert is_there(owner)


def test_who_signed_in_long_ago_is_asked_again(owner: User) -> None:
    client = Client()
    sign_in_at_once(client, owner, seconds_ago=3_600)
    assert go(client)["Location"].startswith("/auth/reauthenticate")
    assert is_there(owner)


def test_somebody_elses_personal_account_is_not_closed(
    account: Account, team_mate: User, owner: User
) -> None:
    assert closing_person.close(user=team_mate, at=timezone.now())
    account.refresh_from_db()
    assert account.closed_at is None
    assert is_there(owner)
