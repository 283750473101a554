"""Whoever answers for a key is mailed when it will expire within seven days: once for each end."""

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone

from accounts.models import Account, Membership, User
from keys import expiring, mail_choice, tasks
from keys.edit import edit_api_key, switch_api_key
from keys.issue import issue_api_key
from keys.limits import KeyLimits
from keys.models import ApiKey
from keys.revoke import revoke_api_key

pytestmark = pytest.mark.django_db(transaction=True)

Mails = list[EmailMultiAlternatives]
DAY = timedelta(days=1)


@pytest.fixture
def now() -> datetime:
    return timezone.now()


def made(account: Account, by: User, *, ends_at: datetime, name: str = "laptop") -> ApiKey:
    """A key that was made a month ago."""
    key, _ = issue_api_key(
        account=account,
        name=name,
        submission=uuid4(),
        by=by,
        limits=KeyLimits(expires_at=ends_at),
    )
    ApiKey.objects.filter(pk=key.pk).update(created_at=timezone.now() - 30 * DAY)
    return key


@pytest.fixture
def key(account: Account, owner: User, now: datetime, mailoutbox: Mails) -> ApiKey:
    """A key that has 7 days and an hour left, of which everybody knows that it was made."""
    key = made(account, owner, ends_at=now + 7 * DAY + timedelta(hours=1))
    mailoutbox.clear()
    return key


def warn(at: datetime) -> int:
    return expiring.warn_of_expiring_keys(at=at)


def test_seven_days_before_its_end_a_key_is_told_of_once(
    key: ApiKey, now: datetime, mailoutbox: Mails
) -> None:
    assert (warn(now), mailoutbox) == (0, [])
    for hours in (2, 3, 50):
        warn(now + timedelta(hours=hours))
    (mail,) = mailoutbox
    assert mail.to == ["owner@example.com"]
    assert mail.subject.startswith("Key “laptop” expires within 7 days · ")
    for said in (str(mail.body), str(mail.alternatives[0][0])):
        assert key.masked in said
        assert f"/account/keys/{key.pk}" in said
        assert f"{key.expires_at:%H:%M} UTC" in said


def test_another_end_is_told_again(
    key: ApiKey, now: datetime, owner: User, mailoutbox: Mails
) -> None:
    assert warn(now + DAY) == 1
    for days in (20, 5):
        limits = KeyLimits(expires_at=now + days * DAY)
        edit_api_key(key=key, name="laptop", limits=limits, by=owner)
        warn(now + DAY)
    assert len(mailoutbox) == 2


@pytest.mark.parametrize("state", ["revoked", "off", "over"])
def test_a_key_that_nobody_can_use_is_not_told_of(
    key: ApiKey, now: datetime, owner: User, mailoutbox: Mails, state: str
) -> None:
    at = now + DAY
    if state == "revoked":
        revoke_api_key(key=key, by=owner, at=now)
    elif state == "off":
        switch_api_key(key=key, is_on=False, by=owner, at=now)
    else:
        at = now + 8 * DAY
    mailoutbox.clear()
    assert (warn(at), mailoutbox) == (0, [])


def test_a_key_that_is_on_again_is_told_of_then(
    key: ApiKey, now: datetime, owner: User, mailoutbox: Mails
) -> None:
    switch_api_key(key=key, is_on=False, by=owner, at=now)
    assert warn(now + DAY) == 0
    switch_api_key(key=key, is_on=True, by=owner, at=now)
    assert warn(now + DAY) == 1


def test_a_key_that_was_made_for_a_few_days_is_no_news(
    account: Account, owner: User, now: datetime
) -> None:
    limits = KeyLimits(expires_at=now + 5 * DAY)
    issue_api_key(account=account, name="trial", submission=uuid4(), by=owner, limits=limits)
    assert warn(now) == 0


def test_a_person_gets_one_mail_about_all_the_keys_that_they_answer_for(
    account: Account, owner: User, team_mate: User, now: datetime, mailoutbox: Mails
) -> None:
    for number in range(12):
        made(account, owner, ends_at=now + DAY, name=f"key {number}")
    made(account, team_mate, ends_at=now + DAY, name="mine")
    mailoutbox.clear()
    assert warn(now) == 13
    mails = {mail.to[0]: mail for mail in mailoutbox}
    assert len(mails) == len(mailoutbox) == 2
    assert mails["owner@example.com"].subject.startswith("13 keys expire within 7 days")
    assert "and 3 more keys" in mails["owner@example.com"].body
    assert mails["mate@example.com"].subject.startswith("Key “mine” expires")
    assert "key 1 " not in mails["mate@example.com"].body


def test_who_wants_no_such_mail_gets_none(
    key: ApiKey, account: Account, owner: User, now: datetime, mailoutbox: Mails
) -> None:
    mail_choice.choose(Membership.objects.get(account=account, user=owner), is_on=False)
    assert (warn(now + DAY), mailoutbox) == (1, [])


def test_the_task_warns(account: Account, owner: User, now: datetime, mailoutbox: Mails) -> None:
    made(account, owner, ends_at=now + DAY)
    mailoutbox.clear()
    tasks.warn_of_expiry()
    assert len(mailoutbox) == 1
