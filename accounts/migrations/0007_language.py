from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Columns with a default of the database's: no row is written anew."""

    dependencies: ClassVar = [("accounts", "0006_lists_stay_quick")]

    operations: ClassVar = [
        migrations.AddField(
            "user",
            "language",
            models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="Chosen at the foot of a page, for every page and mail.",
                max_length=8,
            ),
        ),
        migrations.AddField(
            "user",
            "browser_language",
            models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="Of the last time they signed in: that of mails, while they choose none.",
                max_length=8,
            ),
        ),
    ]
