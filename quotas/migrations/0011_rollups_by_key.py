"""How rollups are found by key, and old ones by their hour. Nobody waits for it."""

from typing import ClassVar

from django.contrib.postgres.indexes import BrinIndex
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar = [("quotas", "0010_usage_totals")]
    operations: ClassVar = [
        AddIndexConcurrently(
            model_name="refusalrollup",
            index=models.Index(fields=["account", "key_id", "hour"], name="refusal_rollup_by_key"),
        ),
        AddIndexConcurrently(
            model_name="refusalrollup",
            index=BrinIndex(autosummarize=True, fields=["hour"], name="refusal_rollup_by_hour"),
        ),
        AddIndexConcurrently(
            model_name="tokenrollup",
            index=models.Index(fields=["account", "key_id", "hour"], name="token_rollup_by_key"),
        ),
        AddIndexConcurrently(
            model_name="tokenrollup",
            index=BrinIndex(autosummarize=True, fields=["hour"], name="token_rollup_by_hour"),
        ),
        AddIndexConcurrently(
            model_name="usagerollup",
            index=models.Index(fields=["account", "key_id", "hour"], name="usage_rollup_by_key"),
        ),
        AddIndexConcurrently(
            model_name="usagerollup",
            index=BrinIndex(autosummarize=True, fields=["hour"], name="usage_rollup_by_hour"),
        ),
    ]
