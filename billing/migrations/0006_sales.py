from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """What was sold in the last weeks is found without reading every purchase."""

    atomic = False

    dependencies: ClassVar = [("billing", "0005_lists_stay_quick")]

    operations: ClassVar = [
        AddIndexConcurrently(
            "purchase",
            models.Index(
                fields=["paid_at"],
                condition=models.Q(paid_at__isnull=False),
                name="purchase_paid",
            ),
        ),
    ]
