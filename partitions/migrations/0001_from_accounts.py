from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """The table is there: `accounts` made it. Only what Django knows of it comes here."""

    initial = True

    dependencies: ClassVar = [("accounts", "0001_initial")]

    operations: ClassVar = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="Partition",
                    fields=[
                        (
                            "index",
                            models.PositiveSmallIntegerField(primary_key=True, serialize=False),
                        ),
                        (
                            "epoch",
                            models.PositiveBigIntegerField(
                                default=1,
                                help_text="Raised when Valkey lost something; "
                                "accounts are loaded again.",
                            ),
                        ),
                        (
                            "pushes",
                            models.PositiveBigIntegerField(
                                default=0,
                                help_text="Projections that Valkey confirmed; "
                                "an older copy of it knows fewer.",
                            ),
                        ),
                        (
                            "drained_id",
                            models.CharField(
                                default="0-0",
                                help_text="The last charge that is in PostgreSQL.",
                                max_length=41,
                            ),
                        ),
                        ("drained_at", models.DateTimeField(blank=True, null=True)),
                        ("refusals_batch", models.CharField(blank=True, max_length=32)),
                    ],
                    options={
                        "db_table": "accounts_partition",
                        "constraints": [
                            models.CheckConstraint(
                                condition=models.Q(("index__lt", 64)), name="partition_exists"
                            )
                        ],
                    },
                ),
            ],
        ),
    ]
