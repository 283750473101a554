import uuid
from typing import ClassVar

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Refunds by staff, checks of the books and what they find; the release before knows none."""

    dependencies: ClassVar = [
        ("accounts", "0007_language"),
        ("billing", "0011_top_ups"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="BookCheck",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("reconciliation", "Reconciliation with Stripe"),
                            ("comparison", "Comparison of the books"),
                        ],
                        max_length=20,
                    ),
                ),
                ("started_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("finished_at", models.DateTimeField(null=True)),
                ("since", models.DateTimeField(help_text="What is older is not looked at.")),
                ("until", models.DateTimeField(help_text="What is newer is left to the next one.")),
                (
                    "claimed_until",
                    models.DateTimeField(
                        help_text="A worker is at it until then; if it dies, another one goes on.",
                        null=True,
                    ),
                ),
                (
                    "positions",
                    models.JSONField(
                        default=dict,
                        help_text="How far it has come, of each source; then it goes on there.",
                    ),
                ),
                ("counts", models.JSONField(default=dict)),
                (
                    "untold_at",
                    models.DateTimeField(
                        help_text="The newest payment that it found and no event had told of.",
                        null=True,
                    ),
                ),
                ("error", models.CharField(blank=True, max_length=200)),
            ],
            options={
                "verbose_name": "check of the books",
                "verbose_name_plural": "checks of the books",
                "ordering": ("-started_at", "-pk"),
            },
        ),
        migrations.CreateModel(
            name="Difference",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("credits_granted", "Credits at the gate"),
                            ("credits_spent", "Credits spent"),
                            ("boost_granted", "Boost at the gate"),
                            ("boost_spent", "Chats of a boost spent"),
                            ("not_granted", "Paid and not granted"),
                            ("not_paid", "Granted and not paid"),
                            ("amount", "Amount at Stripe"),
                            ("returned", "Returned at Stripe"),
                            ("not_known", "Paid at Stripe, not here"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "subject",
                    models.CharField(
                        db_index=True, help_text="What it is about, by its number.", max_length=255
                    ),
                ),
                ("expected", models.CharField(max_length=80)),
                ("found", models.CharField(max_length=80)),
                ("first_seen_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("last_seen_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("resolved_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ("-first_seen_at", "-pk"),
            },
        ),
        migrations.CreateModel(
            name="Refund",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "stripe_session_id",
                    models.CharField(
                        db_index=True,
                        help_text="Whose payment is returned; not always the purchase’s own.",
                        max_length=255,
                    ),
                ),
                ("amount_cents", models.PositiveIntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("reason", models.CharField(max_length=200)),
                (
                    "submission",
                    models.UUIDField(
                        default=uuid.uuid4,
                        help_text="Of the form: a double click makes one refund.",
                        unique=True,
                    ),
                ),
                (
                    "ends_problem",
                    models.BooleanField(
                        default=False,
                        help_text="The problem of the purchase ends once Stripe has taken it.",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "On its way"),
                            ("succeeded", "Returned"),
                            ("failed", "Came back to us"),
                            ("refused", "Refused by Stripe"),
                        ],
                        default="pending",
                        max_length=10,
                    ),
                ),
                ("error", models.CharField(blank=True, max_length=200)),
                ("stripe_refund_id", models.CharField(max_length=255, null=True, unique=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "asked_at",
                    models.DateTimeField(
                        help_text="When Stripe was first asked for it; it may have heard.",
                        null=True,
                    ),
                ),
                (
                    "answered_at",
                    models.DateTimeField(
                        help_text="When Stripe’s first answer was written down.", null=True
                    ),
                ),
                (
                    "ask_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now,
                        help_text="When the sweep asks Stripe about it, while it is open.",
                    ),
                ),
            ],
            options={
                "ordering": ("-created_at", "-pk"),
            },
        ),
        migrations.AddField(
            model_name="purchase",
            name="returned_at",
            field=models.DateTimeField(help_text="When more of it went back.", null=True),
        ),
        migrations.AddIndex(
            model_name="bookcheck",
            index=models.Index(fields=["-started_at", "-id"], name="book_check_newest"),
        ),
        migrations.AddIndex(
            model_name="bookcheck",
            index=models.Index(fields=["kind", "-started_at", "-id"], name="book_check_of_kind"),
        ),
        migrations.AddIndex(
            model_name="bookcheck",
            index=models.Index(
                condition=models.Q(("error", ""), ("finished_at__isnull", False)),
                fields=["kind", "-until"],
                name="book_check_good",
            ),
        ),
        migrations.AddConstraint(
            model_name="bookcheck",
            constraint=models.UniqueConstraint(
                condition=models.Q(("finished_at", None)),
                fields=("kind",),
                name="book_check_one_at_a_time",
            ),
        ),
        migrations.AddField(
            model_name="difference",
            name="account",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.account",
            ),
        ),
        migrations.AddField(
            model_name="difference",
            name="purchase",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="billing.purchase",
            ),
        ),
        migrations.AddField(
            model_name="refund",
            name="by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="refund",
            name="purchase",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="refunds",
                to="billing.purchase",
            ),
        ),
        migrations.AddIndex(
            model_name="difference",
            index=models.Index(fields=["-first_seen_at", "-id"], name="difference_newest"),
        ),
        migrations.AddIndex(
            model_name="difference",
            index=models.Index(fields=["kind", "-first_seen_at", "-id"], name="difference_of_kind"),
        ),
        migrations.AddIndex(
            model_name="difference",
            index=models.Index(
                condition=models.Q(("resolved_at", None)),
                fields=["-first_seen_at", "-id"],
                name="difference_open",
            ),
        ),
        migrations.AddConstraint(
            model_name="difference",
            constraint=models.UniqueConstraint(
                condition=models.Q(("resolved_at", None)),
                fields=("kind", "subject"),
                name="difference_once_while_open",
            ),
        ),
        migrations.AddIndex(
            model_name="refund",
            index=models.Index(
                condition=models.Q(("status", "pending")), fields=["ask_at"], name="refund_open"
            ),
        ),
        migrations.AddIndex(
            model_name="refund",
            index=models.Index(fields=["-created_at", "-id"], name="refund_newest"),
        ),
        migrations.AddIndex(
            model_name="refund",
            index=models.Index(fields=["status", "-created_at", "-id"], name="refund_of_status"),
        ),
        migrations.AddConstraint(
            model_name="refund",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_cents__gte", 1)), name="refund_of_something"
            ),
        ),
    ]
