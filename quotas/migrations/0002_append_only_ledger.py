from typing import ClassVar

from django.db import migrations

from gate.hot_state import PARTITIONS

# The ledger can always be added up again because its rows never change. TRUNCATE stays possible
# for the owner of the table only, as any DDL does.
FORWARD = """
CREATE FUNCTION quotas_refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the credit ledger is append-only: mend a mistake with another row'
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER quotas_creditentry_append_only
    BEFORE UPDATE OR DELETE ON quotas_creditentry
    FOR EACH ROW EXECUTE FUNCTION quotas_refuse_ledger_change();
"""
BACKWARD = """
DROP TRIGGER quotas_creditentry_append_only ON quotas_creditentry;
DROP FUNCTION quotas_refuse_ledger_change();
"""


def create_rows(apps, schema_editor):
    """The rows that the product cannot be without."""
    apps.get_model("quotas", "QuotaPolicy").objects.get_or_create(pk=1)
    partition = apps.get_model("accounts", "Partition")
    partition.objects.bulk_create(
        [partition(index=index) for index in range(PARTITIONS)], ignore_conflicts=True
    )


class Migration(migrations.Migration):
    dependencies: ClassVar = [("quotas", "0001_initial")]
    operations: ClassVar = [
        migrations.RunSQL(FORWARD, BACKWARD),
        migrations.RunPython(create_rows, migrations.RunPython.noop),
    ]
