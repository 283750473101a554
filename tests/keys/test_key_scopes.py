"""What a key may be used for: chosen in the form, held by the gate, and by PostgreSQL."""

import asyncio
from uuid import uuid4

import pytest
from django.db import IntegrityError
from django.test import Client
from django.urls import reverse

from accounts.models import Account, Membership, User
from accounts.roles import Act, may
from gate.terms.reasons import Reason
from keys import scopes
from keys.issue import issue_api_key
from keys.limits import KeyLimits
from keys.models import ApiKey
from tests.keys.acts import shown_key, submit_key
from tests.keys.test_key_edit import edit
from tests.patient_gate import patient_gate

METERS = ("chat", "images", "voice")


def decided(key: str) -> dict[str, str]:
    """What the gate says of one unit of every meter."""

    async def asking() -> dict[str, str]:
        async with patient_gate() as gate:
            return {
                meter: (await gate.check(key=key, meter=meter, units=1)).reason for meter in METERS
            }

    return asyncio.run(asking())


@pytest.mark.django_db(transaction=True)
def test_a_key_with_nothing_ticked_may_be_used_for_everything(owner_client: Client) -> None:
    assert decided(shown_key(submit_key(owner_client))) == dict.fromkeys(METERS, Reason.OK)


@pytest.mark.django_db(transaction=True)
def test_a_key_is_used_for_what_was_ticked_and_nothing_else(owner_client: Client) -> None:
    key = shown_key(submit_key(owner_client, meters=["voice", "chat"]))
    assert ApiKey.objects.get().scopes == ["chat", "voice"]
    assert decided(key) == {
        "chat": Reason.OK,
        "images": Reason.NOT_PERMITTED,
        "voice": Reason.OK,
    }
    assert "for chat, voice" in owner_client.get(reverse("keys")).text


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("ticked", "words"),
    [
        ({"reads_quota": "on"}, "only reads the quota"),
        ({"manages_keys": "on"}, "manages keys, and calls no model"),
        (
            {"manages_keys": "on", "reads_quota": "on", "reads_usage": "on"},
            "may read usage · manages keys, and calls no model",
        ),
    ],
)
def test_a_key_that_only_reads_or_manages_calls_nothing(
    owner_client: Client, ticked: dict[str, str], words: str
) -> None:
    key = shown_key(submit_key(owner_client, **ticked))
    assert decided(key) == dict.fromkeys(METERS, Reason.NOT_PERMITTED)
    assert words in owner_client.get(reverse("keys")).text


@pytest.mark.django_db(transaction=True)
def test_a_key_that_reads_usage_or_quota_beside_meters_is_used_for_those(
    owner_client: Client,
) -> None:
    key = shown_key(submit_key(owner_client, meters=["chat"], reads_quota="on", reads_usage="on"))
    assert decided(key) == {
        "chat": Reason.OK,
        "images": Reason.NOT_PERMITTED,
        "voice": Reason.NOT_PERMITTED,
    }


def test_the_form_makes_no_key_that_manages_and_calls(owner_client: Client) -> None:
    answer = submit_key(owner_client, meters=["chat"], manages_keys="on")
    assert answer.status_code == 422
    assert "A key that manages keys is used for nothing else." in answer.content.decode()
    assert not ApiKey.objects.exists()


def test_the_form_takes_no_meter_that_there_is_not(owner_client: Client) -> None:
    answer = submit_key(owner_client, meters=["chat", "keys:manage"])
    assert answer.status_code == 422
    assert "There is no “keys:manage” to choose." in answer.content.decode()


@pytest.mark.parametrize("meter", [*METERS, "embeddings"])
def test_postgresql_keeps_no_key_that_manages_and_calls(
    account: Account, owner: User, meter: str
) -> None:
    limits = KeyLimits(scopes=(meter, scopes.MANAGE_KEYS))
    with pytest.raises(IntegrityError, match="api_key_manages_or_calls"):
        issue_api_key(account=account, name="x", submission=uuid4(), by=owner, limits=limits)


def test_meters_that_only_an_operator_has_stay_and_can_be_taken_away(
    owner_client: Client, issued: tuple[ApiKey, str]
) -> None:
    key, _text = issued
    ApiKey.objects.update(scopes=["chat", "embeddings"])
    edit(owner_client, key, reads_usage="on")
    key.refresh_from_db()
    assert key.scopes == ["chat", "embeddings", "usage:read"]
    edit(owner_client, key, meters=["chat"])
    key.refresh_from_db()
    assert key.scopes == ["chat", "usage:read"]


@pytest.mark.django_db(transaction=True)
def test_what_a_key_is_for_can_be_changed_and_counts_at_once(owner_client: Client) -> None:
    text = shown_key(submit_key(owner_client))
    key = ApiKey.objects.get()
    edit(owner_client, key, manages_keys="on")
    assert decided(text)["chat"] == Reason.NOT_PERMITTED
    edit(owner_client, key, manages_keys=None, meters=["chat"])
    assert decided(text)["chat"] == Reason.OK


def test_who_does_not_answer_for_the_account_lets_no_key_manage(
    account: Account, owner: User, owner_client: Client
) -> None:
    Membership.objects.filter(account=account, user=owner).update(role=Membership.Role.DEVELOPER)
    assert 'name="manages_keys"' not in owner_client.get(reverse("keys")).text
    assert submit_key(owner_client, manages_keys="on").status_code == 201
    key = ApiKey.objects.get()
    assert not key.manages_keys
    # One that manages already stays so, whoever gives it another name.
    ApiKey.objects.update(scopes=[scopes.MANAGE_KEYS])
    edit(owner_client, key, name="renamed")
    key.refresh_from_db()
    assert (key.name, key.scopes) == ("renamed", [scopes.MANAGE_KEYS])
    edit(owner_client, key, meters=["chat"])
    key.refresh_from_db()
    assert key.scopes == [scopes.MANAGE_KEYS]


def test_only_who_answers_for_an_account_may_let_keys_manage(account: Account) -> None:
    allowed = {
        role
        for role in Membership.Role.values
        if may(Membership(account=account, role=role), Act.LET_KEYS_MANAGE)
    }
    assert allowed == {"owner", "admin"}
