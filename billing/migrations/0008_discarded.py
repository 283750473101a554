from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """A customer may discard an order; the release before reads it as one that ended unpaid."""

    dependencies: ClassVar = [("billing", "0007_returned_money")]

    operations: ClassVar = [
        migrations.AlterField(
            model_name="purchase",
            name="status",
            field=models.CharField(
                choices=[
                    ("pending", "Waiting for payment"),
                    ("processing", "Payment on its way"),
                    ("paid", "Paid"),
                    ("failed", "Payment failed"),
                    ("expired", "Not paid in time"),
                    ("abandoned", "Payment page never opened"),
                    ("discarded", "Discarded by the customer"),
                    ("review", "Needs a person"),
                    ("closed", "Closed by hand"),
                ],
                default="pending",
                max_length=10,
            ),
        ),
    ]
