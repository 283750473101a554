from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Indexes are made while credits are spent, which no transaction around them allows.

    The one that goes is the beginning of a new one.
    """

    atomic = False

    dependencies: ClassVar = [("quotas", "0016_yearly_prices")]

    operations: ClassVar = [
        AddIndexConcurrently(
            "creditentry",
            models.Index(
                fields=["account", "-created_at", "-id"],
                include=["credits"],
                name="credit_entry_balance",
            ),
        ),
        AddIndexConcurrently(
            "creditentry",
            models.Index(
                fields=["account", "-created_at", "-id"],
                condition=~models.Q(kind="spend"),
                name="credit_entry_of_account",
            ),
        ),
        RemoveIndexConcurrently("creditentry", "quotas_cred_account_378f5e_idx"),
    ]
