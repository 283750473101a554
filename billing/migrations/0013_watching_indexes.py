from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models.fields.json import KeyTextTransform, KeyTransform


class Migration(migrations.Migration):
    """Indexes are made while events arrive, which no transaction around them allows."""

    atomic = False

    dependencies: ClassVar = [("billing", "0012_watching")]

    operations: ClassVar = [
        AddIndexConcurrently(
            "stripeevent",
            models.Index(
                KeyTextTransform("id", KeyTransform("object", KeyTransform("data", "payload"))),
                name="stripe_event_of_object",
            ),
        ),
        AddIndexConcurrently(
            "stripeevent",
            models.Index(
                condition=models.Q(
                    ("handled_at__isnull", False), models.Q(("error", ""), _negated=True)
                ),
                fields=["-received_at", "-id"],
                name="stripe_event_without_effect",
            ),
        ),
    ]
