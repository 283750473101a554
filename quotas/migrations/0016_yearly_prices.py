from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Plans may have a price a year; the release before shows that of a month alone."""

    dependencies: ClassVar = [
        ("quotas", "0015_money_went_back"),
    ]

    operations: ClassVar = [
        migrations.AddField(
            model_name="plan",
            name="yearly_price_cents",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Of a year that is paid at once; empty is not sold by the year.",
                null=True,
            ),
        ),
    ]
