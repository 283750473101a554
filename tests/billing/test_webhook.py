"""The webhook's door: stored before it is acknowledged, handled after that, until it is."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.utils import timezone

from billing import events, fulfilment
from billing.models import Purchase, StripeEvent
from billing.stripe_client.sessions import CheckoutSession
from gate.store.connection import sync_client
from quotas.models.ledger import Boost
from tests.billing.buyer import WEBHOOK, Buyer, deliver, delivered, event_of
from tests.billing.conftest import nobody_listens

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_event_is_stored_and_handed_to_a_worker(webhook_secret: str) -> None:
    event = event_of("cs_test_1")
    answer = deliver(event)
    assert (answer.status_code, answer.content) == (200, b'{"received": true}')
    stored = StripeEvent.objects.get()
    assert (stored.event_id, stored.type) == (event["id"], event["type"])
    assert stored.payload == event
    assert (stored.handled_at, stored.attempts) == (None, 0)
    broker = sync_client(settings.REDIS_URL.partition("?")[0] + "?db=1")
    (message,) = broker.lrange("waiting", 0, -1)
    assert b"billing.handle_event" in message


def test_it_needs_no_session_and_no_csrf_token(webhook_secret: str) -> None:
    guarded = Client(enforce_csrf_checks=True)
    assert deliver(event_of("cs_test_1"), client=guarded).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_it_takes_posts_only(method: str) -> None:
    assert Client().generic(method, WEBHOOK).status_code == 405


def test_an_event_that_comes_again_is_acknowledged_and_not_stored_again(
    webhook_secret: str,
) -> None:
    event = event_of("cs_test_1")
    for _ in range(3):
        assert deliver(event).status_code == 200
    assert StripeEvent.objects.count() == 1


def test_the_same_event_fifty_times_at_once_is_one_row(webhook_secret: str) -> None:
    event = event_of("cs_test_1")

    def come(_: int) -> int:
        try:
            return deliver(event).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(come, range(50))) == {200}
    assert StripeEvent.objects.count() == 1


# --- Redis and Celery are down ------------------------------------------------------------------


@pytest.fixture
def hung() -> Iterator[str]:
    """A broker that accepts connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"


def acknowledged_in_time_and_swept(buyer: Buyer) -> None:
    purchase = buyer.bought()
    began = time.monotonic()
    stored = delivered(purchase)
    assert time.monotonic() - began < 2
    assert not Boost.objects.exists()
    events.handle_pending(at=timezone.now())
    stored.refresh_from_db()
    assert stored.handled_at is not None
    assert Boost.objects.count() == 1


@pytest.mark.alone
def test_with_a_broker_that_is_down_it_still_answers_and_the_sweep_grants(
    buyer: Buyer, broker_at: Callable[[str], None], valkey_refuses: Callable[[bool], None]
) -> None:
    broker_at(nobody_listens("redis"))
    valkey_refuses(True)
    acknowledged_in_time_and_swept(buyer)


@pytest.mark.alone
def test_with_a_broker_that_hangs_it_still_answers_and_the_sweep_grants(
    buyer: Buyer, broker_at: Callable[[str], None], hung: str
) -> None:
    broker_at(hung)
    acknowledged_in_time_and_swept(buyer)


# --- handled until it succeeds ------------------------------------------------------------------


def test_what_is_handled_is_marked_and_not_handled_again(buyer: Buyer) -> None:
    stored = delivered(buyer.bought())
    assert events.handle_pending(at=timezone.now()) == 1
    assert events.handle_pending(at=timezone.now()) == 0
    stored.refresh_from_db()
    assert (stored.attempts, stored.error) == (0, "")


def test_an_unknown_kind_of_event_is_kept_and_marked_handled(buyer: Buyer) -> None:
    stored = delivered(buyer.bought(), "customer.tax_id.created")
    events.handle_pending(at=timezone.now())
    stored.refresh_from_db()
    assert stored.state == "without_effect"
    assert stored.error == "nothing here depends on events of this type"
    assert not Boost.objects.exists()


@pytest.mark.parametrize(
    "kind", ["customer.subscription.trial_will_end", "invoice.paid", "payment_intent.succeeded"]
)
def test_an_event_that_names_nothing_of_ours_says_so(buyer: Buyer, kind: str) -> None:
    stored = delivered(buyer.bought(), kind)
    events.handle_pending(at=timezone.now())
    stored.refresh_from_db()
    assert stored.error == "the event names nothing of ours"


@pytest.mark.parametrize("data", [{}, {"object": {}}, {"object": {"id": 7}}])
def test_an_event_that_names_no_session_is_marked_handled(
    buyer: Buyer, data: dict[str, object]
) -> None:
    deliver({**event_of("cs_test_1"), "data": data})
    events.handle_pending(at=timezone.now())
    stored = StripeEvent.objects.exclude(handled_at=None).get()
    assert stored.error == "the event names no session"


def test_a_failing_event_is_tried_again_later_and_later(
    buyer: Buyer, stripe_away: Callable[[bool], None]
) -> None:
    stored = delivered(buyer.bought())
    stripe_away(True)
    at = timezone.now()
    for attempts, seconds in ((1, 10), (2, 20), (3, 40)):
        assert events.handle_pending(at=at) == 1
        stored.refresh_from_db()
        assert (stored.attempts, stored.handled_at) == (attempts, None)
        assert stored.error.startswith("Stripe gave no answer")
        assert stored.retry_at == at + timedelta(seconds=seconds)
        # Not a moment earlier.
        assert events.handle_pending(at=stored.retry_at - timedelta(milliseconds=1)) == 0
        at = stored.retry_at
    stripe_away(False)
    assert events.handle_pending(at=at) == 1
    stored.refresh_from_db()
    assert (stored.handled_at, stored.error) == (at, "")
    assert Boost.objects.count() == 1


def test_the_wait_grows_to_an_hour_and_no_further() -> None:
    at = timezone.now()
    event = StripeEvent.objects.create(event_id="evt_1", type="x", payload={})
    waits = []
    for _ in range(14):
        event.mark_failed(error="x", at=at)
        waits.append((event.retry_at - at).total_seconds())
    assert waits[:9] == [10 * 2**n for n in range(9)]
    assert waits[9:] == [3600] * 5


def test_an_event_that_our_own_fault_fails_does_not_hold_up_the_next(
    buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = delivered(buyer.bought()), delivered(buyer.bought())
    settle = fulfilment.settle

    def fails_on_the_first(session: CheckoutSession, **more: object) -> str:
        if session.session_id == first.payload["data"]["object"]["id"]:
            Purchase.objects.update(product_name="half done")
            raise ZeroDivisionError
        return settle(session, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(fulfilment, "settle", fails_on_the_first)
    assert events.handle_pending(at=timezone.now()) == 2
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.error, first.handled_at) == ("ZeroDivisionError", None)
    assert second.handled_at is not None
    # What the failed one had begun is undone.
    assert not Purchase.objects.filter(product_name="half done").exists()


def test_an_event_that_another_worker_handles_is_left_to_it(
    buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = delivered(buyer.bought())
    session_of, nested = fulfilment.session_of, []

    def meanwhile(event: StripeEvent) -> CheckoutSession | None:
        def other_worker() -> None:
            try:
                events.handle(stored.pk, at=timezone.now())
                nested.append(Boost.objects.count())
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(other_worker).result(10)
        return session_of(event)

    monkeypatch.setattr(fulfilment, "session_of", meanwhile)
    events.handle(stored.pk, at=timezone.now())
    assert nested == [0]
    assert Boost.objects.count() == 1


def test_an_event_of_no_row_is_no_error(buyer: Buyer) -> None:
    events.handle(987_654, at=timezone.now())
