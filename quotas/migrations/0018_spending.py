from typing import ClassVar

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

AT_MOST = "At the most; empty is no ceiling."

# As of all that is dated: a row is ended once, and otherwise stays.
HISTORY = """
CREATE TRIGGER quotas_spendingchoice_history BEFORE UPDATE OR DELETE ON quotas_spendingchoice
    FOR EACH ROW EXECUTE FUNCTION quotas_refuse_history_change();
CREATE TRIGGER quotas_spendingchoice_no_truncate BEFORE TRUNCATE ON quotas_spendingchoice
    FOR EACH STATEMENT EXECUTE FUNCTION quotas_refuse_history_change();
"""
NO_HISTORY = """
DROP TRIGGER quotas_spendingchoice_history ON quotas_spendingchoice;
DROP TRIGGER quotas_spendingchoice_no_truncate ON quotas_spendingchoice;
"""


def person() -> models.ForeignKey:
    return models.ForeignKey(
        settings.AUTH_USER_MODEL,
        django.db.models.deletion.SET_NULL,
        blank=True,
        editable=False,
        null=True,
        related_name="+",
    )


class Migration(migrations.Migration):
    """What accounts and keys may spend past the allowance. A table of its own: nobody waits."""

    dependencies: ClassVar = [
        ("accounts", "0007_language"),
        ("keys", "0005_spending"),
        ("quotas", "0017_balances_stay_quick"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            "SpendingChoice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "past_allowance",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "boosts, then credits"),
                            ("boosts", "boosts only"),
                            ("nothing", "nothing"),
                        ],
                        db_default="",
                        default="",
                        help_text="What pays when the allowance of the week is used up.",
                        max_length=8,
                    ),
                ),
                (
                    "credits_a_week",
                    models.PositiveIntegerField(blank=True, help_text=AT_MOST, null=True),
                ),
                (
                    "credits_a_month",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="At the most, in a calendar month in UTC; empty is no ceiling.",
                        null=True,
                    ),
                ),
                (
                    "units_a_request",
                    models.PositiveIntegerField(blank=True, help_text=AT_MOST, null=True),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("note", models.CharField(blank=True, max_length=200, verbose_name="reason")),
                (
                    "ended_at",
                    models.DateTimeField(
                        blank=True, editable=False, help_text="When somebody ended it.", null=True
                    ),
                ),
                (
                    "end_note",
                    models.CharField(blank=True, max_length=200, verbose_name="reason of its end"),
                ),
                (
                    "account",
                    models.ForeignKey(
                        "accounts.account", django.db.models.deletion.PROTECT, related_name="+"
                    ),
                ),
                ("by", person()),
                ("ended_by", person()),
                (
                    "key",
                    models.ForeignKey(
                        "keys.apikey",
                        django.db.models.deletion.PROTECT,
                        blank=True,
                        help_text="Empty: of the whole account.",
                        null=True,
                        related_name="+",
                    ),
                ),
            ],
            options={
                "ordering": ("-created_at", "-pk"),
                "indexes": [
                    models.Index(fields=["-created_at", "-id"], name="spending_choice_newest")
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(past_allowance__in=["", "boosts", "nothing"]),
                        name="spending_choice_known",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(ended_at=None, key=None),
                        fields=("account",),
                        name="spending_choice_one_of_account",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(ended_at=None),
                        fields=("key",),
                        name="spending_choice_one_of_key",
                    ),
                ],
            },
        ),
        migrations.RunSQL(HISTORY, NO_HISTORY),
    ]
