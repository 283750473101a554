from typing import Any, ClassVar

from django.db import migrations, models


def _cap(help_text: str = "") -> Any:
    return models.PositiveIntegerField(blank=True, help_text=help_text, null=True)


class Migration(migrations.Migration):
    """Members may use so much, and those who join begin with what their account says.

    Empty is no limit, which is what the release before writes.
    """

    dependencies: ClassVar = [("accounts", "0011_closing")]
    operations: ClassVar = [
        migrations.AddField("account", "member_daily_cap", _cap()),
        migrations.AddField("account", "member_weekly_cap", _cap()),
        migrations.AddField("account", "member_monthly_cap", _cap()),
        migrations.AddField(
            "membership",
            "daily_cap",
            _cap("Chats a day in UTC that all their keys may use; empty is no limit."),
        ),
        migrations.AddField(
            "membership",
            "weekly_cap",
            _cap("Chats a week that all their keys may use; empty is no limit."),
        ),
        migrations.AddField(
            "membership",
            "monthly_cap",
            _cap("Chats a calendar month that all their keys may use; empty is no limit."),
        ),
    ]
