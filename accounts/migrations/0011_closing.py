from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Accounts can be closed. The release before does not know it: they are suspended besides."""

    dependencies: ClassVar = [("accounts", "0010_teams")]
    operations: ClassVar = [
        migrations.AddField(
            "account",
            "closed_at",
            models.DateTimeField(
                editable=False,
                help_text="Nobody may act for it since then.",
                null=True,
                verbose_name="closed",
            ),
        ),
        migrations.AddField(
            "account",
            "closed_by",
            models.ForeignKey(
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="closed by",
            ),
        ),
    ]
