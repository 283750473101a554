from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Indexes are made while credits are spent, which no transaction around them allows."""

    atomic = False

    dependencies: ClassVar = [("quotas", "0011_rollups_by_key")]

    operations: ClassVar = [
        AddIndexConcurrently(
            "creditentry",
            models.Index(fields=["-created_at", "-id"], name="credit_entry_newest"),
        ),
        AddIndexConcurrently(
            "creditentry",
            models.Index(
                fields=["kind", "-created_at", "-id"],
                condition=~models.Q(kind="spend"),
                name="credit_entry_not_spent",
            ),
        ),
        AddIndexConcurrently(
            "boost", models.Index(fields=["-starts_at", "-id"], name="boost_newest")
        ),
        AddIndexConcurrently("boost", models.Index(fields=["expires_at"], name="boost_expires")),
        AddIndexConcurrently(
            "plangrant", models.Index(fields=["-starts_at", "-id"], name="plan_grant_newest")
        ),
        AddIndexConcurrently(
            "plangrant",
            models.Index(
                fields=["source", "-starts_at", "-id"],
                condition=~models.Q(source="default"),
                name="plan_grant_given",
            ),
        ),
        AddIndexConcurrently(
            "plangrant",
            models.Index(
                fields=["ends_at"],
                condition=models.Q(ends_at__isnull=False),
                name="plan_grant_ends",
            ),
        ),
        AddIndexConcurrently(
            "plangrant",
            models.Index(
                fields=["ended_at"],
                condition=models.Q(ended_at__isnull=False),
                name="plan_grant_ended",
            ),
        ),
        AddIndexConcurrently(
            "packswitch", models.Index(fields=["-created_at", "-id"], name="pack_switch_newest")
        ),
        AddIndexConcurrently(
            "suspension", models.Index(fields=["-created_at", "-id"], name="suspension_newest")
        ),
        AddIndexConcurrently(
            "weekclose", models.Index(fields=["-closed_at", "-id"], name="week_close_newest")
        ),
    ]
