"""A key gets another secret: the one before stays as long as was asked, and not a moment more."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.mail import EmailMultiAlternatives
from django.db import IntegrityError, connection
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account, AuditEvent, User
from gate.store.connection import server_ms, sync_client
from gate.terms import week
from keys.edit import CannotEdit, edit_api_key, switch_api_key
from keys.leaks import Find, take_back
from keys.limits import KeyLimits
from keys.models import ROTATIONS_KEPT, ApiKey
from keys.projection import CannotConfirm
from keys.revoke import revoke_api_key
from keys.rotate import (
    AlreadyRotated,
    CannotRotate,
    end_former_secret,
    rotate_api_key,
)
from keys.tasks import push_pending
from quotas.standing import paid_of
from tests.keys.acts import UNREACHABLE, ask_gate

pytestmark = pytest.mark.django_db(transaction=True)

Issued = tuple[ApiKey, str]
DAY = timedelta(days=1)


def rotate(
    key: ApiKey, *, stays: timedelta = DAY, submission: UUID | None = None, **more: Any
) -> str:
    """Give a key another secret; its text."""
    _, text, _ = rotate_api_key(
        key=key,
        submission=submission or uuid4(),
        stays=stays,
        by=more.pop("by", None),
        at=timezone.now(),
        **more,
    )
    key.refresh_from_db()
    return text


def end(key: ApiKey, *, by: User | None = None) -> bool:
    return end_former_secret(key=key, by=by, at=timezone.now())


def acts() -> list[str]:
    return list(AuditEvent.objects.order_by("pk").values_list("act", flat=True))


def test_both_secrets_work_as_one_key_until_the_old_one_is_ended(issued: Issued) -> None:
    key, old = issued
    assert ask_gate(old).allowed
    new = rotate(key)
    assert new != old
    decisions = [ask_gate(text) for text in (old, new)]
    assert [decision.answer.key_id for decision in decisions if decision.answer] == [key.pk] * 2
    assert [decision.answer.key_used for decision in decisions if decision.answer] == [2, 3]
    assert (key.last_four, key.former_last_four) == (new[-4:], old[-4:])
    assert end(key)
    assert ask_gate(old).reason == "invalid_key"
    assert ask_gate(new).allowed
    key.refresh_from_db()
    assert key.former_works_until is None
    assert key.pushed_version == key.version
    # Again it changes nothing.
    assert not end(key)
    assert acts() == ["created", "rotated", "former ended"]


def test_with_no_time_to_stay_the_old_one_is_refused_at_once(issued: Issued) -> None:
    key, old = issued
    new = rotate(key, stays=timedelta(0))
    assert ask_gate(old).reason == "invalid_key"
    assert ask_gate(new).allowed
    assert key.former_works_until is None


def test_the_old_one_ends_by_valkeys_clock_when_it_was_said(
    issued: Issued, settings: Settings
) -> None:
    key, old = issued
    new = rotate(key, stays=timedelta(seconds=2))
    assert key.former_ends_at
    ends_ms, name = week.to_ms(key.former_ends_at), "{g00}"
    client = sync_client(settings.REDIS_URL)
    while server_ms(client, name) < ends_ms:
        reason = ask_gate(old, units=0).reason
        # What was asked before may be decided after it.
        assert reason == "ok" or server_ms(client, name) >= ends_ms
    assert ask_gate(old).reason == "invalid_key"
    assert ask_gate(new).allowed


def test_another_rotation_ends_the_one_that_still_ran(issued: Issued) -> None:
    key, first = issued
    second = rotate(key)
    third = rotate(key)
    assert ask_gate(first).reason == "invalid_key"
    assert [ask_gate(text).reason for text in (second, third)] == ["ok", "ok"]
    assert acts() == ["created", "rotated", "former ended", "rotated"]


def test_what_is_done_to_the_key_reaches_both(issued: Issued) -> None:
    key, old = issued
    new = rotate(key)
    switch_api_key(key=key, is_on=False, by=None, at=timezone.now())
    assert [ask_gate(text).reason for text in (old, new)] == ["invalid_key"] * 2
    switch_api_key(key=key, is_on=True, by=None, at=timezone.now())
    edit_api_key(key=key, name="laptop", limits=KeyLimits(weekly_cap=1), by=None)
    assert [ask_gate(text).reason for text in (old, new)] == ["ok", "key_cap_reached"]
    ended = KeyLimits(expires_at=timezone.now() - DAY)
    edit_api_key(key=key, name="laptop", limits=ended, by=None)
    assert [ask_gate(text).reason for text in (old, new)] == ["invalid_key"] * 2
    edit_api_key(key=key, name="laptop", limits=KeyLimits(), by=None)
    assert [ask_gate(text).reason for text in (old, new)] == ["ok", "ok"]
    revoke_api_key(key=key, by=None, at=timezone.now())
    assert [ask_gate(text).reason for text in (old, new)] == ["invalid_key"] * 2


def test_valkey_that_lost_everything_is_loaded_with_both(
    issued: Issued, settings: Settings
) -> None:
    key, old = issued
    new = rotate(key)
    sync_client(settings.REDIS_URL).flushall()
    assert [ask_gate(text).reason for text in (old, new)] == ["ok", "ok"]
    end(key)
    sync_client(settings.REDIS_URL).flushall()
    assert [ask_gate(text).reason for text in (old, new)] == ["invalid_key", "ok"]


def test_a_repeated_submit_rotates_once_however_often_it_comes(issued: Issued) -> None:
    key, _ = issued
    submission = uuid4()
    new = rotate(key, submission=submission)
    with pytest.raises(AlreadyRotated):
        rotate(key, submission=submission)
    assert ask_gate(new).allowed
    for _ in range(ROTATIONS_KEPT - 1):
        rotate(key)
    with pytest.raises(AlreadyRotated):
        rotate(key, submission=submission)
    assert len(key.rotations) == ROTATIONS_KEPT


def test_eight_submits_at_once_make_one_secret(issued: Issued) -> None:
    key, _ = issued
    submission = uuid4()

    def submit(_number: int) -> str | None:
        try:
            return rotate_api_key(
                key=key, submission=submission, stays=DAY, by=None, at=timezone.now()
            )[1]
        except AlreadyRotated:
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        made = [text for text in pool.map(submit, range(8)) if text]
    assert len(made) == 1
    assert ask_gate(made[0]).allowed


def test_what_cannot_be_shown_is_not_made(issued: Issued) -> None:
    key, old = issued

    def fail(_key: ApiKey, _text: str) -> None:
        raise OSError("the page cannot be rendered")

    with pytest.raises(OSError, match="cannot be rendered"):
        rotate(key, show=fail)
    assert ask_gate(old).allowed
    assert acts() == ["created"]


def test_keys_that_are_over_get_no_secret(issued: Issued) -> None:
    key, _ = issued
    ApiKey.objects.update(expires_at=timezone.now() - DAY)
    with pytest.raises(CannotRotate, match="has expired"):
        rotate(key)
    ApiKey.objects.update(expires_at=None)
    revoke_api_key(key=key, by=None, at=timezone.now())
    for act in (rotate, end):
        with pytest.raises(CannotEdit):
            act(key)


def test_a_key_that_is_off_is_rotated_and_stays_off(issued: Issued) -> None:
    key, old = issued
    switch_api_key(key=key, is_on=False, by=None, at=timezone.now())
    new = rotate(key)
    assert [ask_gate(text).reason for text in (old, new)] == ["invalid_key"] * 2


def test_without_the_gate_the_one_that_still_runs_is_kept_in_mind(
    issued: Issued, settings: Settings
) -> None:
    key, first = issued
    second = rotate(key)
    reachable, settings.REDIS_URL = settings.REDIS_URL, UNREACHABLE
    with pytest.raises(CannotConfirm):
        rotate(key)
    settings.REDIS_URL = reachable
    # It was ended first, which is repeated; the secret is the same.
    push_pending()
    assert [ask_gate(text).reason for text in (first, second)] == ["invalid_key", "ok"]


def test_without_the_gate_it_is_said_that_it_does_not_know_the_new_one(
    issued: Issued, settings: Settings
) -> None:
    key, old = issued
    reachable, settings.REDIS_URL = settings.REDIS_URL, UNREACHABLE
    _, new, is_confirmed = rotate_api_key(
        key=key, submission=uuid4(), stays=timedelta(0), by=None, at=timezone.now()
    )
    assert not is_confirmed
    with pytest.raises(CannotConfirm):
        rotate(key)
    settings.REDIS_URL = reachable
    push_pending()
    assert [ask_gate(text).reason for text in (old, new)] == ["invalid_key", "ok"]


def test_what_was_written_down_is_of_whom_and_no_secret(issued: Issued, owner: User) -> None:
    key, old = issued
    new = rotate(key, by=owner)
    event = AuditEvent.objects.get(act="rotated")
    assert (event.user, event.thing) == (owner, str(key))
    assert ["last_four", old[-4:], new[-4:]] in event.changes
    assert not any(text in repr(vars(event)) for text in (old, new))


def test_a_former_secret_that_leaked_ends_alone_and_the_owner_hears_of_it(
    issued: Issued, mailoutbox: list[EmailMultiAlternatives]
) -> None:
    key, old = issued
    new = rotate(key)
    # Of the rotation itself.
    mailoutbox.clear()
    assert take_back([Find(old, "https://example.com/x")], at=timezone.now()) == 1
    assert [ask_gate(text).reason for text in (old, new)] == ["invalid_key", "ok"]
    (mail,) = mailoutbox
    assert mail.subject.startswith("The old secret of your key “laptop” was found in public")
    for said in (str(mail.body), str(mail.alternatives[0][0])):
        assert f"…{old[-4:]}" in said
        assert "The new secret goes on." in said
        assert "Make another key" not in said
    event = AuditEvent.objects.latest("pk")
    assert (event.act, event.note) == (
        "former leaked",
        "reported as leaked at https://example.com/x",
    )
    # What has ended is no news.
    assert take_back([Find(old)], at=timezone.now()) == 0
    assert take_back([Find(old), Find(new)], at=timezone.now()) == 1
    assert ask_gate(new).reason == "invalid_key"
    assert len(mailoutbox) == 2


def test_ceilings_of_a_rotated_key_are_read_where_they_are_counted(
    issued: Issued, account: Account
) -> None:
    key, _ = issued
    rotate(key)
    name = f"c:{key.state().counted_as}"
    assert name == f"c:{ApiKey.objects.get().counted_as}"
    assert key.state().counted_as != key.state().digest
    assert paid_of(account, key) is not None


def test_the_database_has_no_former_secret_without_an_end(issued: Issued) -> None:
    for wrong in (
        {"former_digest": "x"},
        {"former_ends_at": timezone.now()},
        {"former_digest": "x", "former_ends_at": timezone.now(), "counted_as": ""},
    ):
        with pytest.raises(IntegrityError, match="api_key_former_ends"):
            ApiKey.objects.update(**wrong)
