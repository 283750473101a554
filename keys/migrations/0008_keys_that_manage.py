from typing import ClassVar

from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """A key manages keys or calls models, never both.

    Keys that are there are looked at while everybody goes on reading and writing. The release
    before makes none that manage; what it pushes of one to the gate is refused there as well.
    """

    atomic = False

    dependencies: ClassVar = [("keys", "0007_pace")]

    operations: ClassVar = [
        AddConstraintNotValid(
            "apikey",
            models.CheckConstraint(
                condition=~Q(scopes__contains=["keys:manage"])
                | Q(scopes__contained_by=["quota:read", "usage:read", "keys:manage"]),
                name="api_key_manages_or_calls",
            ),
        ),
        ValidateConstraint("apikey", "api_key_manages_or_calls"),
    ]
