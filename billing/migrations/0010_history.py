from typing import ClassVar

import django.core.validators
from django.db import migrations, models
from django.db.models import F, Q

AT_MOST = django.core.validators.MaxValueValidator(100_000_00)


class Migration(migrations.Migration):
    """What was paid, in detail, with Stripe's papers; and amounts that customers choose.

    The release before goes on writing orders and products without any of it.
    """

    dependencies: ClassVar = [("billing", "0009_subscriptions")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="purchase",
            name="discount_cents",
            field=models.PositiveIntegerField(
                db_default=0, default=0, help_text="What a promotion code took off the price."
            ),
        ),
        migrations.AddField(
            model_name="purchase",
            name="tax_cents",
            field=models.PositiveIntegerField(
                db_default=0, default=0, help_text="What came on top of the price."
            ),
        ),
        migrations.AddField(
            model_name="purchase",
            name="receipt_url",
            field=models.TextField(
                blank=True, db_default="", default="", help_text="Stripe’s receipt of the payment."
            ),
        ),
        migrations.AddField(
            model_name="purchase",
            name="invoice_url",
            field=models.TextField(
                blank=True, db_default="", default="", help_text="Stripe’s invoice of the payment."
            ),
        ),
        migrations.AddField(
            model_name="purchase",
            name="invoice_pdf_url",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
        migrations.AddField(
            model_name="product",
            name="least_cents",
            field=models.PositiveIntegerField(
                db_default=0,
                default=0,
                help_text=(
                    "Of credits whose amount the customer chooses: the least they may pay. "
                    "Price and credits then say how many credits an amount gives."
                ),
                validators=[AT_MOST],
                verbose_name="least amount",
            ),
        ),
        migrations.AddField(
            model_name="product",
            name="most_cents",
            field=models.PositiveIntegerField(
                db_default=0,
                default=0,
                help_text="The most they may pay; 0 is a fixed price.",
                validators=[AT_MOST],
                verbose_name="most amount",
            ),
        ),
        migrations.AddConstraint(
            model_name="product",
            constraint=models.CheckConstraint(
                condition=Q(least_cents=0, most_cents=0)
                | Q(
                    kind="credits",
                    least_cents__gte=50,
                    least_cents__lte=F("price_cents"),
                    most_cents__gte=F("price_cents"),
                ),
                name="product_amount_is_chosen_or_not",
                violation_error_message=(
                    "An amount that customers choose is of credits, and the price lies between "
                    "the least and the most; without one, both are 0."
                ),
            ),
        ),
    ]
