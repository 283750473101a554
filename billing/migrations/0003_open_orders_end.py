from typing import ClassVar

import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Defaults stand in PostgreSQL too: the release before goes on writing orders."""

    dependencies: ClassVar = [
        ("billing", "0002_clean_names"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations: ClassVar = [
        migrations.AddField(
            model_name="purchase",
            name="ask_at",
            field=models.DateTimeField(
                db_default=django.db.models.functions.datetime.Now(),
                default=django.utils.timezone.now,
                help_text="When the sweep asks Stripe about it, while it is open.",
            ),
        ),
        migrations.AddField(
            model_name="purchase",
            name="looked_at",
            field=models.DateTimeField(
                help_text="When a page last asked Stripe about it; the next one waits.", null=True
            ),
        ),
        migrations.AddField(
            model_name="purchase",
            name="opened_at",
            field=models.DateTimeField(
                help_text="When Stripe was last asked for a payment page.", null=True
            ),
        ),
        migrations.AddField(
            model_name="purchase",
            name="received_cents",
            field=models.PositiveIntegerField(
                help_text="What arrived at Stripe, where it is not what was ordered.", null=True
            ),
        ),
        migrations.AddField(
            model_name="purchase",
            name="received_currency",
            field=models.CharField(blank=True, db_default="", default="", max_length=3),
        ),
        migrations.AddField(
            model_name="purchase",
            name="resolution",
            field=models.CharField(blank=True, db_default="", default="", max_length=200),
        ),
        migrations.AddField(
            model_name="purchase",
            name="resolved_at",
            field=models.DateTimeField(
                help_text="When a person dealt with the problem.", null=True
            ),
        ),
        migrations.AddField(
            model_name="purchase",
            name="resolved_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="stripeevent",
            name="claimed_until",
            field=models.DateTimeField(
                help_text="A worker handles it until then; if it dies, another one does.", null=True
            ),
        ),
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
                    ("review", "Needs a person"),
                    ("closed", "Closed by hand"),
                ],
                default="pending",
                max_length=10,
            ),
        ),
    ]
