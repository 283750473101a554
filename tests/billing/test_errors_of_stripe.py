"""What will not pass by itself is not called temporary: each error by who can mend it."""

import json
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone

from billing import events, open_orders, rights
from billing.models import Purchase, StripeEvent
from billing.stripe_client import asking, payments, sessions
from billing.stripe_client.errors import (
    AskedOtherwiseBefore,
    CardRefused,
    StripeRefuses,
    StripeRefusesUs,
    StripeUnavailable,
    UnknownToStripe,
)
from config.administration import health
from quotas.models.ledger import Boost
from tests.billing.buyer import Buyer, deliver, delivered, event_of
from tests.odd_servers import Lying, lying
from tests.stripe_sandbox.running_sandbox import KEY, Running

pytestmark = pytest.mark.django_db(transaction=True)

INVALID = {"type": "invalid_request_error", "message": "Not this one: owner@example.com"}
REQUEST = "req_Abc123"


@pytest.fixture
def refusing(stripe_at: Callable[[str], None], products: None) -> Iterator[Callable[..., Lying]]:
    """A Stripe that refuses whatever is asked, for a reason."""
    with lying() as server:

        def refuse(status: int, **error: Any) -> Lying:
            stripe_at(server.origin)
            server.body = json.dumps({"error": error}).encode()
            server.status = status
            server.headers = {"Content-Type": "application/json", "Request-Id": REQUEST}
            return server

        yield refuse


def retrieve() -> sessions.CheckoutSession:
    return sessions.retrieve("cs_test_1", within_seconds=20)


@pytest.mark.parametrize(
    ("status", "error", "meant"),
    [
        (401, {"type": "invalid_request_error"}, StripeRefusesUs),
        (403, {"type": "invalid_request_error", "code": "secret_key_required"}, StripeRefusesUs),
        (404, {**INVALID, "code": "resource_missing"}, UnknownToStripe),
        (400, {**INVALID, "code": "email_invalid", "param": "customer_email"}, StripeRefuses),
        (400, INVALID, StripeRefuses),
        (400, {"type": "idempotency_error"}, AskedOtherwiseBefore),
        (402, {"type": "card_error", "code": "card_declined"}, CardRefused),
        (429, {"type": "rate_limit_error", "code": "rate_limit"}, StripeUnavailable),
        (409, {"type": "idempotency_error", "code": "in_use"}, StripeUnavailable),
        (500, {"type": "api_error"}, StripeUnavailable),
    ],
)
def test_each_error_is_known_by_its_kind_and_logged_with_stripes_number_of_it(
    refusing: Callable[..., Lying],
    caplog: pytest.LogCaptureFixture,
    status: int,
    error: dict[str, Any],
    meant: type[Exception],
) -> None:
    refusing(status, **error)
    with pytest.raises((StripeUnavailable, StripeRefuses)) as raised:
        retrieve()
    assert raised.type is meant
    ours = [said for said in caplog.records if said.name.startswith("billing")]
    assert any(REQUEST in said.getMessage() for said in ours)
    for said in ours:
        assert KEY not in said.getMessage()
        assert "owner@example.com" not in said.getMessage()


def test_a_number_that_is_none_is_not_logged(
    refusing: Callable[..., Lying], caplog: pytest.LogCaptureFixture
) -> None:
    server = refusing(500, type="api_error")
    server.headers = {**server.headers, "Request-Id": "<b>" + KEY}
    with pytest.raises(StripeUnavailable):
        retrieve()
    ours = [said.getMessage() for said in caplog.records if said.name.startswith("billing")]
    assert ours
    assert not [said for said in ours if KEY in said]


# --- our key ------------------------------------------------------------------------------------


@pytest.fixture
def wrong_key(buyer: Buyer, stripe_at: Callable[[str], None], settings: Any) -> Callable[[], None]:
    """Makes our key a wrong one, or the right one again."""

    def swap() -> None:
        is_right = settings.STRIPE_SECRET_KEY == KEY
        settings.STRIPE_SECRET_KEY = "sk_test_sandbox_of_another" if is_right else KEY
        asking.client.cache_clear()

    return swap


def payments_of_site() -> health.Part:
    (part,) = [part for part in health.parts(at=timezone.now()) if part.name == "Payments"]
    return part


def told(answer: Any) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def test_a_wrong_key_is_not_called_temporary_and_is_an_alarm_until_it_is_mended(
    buyer: Buyer,
    wrong_key: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
    admin_client: Client,
) -> None:
    assert payments_of_site().is_well
    wrong_key()
    for _ in range(3):
        answer = buyer.submit()
        assert "Payments are not set up correctly here; we have been told." in told(answer)
        assert "try again in a minute" not in told(answer)
    ours = [said for said in caplog.records if said.name == "billing.rights"]
    assert [said.levelno for said in ours] == [logging.ERROR, logging.WARNING, logging.WARNING]
    assert "STRIPE_SECRET_KEY" in ours[0].getMessage()
    part = payments_of_site()
    assert part.is_well is False
    assert "opening Checkout Sessions since" in part.says
    page = admin_client.get("/admin/").content.decode()
    assert "Stripe refuses our key: opening Checkout Sessions" in page
    wrong_key()
    buyer.order()
    assert payments_of_site().is_well


def test_a_right_that_is_lacking_is_not_forgotten_because_another_is_there(
    buyer: Buyer, refusing: Callable[..., Lying], shop_sandbox: Running, stripe_at: Any
) -> None:
    refusing(403, type="invalid_request_error")
    with pytest.raises(StripeRefusesUs):
        payments.taken_back_cents("pi_1", within_seconds=20)
    stripe_at(shop_sandbox.origin)
    buyer.order()
    assert [refusal.right for refusal in rights.refusals()] == [rights.DISPUTES]


def test_while_valkey_is_away_it_is_an_error_all_the_same(
    buyer: Buyer,
    wrong_key: Callable[[], None],
    valkey_refuses: Callable[[bool], None],
    settings: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:9/0"}
    }
    wrong_key()
    with pytest.raises(StripeRefusesUs):
        retrieve()
    assert logging.ERROR in [
        said.levelno for said in caplog.records if said.name == rights.__name__
    ]
    assert payments_of_site().is_well is None


def test_events_wait_for_a_better_key_and_say_what_they_wait_for(
    buyer: Buyer, wrong_key: Callable[[], None]
) -> None:
    stored = delivered(buyer.bought())
    wrong_key()
    assert not events.handle(stored.pk, at=timezone.now())
    stored.refresh_from_db()
    assert stored.error.startswith("Stripe refuses our key for reading Checkout Sessions")
    wrong_key()
    events.handle(stored.pk, at=timezone.now())
    assert Boost.objects.count() == 1


# --- what is asked ------------------------------------------------------------------------------


def test_an_address_that_stripe_does_not_take_is_named_and_can_be_changed(
    refusing: Callable[..., Lying], buyer: Buyer
) -> None:
    refusing(400, **INVALID, code="email_invalid", param="customer_email")
    answer = buyer.submit()
    assert answer["Location"] == "/auth/email/"
    assert "Stripe does not take your e-mail address" in told(answer)
    assert "Change the address here" in buyer.client.get("/auth/email/").content.decode()


@pytest.mark.parametrize(
    ("error", "says"),
    [
        ({**INVALID, "param": "line_items"}, "Stripe does not take this order as it is"),
        ({"type": "idempotency_error"}, "start a new one"),
    ],
)
def test_an_order_that_stripe_refuses_is_not_to_be_tried_again(
    refusing: Callable[..., Lying], buyer: Buyer, error: dict[str, Any], says: str
) -> None:
    refusing(400, **error)
    answer = buyer.submit()
    assert answer["Location"] == "/account/billing"
    assert says in told(answer)
    assert "in a minute" not in told(answer)


def test_the_same_order_in_other_words_is_a_conflict_at_the_sandbox_too(buyer: Buyer) -> None:
    purchase = buyer.order()
    Purchase.objects.update(checkout_url="", stripe_session_id=None, amount_cents=700)
    answer = buyer.submit(submission=purchase.submission)
    assert "This order was begun before, with other details" in told(answer)


def test_a_session_that_stripe_refuses_to_look_up_is_asked_about_once_and_left_to_a_person(
    buyer: Buyer, refusing: Callable[..., Lying]
) -> None:
    purchase = buyer.order()
    server = refusing(400, **INVALID)
    server.calls = 0
    for hours in (1, 3, 9):
        open_orders.ask_about_due(at=purchase.created_at + timedelta(hours=hours))
    purchase.refresh_from_db()
    assert (purchase.status, server.calls) == ("review", 1)
    assert purchase.problem == "Stripe refuses what was asked: InvalidRequestError"


# --- why an event ended -------------------------------------------------------------------------


def ended(event: dict[str, Any]) -> str:
    deliver(event)
    events.handle_pending(at=timezone.now())
    stored = StripeEvent.objects.get(event_id=event["id"])
    assert stored.handled_at
    return stored.error


def test_an_event_that_has_no_effect_says_why(buyer: Buyer) -> None:
    session = buyer.sandbox.session()
    assert ended(event_of(session.id)) == "the session is of no purchase of ours"
    unknown = buyer.sandbox.session(client_reference_id="00000000-0000-4000-8000-000000000000")
    assert ended(event_of(unknown.id)) == "the session is of a purchase that is not known"
    odd: list[dict[str, Any]] = [{}, {"object": []}, {"object": {"id": None}}]
    for data in odd:
        assert ended({**event_of("x"), "data": data}) == "the event names no session"
    purchase = buyer.bought()
    other = buyer.sandbox.session(client_reference_id=str(purchase.pk))
    assert ended(event_of(other.id)) == "the purchase has another session"
    assert ended(event_of(purchase.stripe_session_id)) == ""
