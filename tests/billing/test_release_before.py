"""The release before, which knows fewer columns, writes orders and events on the same database."""

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Account
from billing import open_orders
from billing.models import Product, Purchase, StripeEvent

pytestmark = pytest.mark.django_db(transaction=True)

ORDER = """
INSERT INTO billing_purchase (id, account_id, user_id, product_id, product_name, kind,
    amount_cents, currency, chats, valid_days, credits, status, submission, stripe_session_id,
    checkout_url, problem, created_at, paid_at)
SELECT gen_random_uuid(), %s, NULL, id, name, kind, price_cents, 'usd', chats, valid_days, credits,
    'pending', gen_random_uuid(), NULL, '', '', now(), NULL
FROM billing_product WHERE slug = 'weekly-boost'
"""
EVENT = """
INSERT INTO billing_stripeevent (event_id, type, payload, received_at, handled_at, attempts,
    retry_at, error)
VALUES ('evt_1', 'x', '{}', now(), NULL, 0, now(), '')
"""


def test_what_it_writes_is_read_and_brought_to_an_end(products: None, account: Account) -> None:
    assert Product.objects.exists()
    with connection.cursor() as cursor:
        cursor.execute(ORDER, [account.pk])
        cursor.execute(EVENT)
    order = Purchase.objects.get()
    assert (order.is_open, order.is_alarm, order.received_cents) == (True, False, None)
    assert order.ask_at <= timezone.now()
    assert open_orders.ask_about_due(at=timezone.now()) == 1
    assert StripeEvent.objects.get().claimed_until is None
