from typing import ClassVar

from django.db import migrations

# Whatever changes what a member may use, the gate learns it: the account's version rises as it does
# with its people, and keys say whether they count for the member who made them. Of one who leaves
# nothing is left: the keys that they made are the account's.
FORWARD = """
CREATE FUNCTION quotas_count_keys_for(
    of_account bigint, of_person bigint, has_budget boolean
) RETURNS void LANGUAGE sql AS $$
    UPDATE keys_apikey SET is_counted_for_member = has_budget, version = version + 1
    WHERE account_id = of_account AND created_by_id = of_person
      AND is_counted_for_member <> has_budget;
$$;

CREATE FUNCTION quotas_member_budget_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM quotas_people_changed(OLD.account_id);
        PERFORM quotas_count_keys_for(OLD.account_id, OLD.user_id, false)
        WHERE TG_OP = 'DELETE'
           OR (OLD.account_id, OLD.user_id) IS DISTINCT FROM (NEW.account_id, NEW.user_id);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM quotas_people_changed(NEW.account_id);
        PERFORM quotas_count_keys_for(NEW.account_id, NEW.user_id,
            NEW.daily_cap IS NOT NULL OR NEW.weekly_cap IS NOT NULL
            OR NEW.monthly_cap IS NOT NULL);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER quotas_member_budget_changed
    AFTER INSERT OR DELETE OR UPDATE OF account_id, user_id, daily_cap, weekly_cap, monthly_cap
    ON accounts_membership FOR EACH ROW EXECUTE FUNCTION quotas_member_budget_changed();
"""
BACKWARD = """
DROP TRIGGER quotas_member_budget_changed ON accounts_membership;
DROP FUNCTION quotas_member_budget_changed();
DROP FUNCTION quotas_count_keys_for(bigint, bigint, boolean);
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("accounts", "0012_member_budgets"),
        ("keys", "0014_budgets"),
        ("quotas", "0023_plan_scopes"),
    ]
    operations: ClassVar = [migrations.RunSQL(FORWARD, BACKWARD)]
