"""The ledger cannot be emptied, by its own name or by way of the accounts."""

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.models import Account
from quotas.models.ledger import CreditEntry

pytestmark = pytest.mark.django_db


@pytest.fixture
def as_elsewhere(account: Account) -> None:
    """The trigger as every installation has it; a line of the ledger."""
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE quotas_creditentry ENABLE TRIGGER quotas_creditentry_no_truncate"
        )
    CreditEntry.objects.create(account=account, credits=500, kind="purchase", source_ref="test:1")
    with connection.cursor() as cursor:
        # What waits to be checked would be named instead.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE quotas_creditentry",
        "TRUNCATE quotas_creditentry RESTART IDENTITY CASCADE",
        "TRUNCATE accounts_account CASCADE",
    ],
)
def test_the_ledger_cannot_be_emptied(as_elsewhere: None, statement: str) -> None:
    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert CreditEntry.objects.count() == 1
