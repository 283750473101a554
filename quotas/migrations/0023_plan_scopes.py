from typing import ClassVar

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    """What keys of a plan may be used for. Safe while plans are used: all may do everything.

    The release before lets keys do what a plan does not have, as it always did.
    """

    dependencies: ClassVar = [("quotas", "0022_keys_per_plan")]

    operations: ClassVar = [
        migrations.AddField(
            "plan",
            "meters",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.SlugField(),
                blank=True,
                db_default=[],
                default=list,
                help_text=(
                    "Endpoints that keys may be used for; none ticked is all of them. Keys that "
                    "name others keep them, and are refused there while the plan counts."
                ),
                size=None,
            ),
        ),
        migrations.AddField(
            "plan",
            "keys_manage",
            models.BooleanField(
                db_default=True,
                default=True,
                help_text=("Programs may manage the account’s keys, by keys that have this scope."),
            ),
        ),
        migrations.AddConstraint(
            "plan",
            models.CheckConstraint(
                condition=models.Q(
                    (
                        "meters__overlap",
                        ["", "quota:read", "usage:read", "keys:manage"],
                    ),
                    _negated=True,
                ),
                name="plan_meters_are_meters",
            ),
        ),
    ]
