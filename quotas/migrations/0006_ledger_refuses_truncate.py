from typing import ClassVar

from django.db import migrations

# A trigger for each row sees no TRUNCATE, of the ledger itself or of an account with CASCADE. What
# stays possible for the owner of the table is to drop or alter it, this trigger included.
FORWARD = """
CREATE TRIGGER quotas_creditentry_no_truncate
    BEFORE TRUNCATE ON quotas_creditentry
    FOR EACH STATEMENT EXECUTE FUNCTION quotas_refuse_ledger_change();
"""
BACKWARD = "DROP TRIGGER quotas_creditentry_no_truncate ON quotas_creditentry;"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("quotas", "0005_clean_names")]
    operations: ClassVar = [migrations.RunSQL(FORWARD, BACKWARD)]
