from typing import ClassVar

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    """Plans may be sold by the seat. What the release before writes is for any number of people."""

    dependencies: ClassVar = [
        ("quotas", "0018_spending"),
    ]

    operations: ClassVar = [
        migrations.AddField(
            model_name="plan",
            name="is_per_seat",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text=(
                    "The price is that of one seat, and who buys it says how many people it is for."
                ),
            ),
        ),
        migrations.AddField(
            model_name="plangrant",
            name="seats",
            field=models.IntegerField(
                blank=True,
                help_text="How many people it is for; empty is any number.",
                null=True,
                validators=[django.core.validators.MinValueValidator(1)],
            ),
        ),
    ]
