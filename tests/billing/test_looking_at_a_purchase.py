"""However many copies of a purchase's page are open, Stripe is asked seldom, and polls end."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.outside import Line
from billing import events, fulfilment
from billing.models import Purchase, StripeEvent
from billing.stripe_client import asking
from quotas.models.ledger import Boost
from tests.billing.buyer import Buyer, delivered
from tests.odd_servers import lying

pytestmark = pytest.mark.django_db(transaction=True)


def test_twenty_copies_of_a_page_ask_stripe_once(
    buyer: Buyer, owner: User, stripe_at: Callable[[str], None]
) -> None:
    purchase = buyer.order()

    def open_a_copy(_: int) -> int:
        client = Client()
        client.force_login(owner)
        try:
            return Buyer(client, buyer.sandbox).land(purchase).status_code
        finally:
            connection.close()

    with lying() as server:
        stripe_at(server.origin)
        server.status, server.body = 400, b'{"error": {"message": "no"}}'
        # However long twenty pages take on this machine, it is one moment: soon they ask again.
        with time_machine.travel(timezone.now(), tick=False), ThreadPoolExecutor(20) as pool:
            assert set(pool.map(open_a_copy, range(20))) == {200}
        assert server.calls == 1


def test_five_seconds_later_stripe_is_asked_again(buyer: Buyer) -> None:
    purchase = buyer.order()
    now = timezone.now()
    fulfilment.look(purchase, at=now)
    buyer.pay(purchase)
    assert not fulfilment.look(purchase, at=now + timedelta(seconds=4.9))
    assert purchase.status == "pending"
    assert fulfilment.look(purchase, at=now + timedelta(seconds=5))
    assert purchase.status == "paid"


def test_what_somebody_else_found_out_is_shown_without_asking(buyer: Buyer) -> None:
    purchase = buyer.bought()
    Purchase.objects.update(looked_at=timezone.now() + timedelta(minutes=1))
    events.handle(delivered(purchase).pk, at=timezone.now())
    assert "Payment received" in buyer.land(purchase).content.decode()


@pytest.mark.parametrize(
    ("looks", "waits"),
    [
        ("", "every 3s"),
        ("9", "every 3s"),
        ("10", "every 10s"),
        ("20", "every 30s"),
        ("29", "every 30s"),
    ],
)
def test_a_page_that_waits_looks_again_ever_more_slowly(
    buyer: Buyer, looks: str, waits: str
) -> None:
    path = f"/account/billing/purchases/{buyer.order().pk}"
    page = buyer.client.get(path, {"looks": looks}).content.decode()
    assert f'hx-trigger="{waits}"' in page
    assert f'hx-get="{path}?looks={int(looks or 0) + 1}"' in page


@pytest.mark.parametrize("looks", ["30", "31", "999"])
def test_in_the_end_it_looks_no_more_and_a_link_is_left(buyer: Buyer, looks: str) -> None:
    path = f"/account/billing/purchases/{buyer.order().pk}"
    page = buyer.client.get(path, {"looks": looks}).content.decode()
    assert "hx-get" not in page
    assert "Check again" in page


@pytest.mark.parametrize("looks", ["-1", "x", "1e3", "٣", "1" * 5000, "\x00"])
def test_a_number_that_is_none_counts_from_the_beginning(buyer: Buyer, looks: str) -> None:
    path = f"/account/billing/purchases/{buyer.order().pk}"
    assert "looks=1" in buyer.client.get(path, {"looks": looks}).content.decode()


# --- events: claimed, then asked with nothing held, then settled -------------------------------


def test_nothing_is_locked_while_stripe_is_asked_about_an_event(
    buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = delivered(buyer.bought())
    session_of = fulfilment.session_of

    def while_it_waits(event: StripeEvent) -> object:
        # Another connection may write to all of it.
        def write() -> None:
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SET lock_timeout = '3s'")
                    cursor.execute("UPDATE billing_stripeevent SET error = error")
                    cursor.execute("UPDATE billing_purchase SET problem = problem")
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(write).result()
        assert not connection.in_atomic_block
        return session_of(event)

    monkeypatch.setattr(fulfilment, "session_of", while_it_waits)
    assert events.handle(stored.pk, at=timezone.now())
    assert Boost.objects.count() == 1


def test_an_event_whose_worker_died_is_handled_by_another_when_the_claim_has_run_out(
    buyer: Buyer,
) -> None:
    stored = delivered(buyer.bought())
    at = timezone.now()
    assert stored.claim(at=at, until=at + events._CLAIM)
    events.handle_pending(at=at + events._CLAIM - timedelta(seconds=1))
    assert not Boost.objects.exists()
    events.handle_pending(at=at + events._CLAIM)
    stored.refresh_from_db()
    assert (Boost.objects.count(), stored.handled_at) == (1, at + events._CLAIM)


def test_while_stripe_gives_no_answer_one_turn_is_one_try(
    buyer: Buyer, stripe_away: Callable[[bool], None]
) -> None:
    for _ in range(4):
        delivered(buyer.bought())
    stripe_away(True)
    at = timezone.now()
    assert [events.handle_pending(at=at) for _ in range(5)] == [1, 1, 1, 1, 0]
    stripe_away(False)
    assert events.handle_pending(at=at + timedelta(seconds=10)) == 4
    assert Boost.objects.count() == 4


def test_an_event_that_is_one_call_too_many_is_not_a_failure_and_comes_next(
    buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = delivered(buyer.bought())
    monkeypatch.setattr(asking, "looking", Line("test", at_once=1))
    at = timezone.now()
    began, may_end = threading.Event(), threading.Event()

    def somebody_elses_call() -> None:
        began.set()
        may_end.wait(30)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(asking.looking.call, somebody_elses_call, within_seconds=30)
        assert began.wait(20)
        assert not events.handle(stored.pk, at=at)
        may_end.set()
        other.result(30)
    stored.refresh_from_db()
    assert (stored.attempts, stored.error, stored.claimed_until) == (0, "", None)
    assert events.handle_pending(at=at) == 1
    assert Boost.objects.count() == 1
