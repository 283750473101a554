"""Unpaid, failed, expired, or not what was ordered: no grant, and the purchase says why."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import User
from billing import fulfilment, tasks
from billing.models import Purchase
from quotas.models.ledger import Boost, CreditEntry
from tests.billing.buyer import (
    DEBIT_THAT_FAILS,
    DEBIT_THAT_SETTLES,
    Buyer,
    deliver,
    delivered,
    event_of,
)
from tests.stripe_sandbox.running_sandbox import CARD, pay_url

pytestmark = pytest.mark.django_db(transaction=True)


def settled(purchase: Purchase) -> Purchase:
    """The purchase after every event about it was handled."""
    for kind in (
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "checkout.session.expired",
    ):
        tasks.handle_event(delivered(purchase, kind).pk)
    purchase.refresh_from_db()
    return purchase


def granted() -> int:
    return Boost.objects.count() + CreditEntry.objects.count()


# --- not paid, not yet paid ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["checkout.session.completed", "checkout.session.expired"])
def test_an_event_alone_is_not_money(buyer: Buyer, kind: str) -> None:
    purchase = settled(buyer.order())
    assert (purchase.status, granted()) == ("pending", 0)


def test_a_declined_card_leaves_the_order_open_and_another_card_pays_it(buyer: Buyer) -> None:
    purchase = buyer.order()
    assert buyer.pay(purchase, number="4000000000000002").status_code == 402
    assert (settled(purchase).status, granted()) == ("pending", 0)
    buyer.pay(purchase)
    assert (settled(purchase).status, granted()) == ("paid", 1)


def test_a_bank_debit_is_granted_when_it_has_arrived(buyer: Buyer) -> None:
    purchase = buyer.order()
    buyer.pay(purchase, number=DEBIT_THAT_SETTLES)
    assert (settled(purchase).status, granted()) == ("processing", 0)
    assert "being processed" in buyer.land(purchase).content.decode()
    buyer.debit_is_decided(purchase)
    assert (settled(purchase).status, granted()) == ("paid", 1)


def test_a_bank_debit_that_fails_grants_nothing(buyer: Buyer) -> None:
    purchase = buyer.order()
    buyer.pay(purchase, number=DEBIT_THAT_FAILS)
    assert settled(purchase).status == "processing"
    buyer.debit_is_decided(purchase)
    assert (settled(purchase).status, granted()) == ("failed", 0)
    assert "did not go through" in buyer.land(purchase).content.decode()


def test_a_checkout_that_expires_grants_nothing(buyer: Buyer) -> None:
    purchase = buyer.order()
    buyer.expire(purchase)
    assert (settled(purchase).status, granted()) == ("expired", 0)
    assert "has expired" in buyer.land(purchase).content.decode()


def test_an_expired_event_that_comes_late_does_not_undo_a_payment(buyer: Buyer) -> None:
    purchase = buyer.bought()
    buyer.land(purchase)
    assert settled(purchase).status == "paid"
    assert granted() == 1


# --- not what was ordered -----------------------------------------------------------------------


def edited(purchase: Purchase, **changes: Any) -> Purchase:
    """As if another sum had been asked for than was paid."""
    Purchase.objects.filter(pk=purchase.pk).update(**changes)
    return purchase


def test_the_wrong_amount_grants_nothing_and_is_written_down(buyer: Buyer) -> None:
    purchase = settled(edited(buyer.bought(), amount_cents=50_000))
    assert granted() == 0
    assert purchase.problem == "paid 500 cents instead of 50000"
    assert purchase.status != "paid"


def test_the_wrong_currency_grants_nothing_and_is_written_down(buyer: Buyer) -> None:
    purchase = settled(edited(buyer.bought(), currency="eur"))
    assert granted() == 0
    assert purchase.problem == "paid in usd instead of eur"


def test_test_money_buys_nothing_in_live_mode(buyer: Buyer, settings: Settings) -> None:
    purchase = buyer.bought()
    settings.STRIPE_SECRET_KEY = "sk_live_0123456789"
    fulfilment.look(purchase, at=timezone.now())
    purchase.refresh_from_db()
    assert granted() == 0
    assert purchase.problem == "test and live mode do not match"


@pytest.fixture
def pay_session(buyer: Buyer) -> Callable[..., str]:
    """Pays a session that was not made by our checkout; answers its id."""

    def pay(**changes: Any) -> str:
        session = buyer.sandbox.session(**changes)
        buyer.sandbox.browser.post(pay_url(session), data=CARD)
        assert buyer.sandbox.fresh(session).payment_status == "paid"
        return session.id

    return pay


def handled(session_id: str) -> None:
    assert deliver(event_of(session_id)).status_code == 200
    tasks.handle_pending_events()


def test_a_session_in_the_name_of_another_account_grants_nothing_and_is_written_down(
    buyer: Buyer, outsider: User, pay_session: Callable[..., str]
) -> None:
    purchase = edited(buyer.order(), stripe_session_id=None)
    metadata = {"purchase": str(purchase.pk), "account": outsider.personal_account.handle}
    handled(pay_session(client_reference_id=str(purchase.pk), metadata=metadata))
    purchase.refresh_from_db()
    assert granted() == 0
    assert purchase.problem == "the session belongs to another account"


def test_another_session_cannot_claim_a_purchase(
    buyer: Buyer, pay_session: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    purchase = buyer.order()
    handled(pay_session(client_reference_id=str(purchase.pk)))
    assert granted() == 0
    assert "another session claims it" in caplog.text
    buyer.pay(purchase)
    assert settled(purchase).status == "paid"


@pytest.mark.parametrize(
    "reference", ["not-one-of-ours", "00000000-0000-4000-8000-000000000000", "ё"]
)
def test_a_session_that_is_not_ours_is_left_alone(
    buyer: Buyer, pay_session: Callable[..., str], reference: str
) -> None:
    purchase = buyer.order()
    handled(pay_session(client_reference_id=reference))
    assert granted() == 0
    assert settled(purchase).status == "pending"
