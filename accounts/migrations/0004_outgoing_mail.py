from typing import ClassVar

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("accounts", "0003_clean_names"),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="OutgoingMail",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "sealed",
                    models.TextField(
                        help_text="Encrypted: a mail may hold a link that is a secret."
                    ),
                ),
                ("written_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("attempts", models.PositiveIntegerField(default=0)),
                (
                    "retry_at",
                    models.DateTimeField(db_index=True, default=django.utils.timezone.now),
                ),
                (
                    "claimed_until",
                    models.DateTimeField(
                        help_text="A worker sends it until then; if it dies, another one does.",
                        null=True,
                    ),
                ),
                ("error", models.CharField(blank=True, max_length=200)),
            ],
            options={
                "verbose_name_plural": "outgoing mail",
            },
        ),
    ]
