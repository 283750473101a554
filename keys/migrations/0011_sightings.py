from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Where keys were used from, who wants mail about it, and which ends people were warned of."""

    dependencies: ClassVar = [
        ("accounts", "0010_teams"),
        ("keys", "0010_rotation"),
    ]

    operations: ClassVar = [
        migrations.AddField(
            model_name="apikey",
            name="expiry_told_for",
            field=models.DateTimeField(
                editable=False,
                help_text="The end that people were warned of; another one is told again.",
                null=True,
            ),
        ),
        migrations.CreateModel(
            name="KeyMailChoice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("is_on", models.BooleanField()),
                (
                    "membership",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.membership",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="KeySighting",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("network", models.CharField(blank=True, max_length=49)),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
                ("address", models.GenericIPAddressField(null=True)),
                ("client", models.CharField(blank=True, max_length=200)),
                (
                    "is_news",
                    models.BooleanField(
                        default=False, help_text="Until people are told, or need not be."
                    ),
                ),
                ("told_at", models.DateTimeField(null=True)),
                (
                    "key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sightings",
                        to="keys.apikey",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("is_news", True)),
                        fields=["id"],
                        name="key_sighting_news",
                    ),
                    models.Index(fields=["last_at"], name="key_sighting_by_age"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("key", "network"), name="key_sighting_once")
                ],
            },
        ),
    ]
