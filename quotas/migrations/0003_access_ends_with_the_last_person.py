from typing import ClassVar

from django.db import migrations

# Whoever deactivates, deletes, moves or adds people, by a page, a command, in bulk or in SQL: what
# the gate knows of their accounts is out of date from that very transaction on, and the version
# says so. An account that has keys but was never looked at gets its entitlement here, so that a
# snapshot which is being read at this moment does not stay the newest.
FORWARD = """
CREATE FUNCTION quotas_people_changed(changed bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE quotas_entitlement SET version = version + 1 WHERE account_id = changed;
    IF NOT FOUND THEN
        INSERT INTO quotas_entitlement (account_id, plan_id, version, pushed_version)
        SELECT changed, id, 1, 0 FROM quotas_plan
        WHERE is_default AND EXISTS (SELECT FROM keys_apikey WHERE account_id = changed)
        ON CONFLICT (account_id) DO UPDATE SET version = quotas_entitlement.version + 1;
    END IF;
END $$;

CREATE FUNCTION quotas_membership_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM quotas_people_changed(OLD.account_id);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM quotas_people_changed(NEW.account_id);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER quotas_membership_changed
    AFTER INSERT OR DELETE OR UPDATE OF account_id, user_id ON accounts_membership
    FOR EACH ROW EXECUTE FUNCTION quotas_membership_changed();

CREATE FUNCTION quotas_user_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM quotas_people_changed(account_id)
    FROM accounts_membership WHERE user_id = NEW.id ORDER BY account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER quotas_user_changed
    AFTER UPDATE OF is_active ON accounts_user
    FOR EACH ROW WHEN (OLD.is_active IS DISTINCT FROM NEW.is_active)
    EXECUTE FUNCTION quotas_user_changed();

-- Accounts that were left without anybody before this.
SELECT quotas_people_changed(account.id)
FROM accounts_account AS account
WHERE NOT EXISTS (
    SELECT FROM accounts_membership AS membership
    JOIN accounts_user AS person ON person.id = membership.user_id AND person.is_active
    WHERE membership.account_id = account.id
);
"""
BACKWARD = """
DROP TRIGGER quotas_user_changed ON accounts_user;
DROP FUNCTION quotas_user_changed();
DROP TRIGGER quotas_membership_changed ON accounts_membership;
DROP FUNCTION quotas_membership_changed();
DROP FUNCTION quotas_people_changed(bigint);
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("accounts", "0001_initial"),
        ("keys", "0001_initial"),
        ("quotas", "0002_append_only_ledger"),
    ]
    operations: ClassVar = [migrations.RunSQL(FORWARD, BACKWARD)]
