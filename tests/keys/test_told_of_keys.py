"""Whoever answers for a key is mailed when it is made or revoked: once, and never its text."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.acting import Acting, Via, acting
from accounts.models import Account, AuditEvent, OutgoingMail, User
from keys.issue import issue_api_key
from keys.models import ApiKey
from keys.revoke import revoke_api_key
from keys.rotate import rotate_api_key
from keys.telling import MAILS_AN_HOUR
from tests.keys.acts import shown_key, submit_key

pytestmark = pytest.mark.django_db(transaction=True)

Mails = list[EmailMultiAlternatives]


def parts(mail: EmailMultiAlternatives) -> tuple[str, str]:
    """The mail as text and as a page."""
    return str(mail.body), str(mail.alternatives[0][0])


def make(account: Account, by: User, name: str = "laptop") -> tuple[ApiKey, str]:
    return issue_api_key(account=account, name=name, submission=uuid4(), by=by)


def revoke(key: ApiKey, by: User | None, note: str = "") -> None:
    revoke_api_key(key=key, by=by, at=timezone.now(), note=note)


def test_a_new_key_is_told_with_who_made_it_and_from_where(
    owner_client: Client, mailoutbox: Mails
) -> None:
    owner_client.defaults["REMOTE_ADDR"] = "192.0.2.7"
    text = shown_key(submit_key(owner_client, "server", weekly_cap="100"))
    (mail,) = mailoutbox
    key = ApiKey.objects.get()
    event = AuditEvent.objects.get()
    assert mail.to == ["owner@example.com"]
    assert mail.subject.startswith("Key “server” was created · ")
    for said in parts(mail):
        for told in (key.masked, "owner@example.com", "100 chats a week"):
            assert told in said
        assert f"From the address: {event.ip}" in said
        assert reverse("key_edit", args=[key.pk]) in said
        assert text not in said


def test_a_submit_that_comes_again_is_not_told_again(
    owner_client: Client, mailoutbox: Mails
) -> None:
    submission = uuid4()
    for _ in range(2):
        submit_key(owner_client, submission=submission)
    assert len(mailoutbox) == 1


def test_a_key_that_could_not_be_shown_is_not_told(
    account: Account, owner: User, settings: Settings
) -> None:
    settings.EMAIL_BACKEND = "accounts.mail_backend.OutboxBackend"

    def show(key: ApiKey, plaintext: str) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        issue_api_key(account=account, name="laptop", submission=uuid4(), by=owner, show=show)
    assert not OutgoingMail.objects.exists()
    make(account, owner)
    assert OutgoingMail.objects.count() == 1


def test_a_revoked_key_is_told_once_with_the_reason(
    issued: tuple[ApiKey, str], owner: User, mailoutbox: Mails
) -> None:
    key, _ = issued
    for _ in range(2):
        revoke(key, owner, note="the laptop was lost")
    (mail,) = mailoutbox
    assert mail.subject.startswith("Key “laptop” was revoked · ")
    for said in parts(mail):
        assert "Why: the laptop was lost" in said
        assert key.masked in said


def test_another_secret_is_told_with_how_long_the_one_before_works(
    account: Account, owner: User, mailoutbox: Mails
) -> None:
    key = make(account, owner)[0]
    mailoutbox.clear()
    at = timezone.now()
    key, text, _ = rotate_api_key(
        key=key, submission=uuid4(), stays=timedelta(hours=1), by=owner, at=at
    )
    (mail,) = mailoutbox
    assert mail.subject.startswith("Key “laptop” has a new secret · ")
    for said in parts(mail):
        assert f"The secret before it, …{key.former_last_four}, works until" in said
        assert text not in said
    rotate_api_key(key=key, submission=uuid4(), stays=timedelta(0), by=owner, at=at)
    assert "The secret before it is refused." in parts(mailoutbox[-1])[0]


def test_who_made_it_is_told_and_other_members_are_not(
    account: Account, owner: User, team_mate: User, mailoutbox: Mails
) -> None:
    other = User.objects.create_user("other@example.com", "x")
    account.memberships.create(user=other, role="developer")
    key, _ = make(account, team_mate)
    assert {mail.to[0] for mail in mailoutbox} == {"owner@example.com", "mate@example.com"}
    mailoutbox.clear()
    revoke(key, owner)
    assert {mail.to[0] for mail in mailoutbox} == {"owner@example.com", "mate@example.com"}


def test_who_may_see_no_keys_any_more_is_not_told(
    account: Account, team_mate: User, mailoutbox: Mails
) -> None:
    key, _ = make(account, team_mate)
    account.memberships.filter(user=team_mate).update(role="billing")
    mailoutbox.clear()
    revoke(key, None)
    assert [mail.to for mail in mailoutbox] == [["owner@example.com"]]


def test_each_reads_it_in_their_language(
    account: Account, owner: User, team_mate: User, mailoutbox: Mails
) -> None:
    team_mate.choose_language("de")
    make(account, team_mate)
    pages = {mail.to[0]: parts(mail)[1] for mail in mailoutbox}
    assert '<html lang="de">' in pages["mate@example.com"]
    assert '<html lang="en">' in pages["owner@example.com"]


def test_what_a_program_did_is_told_as_that(
    account: Account, owner: User, mailoutbox: Mails
) -> None:
    with acting(Acting(Via.KEY, name="deploy (sk_…abcd)", ip="203.0.113.9")):
        make(account, owner)
    text, _ = parts(mailoutbox[0])
    assert "Who: deploy (sk_…abcd) · with a key" in text
    assert "203.0.113.9" in text


def test_whoever_makes_and_revokes_many_hears_of_ten_an_hour(
    account: Account, owner: User, mailoutbox: Mails
) -> None:
    made = [make(account, owner, name=f"key {number}")[0] for number in range(MAILS_AN_HOUR - 1)]
    assert "We send no more" not in "".join(parts(mailoutbox[-1]))
    for key in made:
        revoke(key, owner)
    assert len(mailoutbox) == MAILS_AN_HOUR
    for said in parts(mailoutbox[-1]):
        assert "We send no more" in " ".join(said.split())
    assert AuditEvent.objects.count() == 2 * (MAILS_AN_HOUR - 1)


def test_an_hour_later_it_is_told_again(
    issued: tuple[ApiKey, str], account: Account, owner: User, mailoutbox: Mails
) -> None:
    for number in range(MAILS_AN_HOUR):
        make(account, owner, name=f"key {number}")
    mailoutbox.clear()
    revoke_api_key(key=issued[0], by=owner, at=timezone.now() + timedelta(minutes=61))
    assert len(mailoutbox) == 1


def test_the_mails_of_one_account_leave_those_of_others(
    account: Account, owner: User, mailoutbox: Mails
) -> None:
    for number in range(MAILS_AN_HOUR):
        make(account, owner, name=f"key {number}")
    stranger = User.objects.create_user("other@example.com", "x")
    mailoutbox.clear()
    make(stranger.memberships.get().account, stranger)
    assert [mail.to for mail in mailoutbox] == [["other@example.com"]]
