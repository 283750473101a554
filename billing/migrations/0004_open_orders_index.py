from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Indexes are made while orders are written, which no transaction around them allows."""

    atomic = False

    dependencies: ClassVar = [("billing", "0003_open_orders_end")]

    operations: ClassVar = [
        AddIndexConcurrently(
            model_name="purchase",
            index=models.Index(
                condition=models.Q(("status__in", ["pending", "processing"])),
                fields=["ask_at"],
                name="purchase_open",
            ),
        ),
        AddIndexConcurrently(
            model_name="purchase",
            index=models.Index(
                condition=models.Q(models.Q(("problem", ""), _negated=True), ("resolved_at", None)),
                fields=["created_at"],
                name="purchase_alarm",
            ),
        ),
    ]
