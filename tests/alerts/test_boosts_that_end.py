"""A boost that ends within a day is told of once, if somebody could still use what is left."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from accounts.models import Account
from alerts import choosing, delivering, ending
from alerts.models import CHOSEN_KINDS, Alert, Delivery, Kind, WebhookEndpoint
from alerts.reasons import Reason
from quotas import grants
from quotas.models.ledger import Boost
from tests import entitled
from tests.alerts.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)

Use = Callable[[int], None]

DAY = timedelta(hours=24)


def boost_of(account: Account, *, ends_in: timedelta, days: int = 7, chats: int = 100) -> Boost:
    at = timezone.now()
    return grants.grant_boost(
        account=account,
        chats=chats,
        at=at + ends_in - timedelta(days=days),
        expires_at=at + ends_in,
        source_ref=f"test:{Boost.objects.count()}",
    )


def turn() -> None:
    ending.tell_of_boosts(at=timezone.now())
    delivering.send_mails(at=timezone.now())


def test_it_is_told_once_a_day_before_to_people_and_servers(
    account: Account, use: Use, endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    later = boost_of(account, ends_in=DAY + timedelta(minutes=5))
    soon = boost_of(account, ends_in=DAY - timedelta(minutes=5))
    use(50 + 40)
    for _ in range(3):
        turn()
    (letter,) = mail.outbox
    assert letter.subject.startswith("60 unused chats of a boost end soon")
    assert "What is not used by then is gone." in " ".join(str(letter.body).split())
    delivering.post_webhooks(at=timezone.now())
    (request,) = receiver.received
    assert request.content["type"] == "boost.ending"
    assert request.content["data"]["boost"] == soon.pk
    Boost.objects.filter(pk=later.pk).update(expires_at=timezone.now() + timedelta(hours=23))
    turn()
    assert len(mail.outbox) == 2


def test_what_is_used_up_by_the_gate_is_not_told(account: Account, use: Use) -> None:
    boost_of(account, ends_in=timedelta(hours=20), chats=10)
    use(60)
    Boost.objects.update(spent=0)
    turn()
    assert not Alert.objects.exists()


def test_a_boost_that_is_short_or_cannot_be_used_is_not_told(account: Account) -> None:
    boost_of(account, ends_in=timedelta(hours=20), days=1)
    turn()
    assert not Alert.objects.exists()
    entitled.move_to_plan(account, "enterprise")
    boost_of(account, ends_in=timedelta(hours=20))
    turn()
    assert not Alert.objects.exists()


def test_a_mail_that_comes_too_late_is_not_sent(account: Account, use: Use) -> None:
    boost_of(account, ends_in=timedelta(hours=20), chats=10)
    ending.tell_of_boosts(at=timezone.now())
    use(60)
    delivering.send_mails(at=timezone.now())
    assert Delivery.objects.get().error == Reason.NOT_SO
    boost_of(account, ends_in=timedelta(hours=20), chats=10)
    ending.tell_of_boosts(at=timezone.now())
    delivering.send_mails(at=timezone.now() + DAY)
    assert mail.outbox == []


def test_low_credits_that_are_topped_up_before_the_mail_is_sent_are_not_told(
    account: Account, use: Use
) -> None:
    Alert.objects.create(
        account=account,
        kind=Kind.LOW_CREDITS,
        occasion="1",
        data={"below": 100, "credits_left": 20},
    )
    Delivery.objects.create(alert=Alert.objects.get(), user=account.memberships.get().user)
    grants.grant_credits(
        account=account,
        credits=500,
        kind=grants.CreditKind.GRANT,
        at=timezone.now(),
        source_ref="test:topped up",
    )
    delivering.send_mails(at=timezone.now())
    assert mail.outbox == []
    assert Delivery.objects.get().error == Reason.NOT_SO


def test_it_can_be_switched_off_and_passes_by(account: Account) -> None:
    at = timezone.now()
    choosing.choose_for_account(account, kinds=[Kind.LOW_CREDITS], low_credits=0, at=at)
    boost_of(account, ends_in=timedelta(hours=20))
    turn()
    choosing.choose_for_account(
        account, kinds=[kind.value for kind in CHOSEN_KINDS], low_credits=0, at=at
    )
    turn()
    assert mail.outbox == []
    assert Alert.objects.get().is_passed
