import uuid
from typing import ClassVar

import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Plans that are paid by the month or the year; the release before knows nothing of them."""

    dependencies: ClassVar = [
        ("accounts", "0007_language"),
        ("billing", "0008_discarded"),
        ("quotas", "0016_yearly_prices"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="Customer",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("stripe_customer_id", models.CharField(max_length=255, null=True, unique=True)),
                (
                    "email",
                    models.EmailField(
                        help_text="Of whoever needed it first; at Stripe it may be another by now.",
                        max_length=254,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "account",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="customer",
                        to="accounts.account",
                    ),
                ),
            ],
            options={
                "verbose_name": "customer at Stripe",
                "verbose_name_plural": "customers at Stripe",
                "ordering": ("-created_at", "-pk"),
                "indexes": [
                    models.Index(fields=["-created_at", "-id"], name="customer_newest"),
                ],
            },
        ),
        migrations.CreateModel(
            name="PlanOrder",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("plan_name", models.CharField(max_length=80)),
                (
                    "interval",
                    models.CharField(choices=[("month", "Month"), ("year", "Year")], max_length=5),
                ),
                ("amount_cents", models.PositiveIntegerField()),
                ("currency", models.CharField(default="usd", max_length=3)),
                (
                    "submission",
                    models.UUIDField(help_text="Of the form: a double click makes one order."),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("open", "Waiting for payment"),
                            ("subscribed", "Subscribed"),
                            ("expired", "Not paid in time"),
                            ("discarded", "Replaced by another order"),
                            ("abandoned", "Payment page never opened"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                ("stripe_session_id", models.CharField(max_length=255, null=True, unique=True)),
                ("checkout_url", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "opened_at",
                    models.DateTimeField(
                        help_text="When Stripe was last asked for a payment page.", null=True
                    ),
                ),
                (
                    "looked_at",
                    models.DateTimeField(
                        help_text="When a page last asked Stripe about it; the next one waits.",
                        null=True,
                    ),
                ),
                (
                    "ask_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        default=django.utils.timezone.now,
                        help_text="When the sweep asks Stripe about it, while it is open.",
                    ),
                ),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="plan_orders",
                        to="accounts.account",
                    ),
                ),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="quotas.plan",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ("-created_at", "-pk"),
                "indexes": [
                    models.Index(fields=["account", "-created_at"], name="plan_order_of_account"),
                    models.Index(fields=["-created_at", "-id"], name="plan_order_newest"),
                    models.Index(
                        condition=models.Q(("status", "open")),
                        fields=["ask_at"],
                        name="plan_order_open",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("account", "submission"), name="plan_order_once_per_submission"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("status", "open")),
                        fields=("account",),
                        name="plan_order_one_open",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PlanPrice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "interval",
                    models.CharField(choices=[("month", "Month"), ("year", "Year")], max_length=5),
                ),
                ("amount_cents", models.PositiveIntegerField()),
                ("currency", models.CharField(default="usd", max_length=3)),
                ("stripe_price_id", models.CharField(max_length=255, unique=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="prices",
                        to="quotas.plan",
                    ),
                ),
            ],
            options={
                "verbose_name": "price at Stripe",
                "verbose_name_plural": "prices at Stripe",
                "ordering": ("plan__position", "interval", "-created_at"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("plan", "interval", "amount_cents", "currency"),
                        name="plan_price_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Subscription",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("stripe_subscription_id", models.CharField(max_length=255, unique=True)),
                (
                    "interval",
                    models.CharField(choices=[("month", "Month"), ("year", "Year")], max_length=5),
                ),
                (
                    "amount_cents",
                    models.PositiveIntegerField(help_text="A period, of all seats together."),
                ),
                ("currency", models.CharField(default="usd", max_length=3)),
                ("quantity", models.PositiveIntegerField(default=1)),
                ("status", models.CharField(help_text="In Stripe’s words.", max_length=20)),
                ("starts_at", models.DateTimeField(help_text="Of the period that it is in.")),
                ("renews_at", models.DateTimeField(help_text="When that period ends.")),
                (
                    "is_ending",
                    models.BooleanField(
                        default=False, help_text="It was cancelled and ends with its period."
                    ),
                ),
                (
                    "is_changing",
                    models.BooleanField(
                        default=False, help_text="A change of it waits for its payment."
                    ),
                ),
                (
                    "pay_url",
                    models.TextField(
                        blank=True, help_text="Where the invoice is paid that is open."
                    ),
                ),
                ("ended_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(help_text="When it was begun at Stripe.")),
                (
                    "asked_at",
                    models.DateTimeField(help_text="When Stripe was last asked about it."),
                ),
                ("ask_at", models.DateTimeField(help_text="When the sweep asks Stripe again.")),
                ("problem", models.CharField(blank=True, default="", max_length=200)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="subscriptions",
                        to="accounts.account",
                    ),
                ),
                (
                    "plan",
                    models.ForeignKey(
                        help_text="Of the next period; empty where the price is of none of ours.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="quotas.plan",
                    ),
                ),
            ],
            options={
                "ordering": ("-created_at", "-pk"),
                "indexes": [
                    models.Index(fields=["account", "-created_at"], name="subscription_of_account"),
                    models.Index(fields=["-created_at", "-id"], name="subscription_newest"),
                    models.Index(
                        condition=models.Q(("ended_at__isnull", True)),
                        fields=["ask_at"],
                        name="subscription_living",
                    ),
                    models.Index(
                        condition=models.Q(
                            models.Q(("problem", ""), _negated=True), ("ended_at__isnull", True)
                        ),
                        fields=["account"],
                        name="subscription_alarm",
                    ),
                ],
            },
        ),
    ]
