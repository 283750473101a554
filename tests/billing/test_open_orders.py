"""Every order ends: paid and granted, given up, or an alarm for a person."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from billing import fulfilment, open_orders, tasks
from billing.models import Purchase
from billing.stripe_client import sessions
from quotas.models.ledger import Boost
from tests.billing.buyer import DEBIT_THAT_FAILS, DEBIT_THAT_SETTLES, Buyer

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def swept(purchase: Purchase, *, after: timedelta = timedelta(0)) -> Purchase:
    """The purchase after the sweep, so long after the order."""
    open_orders.ask_about_due(at=purchase.created_at + after)
    purchase.refresh_from_db()
    return purchase


def forget_the_session(purchase: Purchase) -> None:
    """As if we had died before Stripe's answer came."""
    Purchase.objects.filter(pk=purchase.pk).update(stripe_session_id=None, checkout_url="")


def test_a_payment_that_no_event_told_us_of_is_granted(buyer: Buyer) -> None:
    purchase = swept(buyer.bought(), after=MINUTE)
    assert purchase.status == "paid"
    assert Boost.objects.get().source_ref == f"purchase:{purchase.pk}"
    swept(purchase, after=2 * HOUR)
    assert Boost.objects.count() == 1


def test_the_task_does_it(buyer: Buyer) -> None:
    buyer.bought()
    tasks.ask_about_open_orders()
    assert Boost.objects.count() == 1


def test_a_payment_whose_session_never_reached_us_is_found_and_granted(buyer: Buyer) -> None:
    others = [buyer.bought() for _ in range(2)]
    purchase = buyer.bought()
    session_id = purchase.stripe_session_id
    forget_the_session(purchase)
    assert swept(purchase, after=MINUTE).status == "paid"
    assert purchase.stripe_session_id == session_id
    assert Boost.objects.filter(source_ref=purchase.source_ref).count() == 1
    for other in others:
        other.refresh_from_db()
        assert other.status == "paid"


def test_a_session_is_found_among_more_than_one_page_of_others(
    buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    purchase = buyer.bought()
    forget_the_session(purchase)
    for _ in range(101):
        buyer.sandbox.session()
    assert swept(purchase, after=MINUTE).status == "paid"


def test_an_order_that_is_not_paid_yet_stays_open_and_can_be_paid(buyer: Buyer) -> None:
    purchase = swept(buyer.order(), after=HOUR)
    assert purchase.status == "pending"
    buyer.pay(purchase)
    assert swept(purchase, after=3 * HOUR).status == "paid"


def test_an_order_that_was_never_paid_ends_with_its_session(buyer: Buyer) -> None:
    purchase = buyer.order()
    buyer.expire(purchase)
    assert swept(purchase, after=HOUR).status == "expired"


@pytest.mark.parametrize(
    ("number", "status", "boosts"),
    [(DEBIT_THAT_SETTLES, "paid", 1), (DEBIT_THAT_FAILS, "failed", 0)],
)
def test_a_bank_debit_ends_when_it_is_decided(
    buyer: Buyer, number: str, status: str, boosts: int
) -> None:
    purchase = buyer.order()
    buyer.pay(purchase, number=number)
    assert swept(purchase, after=MINUTE).status == "processing"
    buyer.debit_is_decided(purchase)
    assert swept(purchase, after=2 * HOUR).status == status
    assert Boost.objects.count() == boosts


def test_an_order_whose_payment_page_was_never_made_is_given_up(
    buyer: Buyer, stripe_away: Callable[[bool], None]
) -> None:
    stripe_away(True)
    buyer.submit()
    stripe_away(False)
    purchase = Purchase.objects.get()
    assert swept(purchase, after=10 * MINUTE).status == "pending"
    assert swept(purchase, after=2 * HOUR).status == "abandoned"
    assert "Nothing was charged" in buyer.land(purchase).content.decode()


def test_an_order_whose_payment_page_is_being_made_is_not_given_up(
    buyer: Buyer, stripe_away: Callable[[bool], None]
) -> None:
    stripe_away(True)
    buyer.submit()
    stripe_away(False)
    purchase = Purchase.objects.get()
    Purchase.objects.update(opened_at=purchase.created_at + 2 * HOUR)
    assert swept(purchase, after=2 * HOUR + MINUTE).status == "pending"


def test_an_order_that_stripe_does_not_know_is_an_alarm(
    buyer: Buyer, caplog: pytest.LogCaptureFixture
) -> None:
    purchase = buyer.order()
    Purchase.objects.update(stripe_session_id="cs_test_of_another_stripe")
    assert swept(purchase, after=HOUR).status == "review"
    assert purchase.problem == "Stripe does not know this session"
    assert f"purchase {purchase.pk} is not granted" in caplog.text


def test_an_order_that_is_never_decided_is_an_alarm(buyer: Buyer) -> None:
    purchase = buyer.order()
    assert swept(purchase, after=29 * DAY).status == "pending"
    assert swept(purchase, after=31 * DAY).status == "review"
    assert purchase.problem == "not decided after 30 days"


def test_an_order_about_which_stripe_never_answers_is_an_alarm_in_the_end(
    buyer: Buyer, stripe_away: Callable[[bool], None]
) -> None:
    purchase = buyer.order()
    stripe_away(True)
    assert swept(purchase, after=DAY).status == "pending"
    assert swept(purchase, after=31 * DAY).status == "review"


def test_what_was_given_up_and_is_paid_after_all_is_granted(buyer: Buyer) -> None:
    purchase = buyer.bought()
    Purchase.objects.update(status="failed")
    session_id = purchase.stripe_session_id
    assert session_id
    fulfilment.settle(sessions.retrieve(session_id, within_seconds=20), at=timezone.now())
    purchase.refresh_from_db()
    assert (purchase.status, Boost.objects.count()) == ("paid", 1)


# --- how often ---------------------------------------------------------------------------------


def test_it_is_asked_again_after_as_long_as_the_order_is_old(buyer: Buyer) -> None:
    purchase = buyer.order()
    ages = []
    at: datetime = purchase.ask_at
    for _ in range(9):
        swept(purchase, after=at - purchase.created_at)
        ages.append(round((purchase.ask_at - at) / MINUTE))
        at = purchase.ask_at
    assert ages == [5, 5, 10, 20, 40, 60, 60, 60, 60]


def test_it_is_not_asked_about_before_its_time_nor_after_its_end(buyer: Buyer) -> None:
    purchase = buyer.order()
    assert open_orders.ask_about_due(at=purchase.ask_at - timedelta(microseconds=1)) == 0
    assert open_orders.ask_about_due(at=purchase.ask_at) == 1
    assert open_orders.ask_about_due(at=purchase.ask_at + 4 * MINUTE) == 0
    assert open_orders.ask_about_due(at=purchase.ask_at + 5 * MINUTE) == 1
    buyer.expire(purchase)
    assert open_orders.ask_about_due(at=purchase.created_at + HOUR) == 1
    assert open_orders.ask_about_due(at=purchase.created_at + 9 * DAY) == 0


def test_one_turn_asks_about_a_bounded_number(
    buyer: Buyer, stripe_away: Callable[[bool], None]
) -> None:
    for _ in range(24):
        buyer.order()
    later = timezone.now() + HOUR
    assert open_orders.ask_about_due(at=later) == 20
    assert open_orders.ask_about_due(at=later) == 4


def test_while_stripe_is_away_one_turn_ends_soon_and_the_others_have_theirs(
    buyer: Buyer, stripe_away: Callable[[bool], None]
) -> None:
    for _ in range(5):
        buyer.order()
    stripe_away(True)
    later = timezone.now() + HOUR
    assert [open_orders.ask_about_due(at=later) for _ in range(3)] == [3, 2, 0]


def test_an_order_that_our_own_fault_fails_does_not_hold_up_the_next(
    buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = buyer.bought(), buyer.bought()
    settle = fulfilment.settle

    def fails_on_the_first(session: sessions.CheckoutSession, *, at: datetime) -> None:
        if session.session_id == first.stripe_session_id:
            raise ZeroDivisionError
        settle(session, at=at)

    monkeypatch.setattr(fulfilment, "settle", fails_on_the_first)
    assert swept(second, after=HOUR).status == "paid"
