"""Each kind of alert is told once, and says what the gate says."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.utils import timezone

from accounts.models import Account, Membership, User
from alerts import choosing, watching
from alerts.models import CHOSEN_KINDS, Alert, Kind, WebhookEndpoint
from gate.terms import week
from keys.models import ApiKey
from quotas import grants
from quotas.models.ledger import Boost, CreditEntry
from quotas.models.used import UsageRollup
from quotas.usage import totals
from tests import entitled
from tests.alerts.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)

Use = Callable[[int], None]
Turn = Callable[..., None]


def told() -> list[str]:
    """The kinds that were told, oldest first."""
    alerts = Alert.objects.filter(is_passed=False).order_by("occurred_at", "kind")
    return list(alerts.values_list("kind", flat=True))


def text_of(letter: EmailMessage) -> str:
    """Its text, however its lines are broken."""
    return " ".join(str(letter.body).split())


def passed() -> set[str]:
    return set(Alert.objects.filter(is_passed=True).values_list("kind", flat=True))


def give_credits(account: Account, credits: int, ref: str) -> None:
    grants.grant_credits(
        account=account,
        credits=credits,
        kind=CreditEntry.Kind.GRANT,
        at=timezone.now(),
        source_ref=ref,
    )


def test_half_of_the_week_is_told_once_to_the_owner_and_the_webhook(
    use: Use, turn: Turn, endpoint: WebhookEndpoint, receiver: Receiver, account: Account
) -> None:
    use(24)
    turn()
    assert (told(), mail.outbox, receiver.received) == ([], [], [])
    use(1)
    for _ in range(3):
        turn()
    assert told() == [Kind.WEEK_50]
    (letter,) = mail.outbox
    assert letter.to == ["owner@example.com"]
    assert "50 % of this week’s allowance is used" in letter.subject
    assert "25 of 50 chats are used" in text_of(letter)
    (request,) = receiver.received
    assert request.path == "/hook?a=b"
    assert request.content["type"] == "week.50"
    assert request.content["account"] == account.handle
    assert request.content["data"]["used"] == 25
    assert request.content["data"]["cap"] == 50


def test_each_threshold_is_told_as_it_is_reached(use: Use, turn: Turn) -> None:
    for chats in (30, 15, 5):
        use(chats)
        turn()
    assert told() == [Kind.WEEK_50, Kind.WEEK_80, Kind.WEEK_100]
    assert len(mail.outbox) == 3


def test_of_several_that_are_reached_at_once_only_the_highest_is_told(use: Use, turn: Turn) -> None:
    use(45)
    turn()
    assert (told(), passed()) == ([Kind.WEEK_80], {Kind.WEEK_50})
    assert len(mail.outbox) == 1


def test_what_fell_and_rises_again_is_not_told_again(
    use: Use, turn: Turn, account: Account
) -> None:
    use(25)
    turn()
    entitled.move_to_plan(account, "core")
    use(1)
    turn()
    entitled.move_to_plan(account, "free")
    use(1)
    turn()
    assert told() == [Kind.WEEK_50]


def test_a_plan_without_an_end_has_no_percentages(use: Use, turn: Turn, account: Account) -> None:
    entitled.move_to_plan(account, "enterprise")
    use(1_000)
    turn()
    assert (told(), passed()) == ([], set())


def test_the_first_chat_that_a_boost_pays_is_told_once_in_a_week(
    use: Use, turn: Turn, boost: Boost
) -> None:
    use(50)
    turn()
    assert told() == [Kind.WEEK_100]
    use(3)
    turn()
    use(3)
    turn()
    assert told() == [Kind.WEEK_100, Kind.OVERFLOW]
    assert "3 chats from boosts" in text_of(mail.outbox[-1])


def test_low_credits_are_told_once_for_each_top_up(use: Use, turn: Turn, account: Account) -> None:
    choosing.choose_for_account(
        account, kinds=[Kind.LOW_CREDITS], low_credits=100, at=timezone.now()
    )
    give_credits(account, 110, "test:1")
    use(50)
    turn()
    assert told() == []
    for _ in range(2):
        use(6)
        turn()
    assert told() == [Kind.LOW_CREDITS]
    assert "left" in mail.outbox[0].subject
    give_credits(account, 100, "test:2")
    use(1)
    turn()
    assert told() == [Kind.LOW_CREDITS]
    use(45)
    turn()
    assert told() == [Kind.LOW_CREDITS, Kind.LOW_CREDITS]


def test_who_never_had_credits_is_not_told_that_they_are_low(use: Use, turn: Turn) -> None:
    use(1)
    turn()
    assert (told(), passed()) == ([], set())


@pytest.fixture
def used_before(account: Account, issued: tuple[ApiKey, str]) -> Callable[[list[int]], None]:
    """The owner's key used so many chats a day, the last one yesterday."""

    def used(chats: list[int]) -> None:
        now = timezone.now()
        for days, count in enumerate(chats, start=1):
            UsageRollup.objects.create(
                account=account,
                key_id=issued[0].pk,
                meter="chat",
                hour=(now - timedelta(days=days)).replace(minute=0, second=0, microsecond=0),
                source="allowance",
                chats=count,
            )
        totals.catch_up(at=now)

    return used


@pytest.mark.parametrize(
    ("before", "now", "is_told"),
    [
        ([20, 25, 30], 126, True),
        ([20, 25, 30], 125, False),  # five times, not more
        ([1, 1, 1], 99, False),  # too few to matter
        ([1, 1], 500, False),  # too new to have a habit
        ([200] * 14 + [1] * 14, 900, False),  # the last 14 days count
    ],
)
def test_a_key_far_above_its_habit_is_told(  # noqa: PLR0917 - fixtures and cases
    use: Use,
    turn: Turn,
    account: Account,
    used_before: Callable[[list[int]], None],
    before: list[int],
    now: int,
    is_told: bool,
) -> None:
    entitled.move_to_plan(account, "enterprise")
    used_before(before)
    use(now)
    turn()
    assert told() == [Kind.KEY_HABIT] * is_told
    if is_told:
        assert "“laptop” is used far more than usual" in mail.outbox[0].subject
        assert "126 chats" in text_of(mail.outbox[0])


def test_a_key_is_told_of_once_a_day(
    use: Use, turn: Turn, account: Account, used_before: Callable[[list[int]], None]
) -> None:
    entitled.move_to_plan(account, "enterprise")
    used_before([10, 10, 10])
    for _ in range(3):
        use(200)
        turn()
    assert told() == [Kind.KEY_HABIT]
    assert len(mail.outbox) == 1


def test_what_is_switched_off_passes_by_and_is_not_told_when_it_is_switched_on(
    use: Use, turn: Turn, account: Account
) -> None:
    choosing.choose_for_account(account, kinds=[Kind.WEEK_100], low_credits=0, at=timezone.now())
    use(41)
    turn()
    assert (told(), passed()) == ([], {Kind.WEEK_50, Kind.WEEK_80})
    choosing.choose_for_account(
        account, kinds=[k.value for k in CHOSEN_KINDS], low_credits=0, at=timezone.now()
    )
    use(1)
    turn()
    assert told() == []
    use(8)
    turn()
    assert told() == [Kind.WEEK_100]


def test_a_threshold_that_is_raised_counts_at_the_next_turn_although_nothing_is_used(
    use: Use, turn: Turn, account: Account
) -> None:
    give_credits(account, 300, "test:1")
    use(1)
    turn()
    assert told() == []
    kinds = [k.value for k in CHOSEN_KINDS]
    choosing.choose_for_account(account, kinds=kinds, low_credits=500, at=timezone.now())
    turn()
    assert told() == [Kind.LOW_CREDITS]


def test_who_did_not_use_anything_is_not_looked_at_again(use: Use) -> None:
    at = timezone.now()
    watching.look_at_changed(at=at)
    use(1)
    assert watching.look_at_changed(at=at) == 1
    assert watching.look_at_changed(at=at) == 0
    use(1)
    assert watching.look_at_changed(at=at) == 1


def test_the_next_week_begins_anew(use: Use, turn: Turn, account: Account) -> None:
    last_week = str(week.week_of(week.to_ms(timezone.now())) - 1)
    Alert.objects.create(account=account, kind=Kind.WEEK_50, occasion=last_week)
    use(25)
    turn()
    assert told() == [Kind.WEEK_50, Kind.WEEK_50]


def test_people_get_what_they_chose_and_by_default_what_their_role_says(
    use: Use, turn: Turn, account: Account, team_mate: User
) -> None:
    admin = User.objects.create_user("admin-of-it@example.com")
    gone = User.objects.create_user("gone@example.com", is_active=False)
    for user in (admin, gone):
        Membership.objects.create(account=account, user=user, role=Membership.Role.ADMIN)
    use(25)
    turn()
    assert sorted(letter.to[0] for letter in mail.outbox) == [
        "admin-of-it@example.com",
        "owner@example.com",
    ]
    mail.outbox.clear()
    choosing.choose_mail(Membership.objects.get(account=account, user=admin), kinds=[])
    choosing.choose_mail(
        Membership.objects.get(account=account, user=team_mate), kinds=[Kind.WEEK_80]
    )
    use(15)
    turn()
    assert sorted(letter.to[0] for letter in mail.outbox) == [
        "mate@example.com",
        "owner@example.com",
    ]


def test_who_left_before_the_mail_was_sent_does_not_get_it(
    use: Use, turn: Turn, account: Account, team_mate: User
) -> None:
    membership = Membership.objects.get(account=account, user=team_mate)
    choosing.choose_mail(membership, kinds=[Kind.WEEK_50])
    use(25)
    watching.look_at_changed(at=timezone.now())
    membership.delete()
    turn()
    assert [letter.to[0] for letter in mail.outbox] == ["owner@example.com"]
