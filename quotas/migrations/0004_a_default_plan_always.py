from typing import ClassVar

from django.db import migrations

# A new account needs a plan to begin with. Looked at when a transaction commits, so that the mark
# may move from one plan to another in it. TRUNCATE, which empties whole installations, passes.
FORWARD = """
-- An installation without one gets the plan that gives least.
UPDATE quotas_plan SET is_default = true
WHERE id = (
    SELECT id FROM quotas_plan
    ORDER BY slug <> 'free', weekly_cap NULLS LAST, position, id LIMIT 1
) AND NOT EXISTS (SELECT FROM quotas_plan WHERE is_default);

CREATE FUNCTION quotas_require_default_plan() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM quotas_plan WHERE is_default) THEN
        RAISE EXCEPTION 'one plan must be the default: make another plan the default first'
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'plan_default_always';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER plan_default_always
    AFTER INSERT OR DELETE OR UPDATE OF is_default ON quotas_plan
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION quotas_require_default_plan();

-- Rows that the product cannot be without, one by one.
CREATE FUNCTION quotas_refuse_removal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'this row of % must stay: nothing works without it', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER quotas_policy_stays BEFORE DELETE ON quotas_quotapolicy
    FOR EACH ROW EXECUTE FUNCTION quotas_refuse_removal();
CREATE TRIGGER quotas_partition_stays BEFORE DELETE ON accounts_partition
    FOR EACH ROW EXECUTE FUNCTION quotas_refuse_removal();
CREATE TRIGGER quotas_chat_meter_stays BEFORE DELETE OR UPDATE OF slug ON quotas_meter
    FOR EACH ROW WHEN (OLD.slug = 'chat') EXECUTE FUNCTION quotas_refuse_removal();
"""
BACKWARD = """
DROP TRIGGER quotas_chat_meter_stays ON quotas_meter;
DROP TRIGGER quotas_partition_stays ON accounts_partition;
DROP TRIGGER quotas_policy_stays ON quotas_quotapolicy;
DROP FUNCTION quotas_refuse_removal();
DROP TRIGGER plan_default_always ON quotas_plan;
DROP FUNCTION quotas_require_default_plan();
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("quotas", "0003_access_ends_with_the_last_person")]
    operations: ClassVar = [migrations.RunSQL(FORWARD, BACKWARD)]
