"""The weekly summary: once to each person who wants it, when the week is closed."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from accounts.models import Account, Membership, User
from alerts import choosing
from alerts.models import Alert, Kind
from gate.terms import week
from keys.models import ApiKey
from quotas.models.ledger import Boost
from quotas.models.used import UsageRollup
from quotas.usage import closing

pytestmark = pytest.mark.django_db(transaction=True)

Turn = Callable[..., None]


@pytest.fixture
def used_last_week(account: Account, issued: tuple[ApiKey, str]) -> None:
    """40 chats of the allowance and 3 of a boost, the last of them in its last hour."""
    this_week = week.starts_at(week.week_of(week.to_ms(timezone.now())))
    for hours, source, chats in ((100, "allowance", 30), (1, "allowance", 10), (1, "boost", 3)):
        UsageRollup.objects.create(
            account=account,
            key_id=issued[0].pk,
            meter="chat",
            hour=this_week - timedelta(hours=hours),
            source=source,
            chats=chats,
        )


def summaries() -> list[mail.EmailMessage]:
    return [letter for letter in mail.outbox if letter.subject.startswith("Your week")]


@pytest.mark.usefixtures("used_last_week")
def test_the_owner_reads_what_the_week_was_once(turn: Turn, boost: Boost) -> None:
    turn()
    assert summaries() == []
    closing.close_ended_weeks(at=timezone.now())
    for _ in range(3):
        turn()
    (letter,) = summaries()
    assert letter.to == ["owner@example.com"]
    assert "43 chats" in letter.subject
    assert isinstance(letter, mail.EmailMultiAlternatives)
    page = str(letter.alternatives[0][0])
    for text in (str(letter.body), page):
        words = " ".join(text.split())
        assert "laptop: 43 chats" in words
        assert "500 chats of a boost" in words
    assert "Allowance: 40 of 50" in str(letter.body)
    assert "Boosts: 3" in str(letter.body)


@pytest.mark.usefixtures("used_last_week")
def test_who_does_not_want_it_does_not_get_it_and_who_wants_it_does(
    turn: Turn, account: Account, owner: User, team_mate: User
) -> None:
    choosing.choose_mail(Membership.objects.get(account=account, user=owner), kinds=[])
    choosing.choose_mail(
        Membership.objects.get(account=account, user=team_mate), kinds=[Kind.SUMMARY]
    )
    closing.close_ended_weeks(at=timezone.now())
    turn()
    assert [letter.to for letter in summaries()] == [["mate@example.com"]]


def test_a_week_without_use_has_no_summary(turn: Turn, owner: User) -> None:
    closing.close_ended_weeks(at=timezone.now())
    turn()
    assert summaries() == []
    assert not Alert.objects.exists()


@pytest.mark.usefixtures("used_last_week")
def test_a_week_that_ended_long_ago_is_not_told_of(turn: Turn) -> None:
    closing.close_ended_weeks(at=timezone.now())
    turn(timezone.now() + timedelta(days=7))
    assert summaries() == []
