from typing import ClassVar

from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    ValidateConstraint,
)
from django.db import migrations, models
from django.db.models import Q

import accounts.names
from accounts.names import UNFIT


class Migration(migrations.Migration):
    """Keys say where they are used, and live ones are counted by their pepper.

    Safe while keys are used: the column has a constant default, the index is made beside them.
    The release before makes keys that say nothing of it.
    """

    atomic = False

    dependencies: ClassVar = [("keys", "0011_sightings")]

    operations: ClassVar = [
        migrations.AddField(
            "apikey",
            "environment",
            accounts.names.NameField(
                blank=True,
                db_default="",
                default="",
                help_text="Where it is used, in a word: production, staging.",
                longest=20,
                max_length=160,
            ),
        ),
        AddConstraintNotValid(
            "apikey",
            models.CheckConstraint(
                condition=~Q(environment__regex=UNFIT), name="api_key_environment_clean"
            ),
        ),
        ValidateConstraint("apikey", "api_key_environment_clean"),
        AddIndexConcurrently(
            "apikey",
            models.Index(
                fields=["pepper_id"],
                condition=Q(revoked_at__isnull=True),
                name="api_key_live_pepper",
            ),
        ),
    ]
