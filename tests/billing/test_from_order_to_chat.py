"""End to end: refused, order, pay on the hosted page, webhook over HTTP, worker, next chat."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery.contrib.testing.worker import start_worker
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from billing.models import Purchase, StripeEvent
from config.celery import app
from quotas.models.ledger import Boost
from tests.billing.buyer import Buyer
from tests.patience import until
from tests.quotas.live_gate import LiveGate
from tests.stripe_sandbox.running_sandbox import Running, receiving, running

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def delivering_buyer(
    products: None,
    owner_client: Client,
    live_server: LiveServer,
    tmp_path: Path,
    stripe_at: Callable[[str], None],
) -> Iterator[Buyer]:
    """The owner at a Stripe that posts its events to the running site."""
    webhook_url = f"{live_server.url}/stripe/webhook"
    with (
        receiving() as idle,
        running(tmp_path / "stripe.sqlite3", idle, webhook_url=webhook_url) as sandbox,
    ):
        stripe_at(sandbox.origin)
        yield Buyer(owner_client, sandbox)


def events_settled(sandbox: Running) -> bool:
    """Stripe has delivered every event, and we have handled each."""
    everything = sandbox.api.v1.events.list(params={"delivery_success": True}).data
    handled = StripeEvent.objects.exclude(handled_at=None).count()
    return handled == len(everything) == 3


def test_the_webhook_alone_brings_what_was_paid_for(
    delivering_buyer: Buyer, key: str, gate: LiveGate
) -> None:
    gate.use(key, 50)
    assert gate.check(key).reason == "quota_exhausted"
    purchase = delivering_buyer.order()
    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=20):
        assert delivering_buyer.pay(purchase).status_code == 303
        until(lambda: gate.check(key).allowed)
        until(lambda: events_settled(delivering_buyer.sandbox))
    gate.use(key, 499)
    assert not gate.check(key).allowed
    assert Boost.objects.count() == 1
    assert Purchase.objects.get().status == "paid"
    page = delivering_buyer.land(purchase)
    assert "Payment received" in page.content.decode()
    assert Boost.objects.count() == 1
