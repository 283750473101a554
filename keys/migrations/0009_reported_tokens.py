from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Service tokens that were found in public are known as such."""

    dependencies: ClassVar = [("keys", "0008_keys_that_manage")]

    operations: ClassVar = [
        migrations.AddField(
            "servicetoken",
            "reported_at",
            models.DateTimeField(
                blank=True,
                editable=False,
                help_text="Since when it is known to be in public. Replace and revoke it.",
                null=True,
            ),
        ),
    ]
