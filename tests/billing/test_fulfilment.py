"""Paid means granted, once, whoever notices first."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from itertools import permutations

import pytest
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from accounts.models import Account
from billing import events, fulfilment, tasks
from billing.models import Product, Purchase
from billing.stripe_client.errors import StripeUnavailable
from quotas.models.ledger import Boost, CreditEntry
from quotas.standing import standing_of
from quotas.tasks import push_pending
from tests.billing.buyer import Buyer, deliver, delivered, event_of
from tests.quotas.live_gate import LiveGate

pytestmark = pytest.mark.django_db(transaction=True)


# Every door through which the news of a payment comes in.


def by_webhook_task(buyer: Buyer, purchase: Purchase) -> None:
    tasks.handle_event(delivered(purchase).pk)


def by_landing_page(buyer: Buyer, purchase: Purchase) -> None:
    assert buyer.land(purchase).status_code == 200


def by_sweep(buyer: Buyer, purchase: Purchase) -> None:
    delivered(purchase)
    tasks.handle_pending_events()


DOORS = [by_webhook_task, by_landing_page, by_sweep]
Door = Callable[[Buyer, Purchase], None]


@pytest.mark.parametrize("door", DOORS)
def test_any_door_alone_grants_what_was_bought(buyer: Buyer, account: Account, door: Door) -> None:
    purchase = buyer.bought()
    before = timezone.now()
    door(buyer, purchase)
    boost = Boost.objects.get()
    assert (boost.account, boost.chats) == (account, 500)
    assert boost.source_ref == f"purchase:{purchase.pk}"
    assert timedelta(0) <= boost.expires_at - before - timedelta(days=7) < timedelta(seconds=10)
    purchase.refresh_from_db()
    assert (purchase.status, purchase.paid_at) == ("paid", boost.starts_at)


@pytest.mark.parametrize("order", list(permutations(DOORS)))
def test_all_doors_in_any_order_grant_it_once(buyer: Buyer, order: tuple[Door, ...]) -> None:
    purchase = buyer.bought()
    for door in order:
        door(buyer, purchase)
    assert Boost.objects.count() == 1


def test_twenty_at_once_grant_it_once(buyer: Buyer, account: Account) -> None:
    purchase = buyer.bought("credits-5")
    stored = [delivered(purchase).pk for _ in range(7)]

    def come(number: int) -> None:
        try:
            if number % 3 == 0:
                events.handle(stored[number // 3], at=timezone.now())
            elif number % 3 == 1:
                fresh = Purchase.objects.get(pk=purchase.pk)
                with suppress(StripeUnavailable):  # so many calls may be too many
                    fulfilment.look(fresh, at=timezone.now())
            else:
                events.handle_pending(at=timezone.now())
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(come, range(20)))
    assert list(CreditEntry.objects.values_list("credits", "kind")) == [(500, "purchase")]
    standing = standing_of(account, at=timezone.now())
    assert standing is not None
    assert standing.credits_left == 500


def test_two_purchases_are_two_grants(buyer: Buyer) -> None:
    for _ in range(2):
        by_landing_page(buyer, buyer.bought())
    assert Boost.objects.aggregate(all=Sum("chats")) == {"all": 1000}


def test_credits_enter_the_ledger_as_bought(buyer: Buyer, account: Account) -> None:
    purchase = buyer.bought("credits-20")
    by_webhook_task(buyer, purchase)
    (line,) = CreditEntry.objects.all()
    assert (line.account, line.credits, line.kind) == (account, 2000, "purchase")
    assert (line.source_ref, line.note) == (f"purchase:{purchase.pk}", "2,000 credits")


def test_the_very_next_chat_is_accepted(buyer: Buyer, key: str, gate: LiveGate) -> None:
    gate.use(key, 50)
    assert not gate.check(key).allowed
    by_webhook_task(buyer, buyer.bought())
    gate.use(key, 500)
    assert not gate.check(key).allowed


def test_the_landing_page_shows_what_was_bought_before_any_webhook(buyer: Buyer) -> None:
    page = buyer.land(buyer.bought())
    assert "Payment received" in page.content.decode()
    assert page.context["standing"].boost_left == 500  # type: ignore[attr-defined]


# --- what was bought, not what is on sale now ---------------------------------------------------


def test_a_boost_ends_seven_times_24_hours_after_the_payment(buyer: Buyer) -> None:
    purchase = buyer.bought()
    delivered(purchase)
    paid_at = timezone.now() + timedelta(hours=5)
    events.handle_pending(at=paid_at)
    boost = Boost.objects.get()
    assert (boost.starts_at, boost.expires_at) == (paid_at, paid_at + timedelta(hours=7 * 24))


def test_the_terms_are_those_of_the_moment_of_the_order(buyer: Buyer) -> None:
    boost, credits = buyer.order(), buyer.order("credits-5")
    Product.objects.filter(kind="boost").update(chats=1, valid_days=1, price_cents=9900, name="New")
    Product.objects.filter(kind="credits").update(credits=1, price_cents=9900, is_active=False)
    for purchase in (boost, credits):
        buyer.pay(purchase)
        by_landing_page(buyer, purchase)
    granted = Boost.objects.get()
    assert (granted.chats, granted.note) == (500, "Weekly Boost")
    assert granted.expires_at - granted.starts_at == timedelta(days=7)
    assert CreditEntry.objects.get().credits == 500
    assert set(Purchase.objects.values_list("status", flat=True)) == {"paid"}


def test_stripe_may_tell_us_before_we_wrote_its_session_down(buyer: Buyer) -> None:
    purchase = buyer.bought()
    event = event_of(purchase.stripe_session_id)
    Purchase.objects.update(stripe_session_id=None, checkout_url="")
    deliver(event)
    tasks.handle_pending_events()
    assert Boost.objects.count() == 1


# --- when Stripe or Valkey is away --------------------------------------------------------------


def test_the_landing_page_waits_while_stripe_is_away(
    buyer: Buyer, stripe_away: Callable[[bool], None]
) -> None:
    purchase = buyer.bought()
    stripe_away(True)
    page = buyer.land(purchase)
    assert page.status_code == 200
    assert "Waiting for your payment" in page.content.decode()
    assert not Boost.objects.exists()
    stripe_away(False)
    buyer.wait(purchase)
    assert "Payment received" in buyer.land(purchase).content.decode()


def test_a_payment_while_valkey_is_away_is_granted_and_reaches_the_gate_later(
    buyer: Buyer,
    account: Account,
    valkey_refuses: Callable[[bool], None],
) -> None:
    purchase = buyer.bought()
    valkey_refuses(True)
    page = buyer.land(purchase)
    assert "Payment received" in page.content.decode()
    assert page.context["standing"] is None  # type: ignore[attr-defined]
    valkey_refuses(False)
    push_pending()
    standing = standing_of(account, at=timezone.now())
    assert standing is not None
    assert standing.boost_left == 500
