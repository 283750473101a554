from typing import Any, ClassVar

from django.db import migrations, models

OF_ACCOUNTS = [
    "week.50", "week.80", "week.100", "week.overflow", "credits.low", "boost.ending", "key.habit",
]  # fmt: skip
OF_MONEY = [
    "purchase.paid", "purchase.returned", "plan.changed", "plan.unpaid", "topup.stopped",
]  # fmt: skip
OF_PEOPLE = [*OF_ACCOUNTS, *OF_MONEY, "week.summary"]
BEFORE = [kind for kind in OF_ACCOUNTS if kind != "boost.ending"]


def choose_what_is_new(apps: Any, schema_editor: Any) -> None:
    """Who chose before there was this could not choose it.

    An account that hears of low credits hears of boosts that end; who answers for an account gets
    its receipts, as those do who never chose.
    """
    settings = apps.get_model("alerts", "AlertSettings")
    choices = apps.get_model("alerts", "MailChoice")
    for row in settings.objects.filter(kinds__contains=["credits.low"]).iterator():
        if "boost.ending" not in row.kinds:
            row.kinds = [*row.kinds, "boost.ending"]
            row.save(update_fields=["kinds"])
    for row in choices.objects.select_related("membership").iterator():
        new = ["boost.ending"] if "credits.low" in row.kinds else []
        new += OF_MONEY if row.membership.role in {"owner", "admin"} else []
        missing = [kind for kind in new if kind not in row.kinds]
        if missing:
            row.kinds = [*row.kinds, *missing]
            row.save(update_fields=["kinds"])


def forget_what_is_new(apps: Any, schema_editor: Any) -> None:
    """The release before knows none of it."""
    for name in ("AlertSettings", "MailChoice"):
        for row in apps.get_model("alerts", name).objects.iterator():
            row.kinds = [kind for kind in row.kinds if kind not in {"boost.ending", *OF_MONEY}]
            row.save(update_fields=["kinds"])


class Migration(migrations.Migration):
    """Receipts, money that goes back, and boosts that end unused."""

    dependencies: ClassVar = [("alerts", "0001_initial"), ("accounts", "0005_partitions_leave")]

    operations: ClassVar = [
        migrations.AlterField(
            model_name="alert",
            name="kind",
            field=models.CharField(
                choices=[
                    ("week.50", "50 % of the week’s allowance is used"),
                    ("week.80", "80 % of the week’s allowance is used"),
                    ("week.100", "The week’s allowance is used up"),
                    ("week.overflow", "Boosts or credits pay for the first time in a week"),
                    ("credits.low", "Credits run low"),
                    ("boost.ending", "A boost with unused chats ends within a day"),
                    ("key.habit", "A key is used far more than usual"),
                    ("purchase.paid", "A purchase is paid: its receipt"),
                    ("purchase.returned", "Money of a purchase goes back"),
                    ("plan.changed", "A plan that is paid for begins, changes or ends"),
                    ("plan.unpaid", "A plan could not be renewed"),
                    ("topup.stopped", "Auto top-up has stopped"),
                    ("week.summary", "Weekly summary"),
                    ("webhook.off", "A webhook was switched off"),
                    ("webhook.test", "Test"),
                ],
                max_length=20,
            ),
        ),
        migrations.RemoveConstraint("alertsettings", "alert_settings_kinds_known"),
        migrations.RemoveConstraint("mailchoice", "mail_choice_kinds_known"),
        migrations.RunPython(choose_what_is_new, forget_what_is_new),
        migrations.AddConstraint(
            "alertsettings",
            models.CheckConstraint(
                condition=models.Q(kinds__contained_by=OF_ACCOUNTS),
                name="alert_settings_kinds_known",
            ),
        ),
        migrations.AddConstraint(
            "mailchoice",
            models.CheckConstraint(
                condition=models.Q(kinds__contained_by=OF_PEOPLE), name="mail_choice_kinds_known"
            ),
        ),
    ]
