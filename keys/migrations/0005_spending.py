from typing import ClassVar

from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations, models

AT_MOST = "At the most; empty is no ceiling."


class Migration(migrations.Migration):
    """What a key may spend past the allowance. Safe while keys are used.

    Columns are empty or have a default of the database's; the constraint is validated in a step of
    its own.
    """

    atomic = False

    dependencies: ClassVar = [("keys", "0004_lists_stay_quick")]

    operations: ClassVar = [
        migrations.AddField(
            "apikey",
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
        migrations.AddField(
            "apikey",
            "credits_a_week",
            models.PositiveIntegerField(blank=True, help_text=AT_MOST, null=True),
        ),
        migrations.AddField(
            "apikey",
            "credits_a_month",
            models.PositiveIntegerField(
                blank=True,
                help_text="At the most, in a calendar month in UTC; empty is no ceiling.",
                null=True,
            ),
        ),
        migrations.AddField(
            "apikey",
            "units_a_request",
            models.PositiveIntegerField(blank=True, help_text=AT_MOST, null=True),
        ),
        AddConstraintNotValid(
            "apikey",
            models.CheckConstraint(
                condition=models.Q(past_allowance__in=["", "boosts", "nothing"]),
                name="api_key_spending_known",
            ),
        ),
        ValidateConstraint("apikey", "api_key_spending_known"),
    ]
