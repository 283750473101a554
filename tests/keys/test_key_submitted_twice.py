"""A reload, a double click or a retry makes no second key."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from accounts.models import User
from keys.models import ApiKey
from tests.keys.acts import KEY, shown_key, submit_key
from tests.signed_in import sign_in_at_once


def test_a_reload_shows_no_key_and_makes_none(owner_client: Client) -> None:
    submission = uuid4()
    first = submit_key(owner_client, "laptop", submission=submission)
    again = submit_key(owner_client, "laptop", submission=submission)
    page = again.content.decode()
    assert again.status_code == 409
    assert "This key was created already" in page
    assert "laptop" in page
    assert shown_key(first) not in page
    assert not KEY.search(page)
    assert "no-store" in again["Cache-Control"]
    assert ApiKey.objects.count() == 1


def test_the_page_about_a_repeat_offers_to_revoke_the_key(owner_client: Client) -> None:
    submission = uuid4()
    submit_key(owner_client, submission=submission)
    page = submit_key(owner_client, submission=submission).content.decode()
    assert reverse("key_revoke", args=[ApiKey.objects.get().pk]) in page


def test_a_repeat_under_another_name_makes_no_second_key(owner_client: Client) -> None:
    submission = uuid4()
    submit_key(owner_client, "laptop", submission=submission)
    assert submit_key(owner_client, "desktop", submission=submission).status_code == 409
    assert ApiKey.objects.get().name == "laptop"


def test_two_forms_make_two_keys_even_of_one_name(owner_client: Client) -> None:
    keys = {shown_key(submit_key(owner_client, "laptop")) for _ in range(2)}
    assert len(keys) == ApiKey.objects.count() == 2


def test_a_submission_of_another_account_is_nothing_special(
    owner_client: Client, outsider_client: Client
) -> None:
    """Nor does the answer say that somebody else used it."""
    submission = uuid4()
    assert submit_key(owner_client, submission=submission).status_code == 201
    assert submit_key(outsider_client, submission=submission).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_twenty_submits_at_once_make_one_key(owner: User) -> None:
    submission = uuid4()
    browsers = []
    for _ in range(20):
        browser = Client()
        sign_in_at_once(browser, owner)
        browsers.append(browser)

    def submit(browser: Client) -> tuple[int, list[str]]:
        try:
            response = submit_key(browser, submission=submission)
            return response.status_code, KEY.findall(response.content.decode())
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(submit, browsers))
    assert sorted(status for status, _ in answers) == [201] + [409] * 19
    # The key itself, the curl line and the .env with it, on one page only.
    assert [len(keys) for _, keys in answers if keys] == [3]
    assert ApiKey.objects.count() == 1
