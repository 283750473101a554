"""Totals of what was used: fields, tables, and the functions of the database that fill them.

Nothing is counted here, so nobody waits: `quotas_total_up_to` does it hour by hour, however much
there is, and until it has come there everything is read from the rollups.
"""

from typing import ClassVar

import django.contrib.postgres.indexes
import django.db.models.deletion
from django.db import migrations, models

# How totals are made of rollups. {changed}: those rows, or the differences to them.
OF_USAGE = """
    INSERT INTO quotas_usagetotal AS total (account_id, cut, part, grain, starts_at, meter, source,
        chats, credits, chats_from_15, chats_from_30, chats_from_45)
    SELECT changed.account_id, kept.cut, kept.part, kept.grain,
        date_bin(make_interval(hours => kept.grain), changed.hour, '1970-01-05 00:00+00'),
        changed.meter, changed.source, sum(changed.chats), sum(changed.credits),
        CASE kept.grain WHEN 1 THEN sum(changed.chats_from_15) ELSE 0 END,
        CASE kept.grain WHEN 1 THEN sum(changed.chats_from_30) ELSE 0 END,
        CASE kept.grain WHEN 1 THEN sum(changed.chats_from_45) ELSE 0 END
    FROM ({changed}) AS changed
    LEFT JOIN keys_apikey AS key ON key.id = changed.key_id
    CROSS JOIN LATERAL (VALUES
        ('account', 0::bigint, 1), ('account', 0, 24), ('account', 0, 168),
        ('key', changed.key_id, 24), ('key', changed.key_id, 168), ('key', changed.key_id, 672),
        ('member', coalesce(key.created_by_id, 0), 1),
        ('member', coalesce(key.created_by_id, 0), 24),
        ('member', coalesce(key.created_by_id, 0), 168),
        ('member', coalesce(key.created_by_id, 0), 672)
    ) AS kept (cut, part, grain)
    GROUP BY 1, 2, 3, 4, 5, 6, 7
    ORDER BY 1, 2, 3, 4, 5, 6, 7
    ON CONFLICT (account_id, cut, grain, part, starts_at, meter, source) DO UPDATE
    SET chats = total.chats + EXCLUDED.chats,
        credits = total.credits + EXCLUDED.credits,
        chats_from_15 = total.chats_from_15 + EXCLUDED.chats_from_15,
        chats_from_30 = total.chats_from_30 + EXCLUDED.chats_from_30,
        chats_from_45 = total.chats_from_45 + EXCLUDED.chats_from_45;
"""
OF_TAGS = """
    INSERT INTO quotas_usagetotal AS total (account_id, cut, part, grain, starts_at, meter, source,
        chats, credits, chats_from_15, chats_from_30, chats_from_45)
    SELECT changed.account_id, 'tag', changed.tag_id, kept.grain,
        date_bin(make_interval(hours => kept.grain), changed.hour, '1970-01-05 00:00+00'),
        changed.meter, changed.source, sum(changed.chats), sum(changed.credits),
        CASE kept.grain WHEN 1 THEN sum(changed.chats_from_15) ELSE 0 END,
        CASE kept.grain WHEN 1 THEN sum(changed.chats_from_30) ELSE 0 END,
        CASE kept.grain WHEN 1 THEN sum(changed.chats_from_45) ELSE 0 END
    FROM ({changed}) AS changed
    CROSS JOIN LATERAL (VALUES (1), (24), (168), (672)) AS kept (grain)
    GROUP BY 1, 2, 3, 4, 5, 6, 7
    ORDER BY 1, 2, 3, 4, 5, 6, 7
    ON CONFLICT (account_id, cut, grain, part, starts_at, meter, source) DO UPDATE
    SET chats = total.chats + EXCLUDED.chats,
        credits = total.credits + EXCLUDED.credits,
        chats_from_15 = total.chats_from_15 + EXCLUDED.chats_from_15,
        chats_from_30 = total.chats_from_30 + EXCLUDED.chats_from_30,
        chats_from_45 = total.chats_from_45 + EXCLUDED.chats_from_45;
"""
OF_TOKENS = """
    INSERT INTO quotas_tokentotal AS total (account_id, grain, starts_at, meter, model,
        chats, answers, tokens_in, tokens_out)
    SELECT changed.account_id, kept.grain,
        date_bin(make_interval(hours => kept.grain), changed.hour, '1970-01-05 00:00+00'),
        changed.meter, changed.model, sum(changed.chats), sum(changed.answers),
        sum(changed.tokens_in), sum(changed.tokens_out)
    FROM ({changed}) AS changed
    CROSS JOIN LATERAL (VALUES (1), (24)) AS kept (grain)
    GROUP BY 1, 2, 3, 4, 5
    ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (account_id, grain, starts_at, meter, model) DO UPDATE
    SET chats = total.chats + EXCLUDED.chats,
        answers = total.answers + EXCLUDED.answers,
        tokens_in = total.tokens_in + EXCLUDED.tokens_in,
        tokens_out = total.tokens_out + EXCLUDED.tokens_out;
"""
OF_REFUSALS = """
    INSERT INTO quotas_refusaltotal AS total (account_id, grain, starts_at, reason, refusals)
    SELECT changed.account_id, kept.grain,
        date_bin(make_interval(hours => kept.grain), changed.hour, '1970-01-05 00:00+00'),
        changed.reason, sum(changed.refusals)
    FROM ({changed}) AS changed
    CROSS JOIN LATERAL (VALUES (1), (24)) AS kept (grain)
    GROUP BY 1, 2, 3, 4
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (account_id, grain, starts_at, reason) DO UPDATE
    SET refusals = total.refusals + EXCLUDED.refusals;
"""
_CHATS = ("chats", "credits", "chats_from_15", "chats_from_30", "chats_from_45")
# By rollup: how its totals are made, what it tells apart, and what it counts.
ROLLUPS = {
    "usage": (OF_USAGE, ("account_id", "key_id", "meter", "hour", "source"), _CHATS),
    "tag": (OF_TAGS, ("account_id", "tag_id", "meter", "hour", "source"), _CHATS),
    "token": (
        OF_TOKENS,
        ("account_id", "key_id", "meter", "model", "hour"),
        ("chats", "answers", "tokens_in", "tokens_out"),
    ),
    "refusal": (OF_REFUSALS, ("account_id", "key_id", "hour", "reason"), ("refusals",)),
}

# What comes late, in the transaction that writes it down. Whoever moves on the hour up to which
# totals are made waits for those who write, and they for him, by one lock: a row is either seen by
# the one or added by the other. There is nothing for removed rows: totals outlive them.
LATE = """
CREATE FUNCTION quotas_total_late_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    done timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(3, 0);
    SELECT coalesce(max(up_to), '1970-01-05 00:00+00') INTO done FROM quotas_totalled;
    IF TG_OP = 'INSERT' THEN
        IF EXISTS (SELECT FROM new_rows WHERE hour < done) THEN {of_inserted} END IF;
    ELSIF EXISTS (SELECT FROM new_rows WHERE hour < done) THEN {of_updated} END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER quotas_total_late_insert AFTER INSERT ON quotas_{name}rollup
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION quotas_total_late_{name}();
CREATE TRIGGER quotas_total_late_update AFTER UPDATE ON quotas_{name}rollup
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION quotas_total_late_{name}();
"""
NOT_LATE = """
DROP TRIGGER quotas_total_late_insert ON quotas_{name}rollup;
DROP TRIGGER quotas_total_late_update ON quotas_{name}rollup;
DROP FUNCTION quotas_total_late_{name}();
"""
UP_TO = """
CREATE FUNCTION quotas_total_up_to(hour_to timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    done timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(3, 0);
    SELECT coalesce(max(up_to), '1970-01-05 00:00+00') INTO done FROM quotas_totalled;
    IF hour_to <= done THEN RETURN; END IF;
    {of_all}
    INSERT INTO quotas_totalled (id, up_to) VALUES (1, hour_to)
    ON CONFLICT (id) DO UPDATE SET up_to = hour_to;
END $$;
"""
NOT_UP_TO = "DROP FUNCTION quotas_total_up_to(timestamptz);"


INSERTED = "SELECT * FROM new_rows WHERE hour < done"
UPDATED = (
    "SELECT {told}, {counted} FROM new_rows WHERE hour < done"
    " UNION ALL SELECT {told}, {less} FROM old_rows WHERE hour < done"
)
NEXT = "SELECT * FROM quotas_{name}rollup WHERE hour >= done AND hour < hour_to"


def late(name: str) -> str:
    """Adds to the totals of a rollup what comes for hours that are totalled."""
    of, told, counted = ROLLUPS[name]
    updated = UPDATED.format(
        told=", ".join(told),
        counted=", ".join(counted),
        less=", ".join(f"-{count}" for count in counted),
    )
    return LATE.format(
        name=name, of_inserted=of.format(changed=INSERTED), of_updated=of.format(changed=updated)
    )


def up_to() -> str:
    """Makes the totals of the hours that follow those that have some."""
    made = (of.format(changed=NEXT.format(name=name)) for name, (of, _, _) in ROLLUPS.items())
    return UP_TO.format(of_all="".join(made))


# Rows of the running hour, day and week are written again and again: with room on their page that
# touches no index.
ROOM = """
ALTER TABLE quotas_usagerollup SET (fillfactor = 80);
ALTER TABLE quotas_tagrollup SET (fillfactor = 80);
ALTER TABLE quotas_tokenrollup SET (fillfactor = 80);
ALTER TABLE quotas_usagetotal SET (fillfactor = 60);
ALTER TABLE quotas_tokentotal SET (fillfactor = 60);
ALTER TABLE quotas_refusaltotal SET (fillfactor = 60);
"""
NO_ROOM = """
ALTER TABLE quotas_usagerollup RESET (fillfactor);
ALTER TABLE quotas_tokenrollup RESET (fillfactor);
"""
FORWARD = ROOM + up_to() + "".join(map(late, ROLLUPS))
BACKWARD = NO_ROOM + "".join(NOT_LATE.format(name=name) for name in ROLLUPS) + NOT_UP_TO


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("accounts", "0005_partitions_leave"),
        ("keys", "0003_service_token_trust"),
        ("quotas", "0009_models_on_offer"),
    ]
    operations: ClassVar = [
        migrations.CreateModel(
            name="RefusalTotal",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "grain",
                    models.PositiveSmallIntegerField(
                        choices=[(1, "Hour"), (24, "Day"), (168, "Week"), (672, "Four Weeks")]
                    ),
                ),
                ("starts_at", models.DateTimeField()),
                ("reason", models.CharField(max_length=32)),
                ("refusals", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="TagRollup",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("tag_id", models.BigIntegerField()),
                ("meter", models.CharField(max_length=50)),
                ("hour", models.DateTimeField()),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("allowance", "Allowance"),
                            ("boost", "Boost"),
                            ("credits", "Credits"),
                        ],
                        max_length=10,
                    ),
                ),
                ("chats", models.BigIntegerField()),
                ("credits", models.BigIntegerField()),
                ("chats_from_15", models.BigIntegerField()),
                ("chats_from_30", models.BigIntegerField()),
                ("chats_from_45", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="TokenTotal",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "grain",
                    models.PositiveSmallIntegerField(
                        choices=[(1, "Hour"), (24, "Day"), (168, "Week"), (672, "Four Weeks")]
                    ),
                ),
                ("starts_at", models.DateTimeField()),
                ("meter", models.CharField(max_length=50)),
                ("model", models.CharField(max_length=128)),
                ("chats", models.BigIntegerField()),
                ("answers", models.BigIntegerField()),
                ("tokens_in", models.BigIntegerField()),
                ("tokens_out", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Totalled",
            fields=[
                (
                    "id",
                    models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False),
                ),
                ("up_to", models.DateTimeField()),
                (
                    "folded_before",
                    models.DateTimeField(
                        null=True,
                        help_text="Days before it have no hours of single keys and tags any more.",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="UsageTag",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=64)),
            ],
        ),
        migrations.CreateModel(
            name="UsageTotal",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "cut",
                    models.CharField(
                        choices=[
                            ("account", "Account"),
                            ("key", "Key"),
                            ("member", "Member"),
                            ("tag", "Tag"),
                        ],
                        max_length=7,
                    ),
                ),
                ("part", models.BigIntegerField()),
                (
                    "grain",
                    models.PositiveSmallIntegerField(
                        choices=[(1, "Hour"), (24, "Day"), (168, "Week"), (672, "Four Weeks")]
                    ),
                ),
                ("starts_at", models.DateTimeField()),
                ("meter", models.CharField(max_length=50)),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("allowance", "Allowance"),
                            ("boost", "Boost"),
                            ("credits", "Credits"),
                        ],
                        max_length=10,
                    ),
                ),
                ("chats", models.BigIntegerField()),
                ("credits", models.BigIntegerField()),
                ("chats_from_15", models.BigIntegerField()),
                ("chats_from_30", models.BigIntegerField()),
                ("chats_from_45", models.BigIntegerField()),
            ],
        ),
        migrations.AddField(
            model_name="tokenrollup",
            name="chats",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="usagerollup",
            name="chats_from_15",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="usagerollup",
            name="chats_from_30",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="usagerollup",
            name="chats_from_45",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AlterField(
            model_name="refusalrollup",
            name="account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.account",
            ),
        ),
        migrations.AlterField(
            model_name="tokenrollup",
            name="account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.account",
            ),
        ),
        migrations.AlterField(
            model_name="usagerollup",
            name="account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.account",
            ),
        ),
        migrations.AddField(
            model_name="refusaltotal",
            name="account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.account",
            ),
        ),
        migrations.AddField(
            model_name="tagrollup",
            name="account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.account",
            ),
        ),
        migrations.AddField(
            model_name="tokentotal",
            name="account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.account",
            ),
        ),
        migrations.AddConstraint(
            model_name="totalled",
            constraint=models.CheckConstraint(condition=models.Q(("id", 1)), name="totalled_once"),
        ),
        migrations.AddField(
            model_name="usagetag",
            name="account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.account",
            ),
        ),
        migrations.AddField(
            model_name="usagetotal",
            name="account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.account",
            ),
        ),
        migrations.AddConstraint(
            model_name="refusaltotal",
            constraint=models.UniqueConstraint(
                fields=("account", "grain", "starts_at", "reason"), name="refusal_total_once"
            ),
        ),
        migrations.AddIndex(
            model_name="tagrollup",
            index=models.Index(fields=["account", "tag_id", "hour"], name="tag_rollup_by_tag"),
        ),
        migrations.AddIndex(
            model_name="tagrollup",
            index=django.contrib.postgres.indexes.BrinIndex(
                autosummarize=True, fields=["hour"], name="tag_rollup_by_hour"
            ),
        ),
        migrations.AddConstraint(
            model_name="tagrollup",
            constraint=models.UniqueConstraint(
                fields=("account", "hour", "tag_id", "meter", "source"), name="tag_rollup_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="tokentotal",
            constraint=models.UniqueConstraint(
                fields=("account", "grain", "starts_at", "meter", "model"), name="token_total_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="usagetag",
            constraint=models.UniqueConstraint(fields=("account", "name"), name="usage_tag_once"),
        ),
        migrations.AddIndex(
            model_name="usagetotal",
            index=models.Index(
                fields=["account", "cut", "grain", "starts_at"], name="usage_total_span"
            ),
        ),
        migrations.AddConstraint(
            model_name="usagetotal",
            constraint=models.UniqueConstraint(
                fields=("account", "cut", "grain", "part", "starts_at", "meter", "source"),
                name="usage_total_once",
            ),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
