from typing import ClassVar

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    """How many keys come with a plan. Safe while plans are used: the column is empty.

    The release before makes as many keys as it did; those that there are stay.
    """

    dependencies: ClassVar = [("quotas", "0021_pace")]

    operations: ClassVar = [
        migrations.AddField(
            "plan",
            "keys_at_most",
            models.PositiveIntegerField(
                blank=True,
                help_text="Not revoked; empty is 1,000. With fewer than there are, these stay.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(1_000),
                ],
            ),
        ),
    ]
