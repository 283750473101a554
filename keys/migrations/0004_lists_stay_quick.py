from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

from accounts.beginnings import beginnings_index


class Migration(migrations.Migration):
    """Indexes are made while keys are, which no transaction around them allows."""

    atomic = False

    dependencies: ClassVar = [("keys", "0003_service_token_trust")]

    operations: ClassVar = [
        AddIndexConcurrently("apikey", index)
        for index in (
            models.Index(fields=["account", "-created_at", "-id"], name="api_key_of_account"),
            models.Index(fields=["-created_at", "-id"], name="api_key_newest"),
            models.Index(
                fields=["-created_at", "-id"],
                condition=models.Q(revoked_at__isnull=False),
                name="api_key_revoked",
            ),
            models.Index(fields=["last_four"], name="api_key_last_four"),
            beginnings_index("name", name="api_key_name_begins"),
        )
    ]
