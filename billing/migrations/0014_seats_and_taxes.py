from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """For how many people a plan is, and what its amount is without.

    What the release before writes is for one person; taxes it knows none.
    """

    dependencies: ClassVar = [
        ("billing", "0013_watching_indexes"),
    ]

    operations: ClassVar = [
        migrations.AddField(
            model_name="planorder",
            name="seats",
            field=models.PositiveIntegerField(db_default=1, default=1),
        ),
        migrations.AddField(
            model_name="subscription",
            name="is_taxed",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Taxes are charged on top of the amount.",
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="is_discounted",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="A discount is taken off the amount.",
            ),
        ),
        migrations.AlterField(
            model_name="planorder",
            name="amount_cents",
            field=models.PositiveIntegerField(
                help_text="A period; of one seat where the plan is sold by the seat."
            ),
        ),
    ]
