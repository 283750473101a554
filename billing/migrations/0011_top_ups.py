from typing import ClassVar

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Credits that are bought by themselves."""

    dependencies: ClassVar = [
        ("accounts", "0007_language"),
        ("billing", "0010_history"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="AutoTopUp",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("is_on", models.BooleanField(default=False)),
                (
                    "below_credits",
                    models.PositiveIntegerField(
                        default=200,
                        help_text="Bought when fewer credits than this are left.",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1000000),
                        ],
                    ),
                ),
                (
                    "terms",
                    models.CharField(
                        blank=True,
                        help_text="What the pack cost and gave when it was wanted.",
                        max_length=80,
                    ),
                ),
                (
                    "month_cents",
                    models.PositiveIntegerField(
                        default=5000, help_text="Of a calendar month in UTC, at most."
                    ),
                ),
                ("stripe_payment_method_id", models.CharField(blank=True, max_length=255)),
                ("card", models.CharField(blank=True, help_text="As it is shown.", max_length=60)),
                (
                    "stopped",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("card_refused", "the card was refused"),
                            ("bank_asks", "the bank wants to hear from you"),
                            ("no_card", "the card is not there any more"),
                            ("changed", "the price has changed"),
                            ("not_on_sale", "the pack is not on sale any more"),
                            ("unknown", "the payment needs a look"),
                        ],
                        max_length=12,
                    ),
                ),
                ("stopped_at", models.DateTimeField(null=True)),
                (
                    "next_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now,
                        help_text="When it is looked at again; after a try, later.",
                    ),
                ),
                ("changed_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "verbose_name": "auto top-up",
                "verbose_name_plural": "auto top-ups",
                "ordering": ("-changed_at", "-pk"),
            },
        ),
        migrations.AddField(
            model_name="purchase",
            name="is_top_up",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="It was bought by itself, with a saved card and without a payment page.",
            ),
        ),
        migrations.AddField(
            model_name="purchase",
            name="stripe_payment_intent_id",
            field=models.CharField(max_length=255, null=True, unique=True),
        ),
        migrations.AddConstraint(
            model_name="purchase",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_top_up", True), ("status__in", ["pending", "processing"])),
                fields=("account",),
                name="purchase_one_open_top_up",
            ),
        ),
        migrations.AddField(
            model_name="autotopup",
            name="account",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="auto_top_up",
                to="accounts.account",
            ),
        ),
        migrations.AddField(
            model_name="autotopup",
            name="changed_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="autotopup",
            name="product",
            field=models.ForeignKey(
                help_text="What is bought.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="billing.product",
            ),
        ),
        migrations.AddIndex(
            model_name="autotopup",
            index=models.Index(
                condition=models.Q(("is_on", True)), fields=["next_at"], name="auto_top_up_due"
            ),
        ),
        migrations.AddIndex(
            model_name="autotopup",
            index=models.Index(fields=["-changed_at", "-id"], name="auto_top_up_newest"),
        ),
        migrations.AddConstraint(
            model_name="autotopup",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("is_on", False),
                    models.Q(
                        ("product__isnull", False),
                        models.Q(("stripe_payment_method_id", ""), _negated=True),
                        ("stopped", ""),
                    ),
                    _connector="OR",
                ),
                name="auto_top_up_can_pay",
            ),
        ),
    ]
