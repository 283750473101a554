from typing import ClassVar

from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """The rows that are there are looked at while everybody goes on reading and writing."""

    atomic = False

    dependencies: ClassVar = [
        ("quotas", "0019_seats"),
    ]

    operations: ClassVar = [
        AddConstraintNotValid(
            "plangrant",
            models.CheckConstraint(
                condition=Q(seats=None) | Q(seats__gte=1), name="plan_grant_seats_known"
            ),
        ),
        ValidateConstraint("plangrant", "plan_grant_seats_known"),
    ]
