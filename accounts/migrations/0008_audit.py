from typing import ClassVar

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

# A row is written once. Only who is deleted is no longer pointed to; their address stays.
HISTORY = """
CREATE FUNCTION accounts_refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.user_id IS NULL AND to_jsonb(OLD) - 'user_id' = to_jsonb(NEW) - 'user_id' THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% is a history: rows are added, and stay as they are', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER accounts_auditevent_history BEFORE UPDATE OR DELETE ON accounts_auditevent
    FOR EACH ROW EXECUTE FUNCTION accounts_refuse_audit_change();
CREATE TRIGGER accounts_auditevent_no_truncate BEFORE TRUNCATE ON accounts_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_refuse_audit_change();
"""
NO_HISTORY = """
DROP TRIGGER accounts_auditevent_history ON accounts_auditevent;
DROP TRIGGER accounts_auditevent_no_truncate ON accounts_auditevent;
DROP FUNCTION accounts_refuse_audit_change();
"""


class Migration(migrations.Migration):
    """What was done for an account is written down. A table of its own: nobody waits."""

    dependencies: ClassVar = [("accounts", "0007_language")]

    operations: ClassVar = [
        migrations.CreateModel(
            "AuditEvent",
            fields=[
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
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("key", "Keys"),
                            ("spending", "Limits and spending"),
                            ("plan", "Plans and packs"),
                            ("money", "Money"),
                            ("alert", "Alerts and webhooks"),
                            ("sign_in", "Signing in"),
                            ("people", "People"),
                        ],
                        max_length=10,
                    ),
                ),
                ("act", models.CharField(max_length=40)),
                ("thing", models.CharField(blank=True, max_length=200)),
                (
                    "changes",
                    models.JSONField(default=list, help_text="What, before, and after."),
                ),
                (
                    "note",
                    models.CharField(blank=True, max_length=200, verbose_name="reason"),
                ),
                (
                    "via",
                    models.CharField(
                        choices=[
                            ("page", "on a page"),
                            ("staff", "by staff"),
                            ("key", "with a key"),
                            ("command", "on the command line"),
                            ("itself", "by itself"),
                        ],
                        max_length=8,
                        verbose_name="way",
                    ),
                ),
                (
                    "user_name",
                    models.CharField(
                        blank=True,
                        help_text="Their address, as it was then.",
                        max_length=254,
                        verbose_name="who",
                    ),
                ),
                ("ip", models.GenericIPAddressField(null=True, verbose_name="address")),
                ("client", models.CharField(blank=True, max_length=200)),
                (
                    "account",
                    models.ForeignKey(
                        "accounts.account",
                        django.db.models.deletion.PROTECT,
                        related_name="audit_events",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        settings.AUTH_USER_MODEL,
                        django.db.models.deletion.SET_NULL,
                        null=True,
                        related_name="+",
                    ),
                ),
            ],
            options={
                "verbose_name": "audit event",
                "verbose_name_plural": "audit events",
                "ordering": ("-created_at", "-pk"),
                "indexes": [
                    models.Index(
                        fields=["account", "-created_at", "-id"], name="audit_event_of_account"
                    ),
                    models.Index(
                        fields=["account", "kind", "-created_at", "-id"],
                        name="audit_event_of_kind",
                    ),
                    models.Index(fields=["-created_at", "-id"], name="audit_event_newest"),
                ],
            },
        ),
        migrations.RunSQL(HISTORY, NO_HISTORY),
    ]
