from typing import ClassVar

from django.db import migrations

# A form writes every column, also those that stay: only another slug is a removal.
FORWARD = """
DROP TRIGGER quotas_chat_meter_stays ON quotas_meter;
CREATE TRIGGER quotas_chat_meter_stays BEFORE DELETE ON quotas_meter
    FOR EACH ROW WHEN (OLD.slug = 'chat') EXECUTE FUNCTION quotas_refuse_removal();
CREATE TRIGGER quotas_chat_meter_is_called_so BEFORE UPDATE OF slug ON quotas_meter
    FOR EACH ROW WHEN (OLD.slug = 'chat' AND NEW.slug <> 'chat')
    EXECUTE FUNCTION quotas_refuse_removal();
"""
BACKWARD = """
DROP TRIGGER quotas_chat_meter_is_called_so ON quotas_meter;
DROP TRIGGER quotas_chat_meter_stays ON quotas_meter;
CREATE TRIGGER quotas_chat_meter_stays BEFORE DELETE OR UPDATE OF slug ON quotas_meter
    FOR EACH ROW WHEN (OLD.slug = 'chat') EXECUTE FUNCTION quotas_refuse_removal();
"""


class Migration(migrations.Migration):
    """The meter of chats can be saved; it cannot be deleted, nor be called otherwise."""

    dependencies: ClassVar = [("quotas", "0013_price_of_a_chat")]
    operations: ClassVar = [migrations.RunSQL(FORWARD, BACKWARD)]
