from typing import ClassVar

import django.core.validators
from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """How quickly a key may ask. Safe while keys are used: the columns are empty.

    The release before writes no such limits, and its gate knows of none.
    """

    atomic = False

    dependencies: ClassVar = [("keys", "0006_switched_off")]

    operations: ClassVar = [
        migrations.AddField(
            "apikey",
            "requests_a_minute",
            models.PositiveIntegerField(
                blank=True,
                help_text="That pass in any 60 seconds; empty is no limit.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(1_000_000),
                ],
            ),
        ),
        migrations.AddField(
            "apikey",
            "requests_at_once",
            models.PositiveIntegerField(
                blank=True,
                help_text="That are answered at the same time; empty is no limit.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(1_000),
                ],
            ),
        ),
        AddConstraintNotValid(
            "apikey",
            models.CheckConstraint(
                condition=(Q(requests_a_minute=None) | Q(requests_a_minute__gte=1))
                & (Q(requests_at_once=None) | Q(requests_at_once__gte=1)),
                name="api_key_pace_known",
            ),
        ),
        ValidateConstraint("apikey", "api_key_pace_known"),
    ]
