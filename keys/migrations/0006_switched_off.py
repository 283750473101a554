from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Keys can be switched off for a while, and a reason is kept with a revoked one.

    The release before knows keys of neither: what it pushes to the gate anew is switched on.
    """

    dependencies: ClassVar = [
        ("keys", "0005_spending"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations: ClassVar = [
        migrations.AddField(
            "apikey",
            "disabled_at",
            models.DateTimeField(
                blank=True,
                editable=False,
                help_text="Since when it is switched off; it can be switched on again.",
                null=True,
            ),
        ),
        migrations.AddField(
            "apikey",
            "disabled_by",
            models.ForeignKey(
                settings.AUTH_USER_MODEL,
                django.db.models.deletion.SET_NULL,
                editable=False,
                null=True,
                related_name="+",
            ),
        ),
        migrations.AddField(
            "apikey",
            "revoke_note",
            models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                max_length=200,
                verbose_name="why it was revoked",
            ),
        ),
    ]
