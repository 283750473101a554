from typing import ClassVar

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    """Which models a key may ask. Safe while keys are used: the column is empty.

    The release before makes keys that may ask every model, and knows none of these limits.
    """

    dependencies: ClassVar = [("keys", "0012_environment")]

    operations: ClassVar = [
        migrations.AddField(
            "apikey",
            "only_models",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=128),
                blank=True,
                db_default=[],
                default=list,
                help_text="Models it may ask; empty is all that the plan has.",
                size=None,
            ),
        ),
    ]
