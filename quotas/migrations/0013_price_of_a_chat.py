from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    """What the one row of settings is called where people look for it."""

    dependencies: ClassVar = [("quotas", "0012_lists_stay_quick")]

    operations: ClassVar = [
        migrations.AlterModelOptions(
            "quotapolicy",
            {"verbose_name": "price of a chat", "verbose_name_plural": "price of a chat"},
        ),
    ]
