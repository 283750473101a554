from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Keys have caps by day, by month and for life, beside that by week.

    Empty is no limit, which is what the release before writes.
    """

    dependencies: ClassVar = [("keys", "0013_models")]
    operations: ClassVar = [
        migrations.AddField(
            "apikey",
            "daily_cap",
            models.PositiveIntegerField(
                blank=True,
                help_text="Chats a day in UTC that this key may use; empty is no limit.",
                null=True,
            ),
        ),
        migrations.AddField(
            "apikey",
            "monthly_cap",
            models.PositiveIntegerField(
                blank=True,
                help_text="Chats a calendar month that this key may use; empty is no limit.",
                null=True,
            ),
        ),
        migrations.AddField(
            "apikey",
            "total_cap",
            models.PositiveBigIntegerField(
                blank=True,
                help_text="Chats that this key may ever use; empty is no limit.",
                null=True,
            ),
        ),
        migrations.AddField(
            "apikey",
            "is_counted_for_member",
            models.BooleanField(db_default=False, default=False, editable=False),
        ),
    ]
