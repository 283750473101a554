from typing import ClassVar

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

# Who moved or suspended an account was not recorded before.
MOVE = """
LOCK TABLE quotas_entitlement, quotas_entitlement_packs_on IN SHARE ROW EXCLUSIVE MODE;

INSERT INTO quotas_plangrant
    (account_id, plan_id, source, starts_at, created_at, source_ref, note, end_note)
SELECT account.id, plan.id, 'default', account.created_at, now(), 'default:' || account.id, '', ''
FROM quotas_entitlement AS entitlement
JOIN accounts_account AS account ON account.id = entitlement.account_id
JOIN quotas_plan AS plan ON plan.is_default;

INSERT INTO quotas_plangrant
    (account_id, plan_id, source, starts_at, created_at, source_ref, note, end_note)
SELECT account.id, plan.id, 'admin', account.created_at, now(), 'undated:' || account.id,
    'Had it before plans were dated.', ''
FROM quotas_entitlement AS entitlement
JOIN accounts_account AS account ON account.id = entitlement.account_id
JOIN quotas_plan AS plan ON plan.id = entitlement.plan_id AND NOT plan.is_default;

INSERT INTO quotas_packswitch (account_id, pack_id, created_at, note, end_note)
SELECT entitlement.account_id, packs_on.pack_id, now(), '', ''
FROM quotas_entitlement_packs_on AS packs_on
JOIN quotas_entitlement AS entitlement ON entitlement.id = packs_on.entitlement_id;

INSERT INTO quotas_suspension (account_id, created_at, note, end_note)
SELECT account_id, suspended_at, '', '' FROM quotas_entitlement WHERE suspended_at IS NOT NULL;
"""

# Whoever writes an account's first row, in whichever release: it has the default plan.
DEFAULT_PLAN = """
CREATE FUNCTION quotas_entitlement_begins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.plan_id IS NULL THEN
        SELECT id INTO NEW.plan_id FROM quotas_plan WHERE is_default;
    END IF;
    INSERT INTO quotas_plangrant
        (account_id, plan_id, source, starts_at, created_at, source_ref, note, end_note)
    VALUES (NEW.account_id, NEW.plan_id, 'default', now(), now(),
        'default:' || NEW.account_id, '', '')
    ON CONFLICT (source_ref) DO NOTHING;
    RETURN NEW;
END $$;
CREATE TRIGGER quotas_entitlement_begins BEFORE INSERT ON quotas_entitlement
    FOR EACH ROW EXECUTE FUNCTION quotas_entitlement_begins();
"""
NO_DEFAULT_PLAN = """
DROP TRIGGER quotas_entitlement_begins ON quotas_entitlement;
DROP FUNCTION quotas_entitlement_begins();
"""

# The history can be told because its rows are ended once and otherwise stay. A person who is
# deleted takes only their name with them.
HISTORY = """
CREATE FUNCTION quotas_refuse_history_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    may_change text[] := ARRAY['ended_at', 'ended_by_id', 'end_note', 'by_id'];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF to_jsonb(OLD) - may_change = to_jsonb(NEW) - may_change
            AND (NEW.by_id IS NULL OR NEW.by_id = OLD.by_id)
            AND (
                OLD.ended_at IS NULL
                OR (OLD.ended_at, OLD.end_note) = (NEW.ended_at, NEW.end_note)
                AND (NEW.ended_by_id IS NULL OR NEW.ended_by_id = OLD.ended_by_id)
            )
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% is a history: end a row, or add another', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER quotas_plangrant_history BEFORE UPDATE OR DELETE ON quotas_plangrant
    FOR EACH ROW EXECUTE FUNCTION quotas_refuse_history_change();
CREATE TRIGGER quotas_packswitch_history BEFORE UPDATE OR DELETE ON quotas_packswitch
    FOR EACH ROW EXECUTE FUNCTION quotas_refuse_history_change();
CREATE TRIGGER quotas_suspension_history BEFORE UPDATE OR DELETE ON quotas_suspension
    FOR EACH ROW EXECUTE FUNCTION quotas_refuse_history_change();
CREATE TRIGGER quotas_plangrant_no_truncate BEFORE TRUNCATE ON quotas_plangrant
    FOR EACH STATEMENT EXECUTE FUNCTION quotas_refuse_history_change();
CREATE TRIGGER quotas_packswitch_no_truncate BEFORE TRUNCATE ON quotas_packswitch
    FOR EACH STATEMENT EXECUTE FUNCTION quotas_refuse_history_change();
CREATE TRIGGER quotas_suspension_no_truncate BEFORE TRUNCATE ON quotas_suspension
    FOR EACH STATEMENT EXECUTE FUNCTION quotas_refuse_history_change();
"""
NO_HISTORY = """
DROP TRIGGER quotas_plangrant_history ON quotas_plangrant;
DROP TRIGGER quotas_packswitch_history ON quotas_packswitch;
DROP TRIGGER quotas_suspension_history ON quotas_suspension;
DROP TRIGGER quotas_plangrant_no_truncate ON quotas_plangrant;
DROP TRIGGER quotas_packswitch_no_truncate ON quotas_packswitch;
DROP TRIGGER quotas_suspension_no_truncate ON quotas_suspension;
DROP FUNCTION quotas_refuse_history_change();
"""

# For one release the columns of before stay, for processes of 0.1.0 that still work: they read
# there what counts now. What they would write there is refused, so that nobody loses it.
BESIDE = """
CREATE FUNCTION quotas_plan_counting(of_account bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT granted.plan_id
    FROM quotas_plangrant AS granted JOIN quotas_plan AS plan ON plan.id = granted.plan_id
    WHERE granted.account_id = of_account AND granted.ended_at IS NULL
        AND (granted.starts_at <= granted.created_at OR granted.starts_at <= clock_timestamp())
        AND (granted.ends_at IS NULL OR granted.ends_at > clock_timestamp())
    ORDER BY granted.source = 'default', plan.position DESC, plan.id DESC LIMIT 1
$$;
CREATE FUNCTION quotas_show_plan_to_0_1_0() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE quotas_entitlement SET plan_id = quotas_plan_counting(NEW.account_id)
    WHERE account_id = NEW.account_id AND plan_id <> quotas_plan_counting(NEW.account_id);
    RETURN NULL;
END $$;
CREATE TRIGGER quotas_show_plan_to_0_1_0 AFTER INSERT OR UPDATE ON quotas_plangrant
    FOR EACH ROW EXECUTE FUNCTION quotas_show_plan_to_0_1_0();

-- Nobody can write into a view of two tables.
DROP TABLE quotas_entitlement_packs_on;
CREATE VIEW quotas_entitlement_packs_on AS
    SELECT switch.id, entitlement.id AS entitlement_id, switch.pack_id
    FROM quotas_packswitch AS switch
    JOIN quotas_entitlement AS entitlement ON entitlement.account_id = switch.account_id
    WHERE switch.ended_at IS NULL;

CREATE FUNCTION quotas_show_suspension_to_0_1_0() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE quotas_entitlement
    SET suspended_at = CASE WHEN NEW.ended_at IS NULL THEN NEW.created_at END
    WHERE account_id = NEW.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER quotas_show_suspension_to_0_1_0 AFTER INSERT OR UPDATE ON quotas_suspension
    FOR EACH ROW EXECUTE FUNCTION quotas_show_suspension_to_0_1_0();

CREATE FUNCTION quotas_refuse_undated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'plans, packs and suspensions are dated: change them in the newer release'
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER quotas_entitlement_is_shown BEFORE UPDATE ON quotas_entitlement
    FOR EACH ROW WHEN (
        pg_trigger_depth() = 0 AND (
            OLD.plan_id IS DISTINCT FROM NEW.plan_id
            OR OLD.suspended_at IS DISTINCT FROM NEW.suspended_at
        )
    ) EXECUTE FUNCTION quotas_refuse_undated();
"""
NOT_BESIDE = """
DROP TRIGGER quotas_entitlement_is_shown ON quotas_entitlement;
DROP FUNCTION quotas_refuse_undated();
DROP TRIGGER quotas_show_suspension_to_0_1_0 ON quotas_suspension;
DROP FUNCTION quotas_show_suspension_to_0_1_0();
CREATE TABLE packs_on (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    entitlement_id bigint NOT NULL REFERENCES quotas_entitlement (id) DEFERRABLE INITIALLY DEFERRED,
    pack_id bigint NOT NULL REFERENCES quotas_pack (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT quotas_entitlement_packs_entitlement_id_pack_id_d8793084_uniq
        UNIQUE (entitlement_id, pack_id)
);
CREATE INDEX quotas_entitlement_packs_on_pack_id_69798d7d ON packs_on (pack_id);
INSERT INTO packs_on (entitlement_id, pack_id)
SELECT entitlement_id, pack_id FROM quotas_entitlement_packs_on;
DROP VIEW quotas_entitlement_packs_on;
ALTER TABLE packs_on RENAME TO quotas_entitlement_packs_on;
DROP TRIGGER quotas_show_plan_to_0_1_0 ON quotas_plangrant;
DROP FUNCTION quotas_show_plan_to_0_1_0();
-- What ended by the clock since it was last written.
UPDATE quotas_entitlement SET plan_id = quotas_plan_counting(account_id)
WHERE plan_id <> quotas_plan_counting(account_id);
DROP FUNCTION quotas_plan_counting(bigint);
"""


def account() -> models.Field:
    return models.ForeignKey(
        "accounts.account", django.db.models.deletion.PROTECT, related_name="+"
    )


def dated() -> list[tuple[str, models.Field]]:
    """What every dated row says; a function, because no field object may stand in two models."""

    def person() -> models.Field:
        return models.ForeignKey(
            settings.AUTH_USER_MODEL,
            django.db.models.deletion.SET_NULL,
            blank=True,
            editable=False,
            null=True,
            related_name="+",
        )

    return [
        (
            "id",
            models.BigAutoField(
                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
            ),
        ),
        (
            "created_at",
            models.DateTimeField(default=django.utils.timezone.now, editable=False),
        ),
        ("note", models.CharField("reason", blank=True, max_length=200)),
        (
            "ended_at",
            models.DateTimeField(
                blank=True, editable=False, help_text="When somebody ended it.", null=True
            ),
        ),
        ("end_note", models.CharField("reason of its end", blank=True, max_length=200)),
        ("account", account()),
        ("by", person()),
        ("ended_by", person()),
    ]


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("accounts", "0004_outgoing_mail"),
        ("quotas", "0006_ledger_refuses_truncate"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations: ClassVar = [
        migrations.AlterField(
            "plan",
            "position",
            models.PositiveSmallIntegerField(
                default=0,
                help_text="On the pricing page. Of two plans that an account has, "
                "the later one counts.",
            ),
        ),
        migrations.CreateModel(
            "PlanGrant",
            fields=[
                *dated(),
                (
                    "plan",
                    models.ForeignKey(
                        "quotas.plan", django.db.models.deletion.PROTECT, related_name="grants"
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("default", "Default"),
                            ("subscription", "Subscription"),
                            ("admin", "Admin"),
                            ("team", "Team"),
                        ],
                        max_length=12,
                    ),
                ),
                ("starts_at", models.DateTimeField()),
                (
                    "ends_at",
                    models.DateTimeField(
                        blank=True, help_text="When it ends by itself; empty is never.", null=True
                    ),
                ),
                ("source_ref", models.CharField(editable=False, max_length=120, unique=True)),
            ],
            options={
                "ordering": ("-starts_at", "-pk"),
                "indexes": [
                    models.Index(fields=["account", "ends_at"], name="plan_grant_of_account")
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(source__in=["default", "subscription", "admin", "team"]),
                        name="plan_grant_source_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(ends_at=None)
                        | models.Q(ends_at__gt=models.F("starts_at")),
                        name="plan_grant_ends_after_start",
                    ),
                    models.CheckConstraint(
                        condition=~models.Q(source="default")
                        | models.Q(ends_at=None, ended_at=None),
                        name="plan_grant_default_stays",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(source="default"),
                        fields=("account",),
                        name="plan_grant_one_default",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            "PackSwitch",
            fields=[
                *dated(),
                (
                    "pack",
                    models.ForeignKey(
                        "quotas.pack", django.db.models.deletion.PROTECT, related_name="switches"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "pack switches",
                "ordering": ("-created_at", "-pk"),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(ended_at=None),
                        fields=("account", "pack"),
                        name="pack_switch_on_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            "Suspension",
            fields=dated(),
            options={
                "ordering": ("-created_at", "-pk"),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(ended_at=None),
                        fields=("account",),
                        name="suspension_one_at_a_time",
                    )
                ],
            },
        ),
        migrations.RunSQL(MOVE, migrations.RunSQL.noop),
        migrations.RunSQL(DEFAULT_PLAN, NO_DEFAULT_PLAN),
        migrations.RunSQL(HISTORY, NO_HISTORY),
        migrations.RunSQL(BESIDE, NOT_BESIDE),
        # Read by functions, which are allowed to, and not from the account.
        migrations.AlterField("boost", "account", account()),
        migrations.AlterField("creditentry", "account", account()),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveField("entitlement", "packs_on"),
                migrations.RemoveField("entitlement", "plan"),
                migrations.RemoveField("entitlement", "suspended_at"),
            ]
        ),
    ]
