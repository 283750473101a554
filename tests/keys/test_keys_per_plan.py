"""A plan comes with so many keys: live ones count, and what is there stays."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import Account, User
from keys.issue import CannotIssueKey, issue_api_key
from keys.models import ApiKey
from quotas.models.plans import Plan
from tests.keys.acts import submit_key


@pytest.fixture
def three_keys(plans: None) -> None:
    """Free comes with three."""
    Plan.objects.filter(is_default=True).update(keys_at_most=3)


def live(account: Account) -> int:
    return ApiKey.objects.filter(account=account, revoked_at=None).count()


def test_one_more_than_the_plan_has_is_refused_with_its_name_and_what_helps(
    three_keys: None, owner_client: Client, account: Account
) -> None:
    for number in range(3):
        assert submit_key(owner_client, f"key {number}").status_code == 201
    page = submit_key(owner_client, "one more")
    assert page.status_code == 422
    said = "The plan “Free” comes with 3 keys. Revoke one that you no longer use, or choose a plan"
    assert said in page.content.decode()
    assert live(account) == 3


def test_revoked_keys_leave_their_place_and_those_that_are_off_keep_it(
    three_keys: None, owner_client: Client, account: Account
) -> None:
    for number in range(3):
        submit_key(owner_client, f"key {number}")
    key = ApiKey.objects.earliest("pk")
    ApiKey.objects.filter(pk=key.pk).update(disabled_at=timezone.now())
    assert submit_key(owner_client, "one more").status_code == 422
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    assert submit_key(owner_client, "one more").status_code == 201
    assert live(account) == 3


def test_a_plan_with_fewer_leaves_the_keys_that_are_there(
    three_keys: None, owner_client: Client, account: Account
) -> None:
    for number in range(3):
        submit_key(owner_client, f"key {number}")
    Plan.objects.filter(is_default=True).update(keys_at_most=1)
    page = submit_key(owner_client, "one more").content.decode()
    assert "The plan “Free” comes with 1 key." in page
    assert live(account) == 3


def test_a_plan_that_says_nothing_has_as_many_as_anybody(
    owner_client: Client, account: Account
) -> None:
    for number in range(4):
        assert submit_key(owner_client, f"key {number}").status_code == 201


@pytest.mark.django_db(transaction=True)
def test_of_many_who_ask_at_once_only_as_many_get_one_as_the_plan_has(
    three_keys: None, account: Account, owner: User
) -> None:
    def issue(number: int) -> bool:
        try:
            issue_api_key(account=account, name=f"key {number}", submission=uuid4(), by=owner)
        except CannotIssueKey:
            return False
        else:
            return True
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(issue, range(12)))
    assert made.count(True) == live(account) == 3
