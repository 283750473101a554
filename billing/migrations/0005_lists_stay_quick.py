from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Indexes are made while orders are written, which no transaction around them allows."""

    atomic = False

    dependencies: ClassVar = [("billing", "0004_open_orders_index")]

    operations: ClassVar = [
        migrations.AlterModelOptions("purchase", {"ordering": ("-created_at", "-pk")}),
        migrations.AlterModelOptions("stripeevent", {"ordering": ("-received_at", "-pk")}),
        *(
            AddIndexConcurrently("purchase", index)
            for index in (
                models.Index(fields=["-created_at", "-id"], name="purchase_newest"),
                models.Index(fields=["status", "-created_at", "-id"], name="purchase_of_status"),
                models.Index(
                    fields=["-created_at", "-id"],
                    condition=~models.Q(problem="") & models.Q(resolved_at__isnull=False),
                    name="purchase_resolved",
                ),
            )
        ),
        AddIndexConcurrently(
            "stripeevent",
            models.Index(fields=["-received_at", "-id"], name="stripe_event_newest"),
        ),
        AddIndexConcurrently(
            "stripeevent",
            models.Index(fields=["type", "-received_at", "-id"], name="stripe_event_of_type"),
        ),
    ]
