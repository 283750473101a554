from typing import ClassVar

import django.contrib.postgres.fields
from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    ValidateConstraint,
)
from django.db import migrations, models
from django.db.models import Q


def _text(longest: int) -> models.CharField:
    return models.CharField(
        blank=True, db_default="", default="", editable=False, max_length=longest
    )


class Migration(migrations.Migration):
    """A key may get another secret. Safe while keys are used: the columns are empty.

    The release before makes keys without a former secret, and leaves those that there are.
    """

    atomic = False

    dependencies: ClassVar = [("keys", "0009_reported_tokens")]

    operations: ClassVar = [
        migrations.AddField("apikey", "counted_as", _text(22)),
        migrations.AddField("apikey", "former_digest", _text(43)),
        migrations.AddField("apikey", "former_pepper_id", _text(16)),
        migrations.AddField("apikey", "former_last_four", _text(4)),
        migrations.AddField(
            "apikey",
            "former_ends_at",
            models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            "apikey",
            "rotations",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.UUIDField(),
                blank=True,
                db_default=[],
                default=list,
                editable=False,
                help_text="Of the last forms that gave it a new secret, each once.",
                size=None,
            ),
        ),
        AddIndexConcurrently(
            "apikey",
            models.Index(
                fields=["former_digest"],
                condition=~Q(former_digest=""),
                name="api_key_former_digest",
            ),
        ),
        AddConstraintNotValid(
            "apikey",
            models.CheckConstraint(
                condition=Q(former_digest="", former_ends_at=None)
                | ~Q(former_digest="") & ~Q(counted_as="") & Q(former_ends_at__isnull=False),
                name="api_key_former_ends",
            ),
        ),
        ValidateConstraint("apikey", "api_key_former_ends"),
    ]
