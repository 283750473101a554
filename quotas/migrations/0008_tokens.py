from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("accounts", "0005_partitions_leave"),
        ("quotas", "0007_dated_entitlements"),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="TokenRollup",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key_id", models.BigIntegerField()),
                ("meter", models.CharField(max_length=50)),
                ("model", models.CharField(max_length=128)),
                ("hour", models.DateTimeField()),
                ("answers", models.BigIntegerField(default=0)),
                ("tokens_in", models.BigIntegerField(default=0)),
                ("tokens_out", models.BigIntegerField(default=0)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.account",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("account", "hour", "key_id", "meter", "model"),
                        name="token_rollup_once",
                    )
                ],
            },
        ),
    ]
