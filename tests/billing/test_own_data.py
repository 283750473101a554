"""Files with all that is written down of a person, or of an account."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, AuditEvent, Membership, User
from billing.own_data import _AT_ONCE
from billing.subscriptions.models import Subscription
from keys.issue import issue_api_key
from keys.models import ApiKey
from quotas import grants
from quotas.models.ledger import Boost
from tests.alerts.webhooks import endpoint_of
from tests.billing.orders import subscription_of_plus
from tests.conftest import PASSWORD
from tests.signed_in import sign_in_at_once
from tests.site.answer import Answer

pytestmark = pytest.mark.django_db(transaction=True)

OF_ACCOUNT, OF_PERSON = "/account/data.json", "/account/security/data.json"


def text_of(answer: Answer) -> str:
    assert answer.status_code == 200
    assert answer["Content-Disposition"].startswith("attachment")
    assert "no-store" in answer["Cache-Control"]
    return b"".join(answer).decode()


def sent_for(client: Client, address: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text_of(client.post(address)))
    return found


def test_a_person_gets_who_they_are_where_they_are_and_what_they_did(
    owner_client: Client, owner: User, account: Account, key: str, team_mate: User
) -> None:
    owner_client.get("/account/security")
    data = sent_for(owner_client, OF_PERSON)
    assert data["person"]["email"] == "owner@example.com"
    assert [place["account"] for place in data["accounts"]] == [account.handle]
    assert data["accounts"][0]["role"] == "owner"
    (made,) = data["keys_made"]
    assert (made["name"], made["masked"]) == ("laptop", f"sk_{account.handle}…{key[-4:]}")
    assert "created" in [event["act"] for event in data["done"]]
    assert "week.summary" in data["alerts"][0]["mail_about"]
    assert "mate@example.com" not in json.dumps(data)


def test_what_others_did_is_not_a_persons_own(
    owner_client: Client, account: Account, key: str, outsider_client: Client
) -> None:
    data = sent_for(outsider_client, OF_PERSON)
    assert data["keys_made"] == []
    assert account.handle not in json.dumps(data)


def test_an_owner_gets_all_of_the_account(
    owner_client: Client, owner: User, account: Account, boost: Boost, team_mate: User
) -> None:
    grants.grant_credits(
        account=account,
        credits=500,
        kind=grants.CreditKind.GRANT,
        at=timezone.now(),
        source_ref="test:1",
    )
    subscription_of_plus(account)
    endpoint_of(account, owner, "https://example.com/hook")
    data = sent_for(owner_client, OF_ACCOUNT)
    assert data["account"]["credits"] == 500
    assert {member["email"] for member in data["members"]} == {owner.email, team_mate.email}
    assert [line["credits"] for line in data["credits"]] == [500]
    assert [one["chats"] for one in data["boosts"]] == [boost.chats]
    assert [one["plan"] for one in data["subscriptions"]] == ["Plus"]
    assert [one["url"] for one in data["webhooks"]] == ["https://example.com/hook"]
    assert "credits granted" in [event["act"] for event in data["audit_log"]]
    assert AuditEvent.objects.filter(account=account, act="data taken").exists()


def test_neither_holds_a_secret(
    owner_client: Client, owner: User, account: Account, issued: tuple[ApiKey, str]
) -> None:
    key, secret = issued
    endpoint_of(account, owner, "https://example.com/hook")
    row: Subscription = subscription_of_plus(account)
    owner_client.get("/account/security")
    for address in (OF_ACCOUNT, OF_PERSON):
        text = text_of(owner_client.post(address))
        hidden = (
            *(secret, key.digest, owner.password, row.stripe_subscription_id),
            owner_client.session.session_key,
        )
        assert not [one for one in hidden if one and one in text]


def test_more_keys_than_are_read_at_once_are_all_there(
    owner_client: Client, account: Account, owner: User
) -> None:
    issue_api_key(account=account, name="first", submission=uuid4(), by=owner)
    ApiKey.objects.bulk_create(
        ApiKey(
            account=account,
            name=f"key {number}",
            digest=uuid4().hex,
            pepper_id="1",
            last_four="0000",
            submission=uuid4(),
        )
        for number in range(_AT_ONCE + 1)
    )
    names = [key["name"] for key in sent_for(owner_client, OF_ACCOUNT)["keys"]]
    assert len(names) == len(set(names)) == _AT_ONCE + 2


@pytest.mark.parametrize("role", [role for role in Membership.Role if role != "owner"])
def test_only_owners_take_the_data_of_an_account(account: Account, role: str) -> None:
    user = User.objects.create_user("somebody@example.com", PASSWORD)
    Membership.objects.create(account=account, user=user, role=role)
    client = Client()
    sign_in_at_once(client, user)
    session = client.session
    session["account"] = account.handle
    session.save()
    assert client.post(OF_ACCOUNT, {"for_account": account.handle}).status_code == 403
    assert client.post(OF_PERSON).status_code == 200


@pytest.mark.parametrize("address", [OF_ACCOUNT, OF_PERSON])
def test_who_signed_in_long_ago_is_asked_again(owner: User, address: str) -> None:
    client = Client()
    sign_in_at_once(client, owner, seconds_ago=3_600)
    answer = client.post(address)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/auth/reauthenticate")


def test_one_at_a_time(owner_client: Client) -> None:
    first = owner_client.post(OF_PERSON)
    assert owner_client.post(OF_PERSON).status_code == 302
    text_of(first)
    assert owner_client.post(OF_PERSON).status_code == 200


def test_who_has_only_a_closed_account_still_takes_their_data(
    owner_client: Client, account: Account, owner: User
) -> None:
    grants.close(account=account, at=timezone.now(), by=owner)
    assert owner_client.get("/account/security").status_code == 200
    assert sent_for(owner_client, OF_PERSON)["accounts"][0]["closed_at"]
