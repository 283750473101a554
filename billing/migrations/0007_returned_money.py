from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """What went back of a purchase; the release before goes on writing orders without it."""

    dependencies: ClassVar = [("billing", "0006_sales")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="purchase",
            name="returned_cents",
            field=models.PositiveIntegerField(
                db_default=0,
                default=0,
                help_text="What went back since, by refunds and disputes.",
            ),
        ),
        migrations.AddField(
            model_name="purchase",
            name="returned_asked_at",
            field=models.DateTimeField(
                help_text="When Stripe was last asked what went back.", null=True
            ),
        ),
    ]
