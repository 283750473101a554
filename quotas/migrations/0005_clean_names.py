from typing import ClassVar

from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations

from accounts.names import NameField, mend_names, name_check


class Migration(migrations.Migration):
    # Each step by itself: nothing is locked while the table is read.
    atomic = False
    dependencies: ClassVar = [
        ("accounts", "0003_clean_names"),
        ("quotas", "0004_a_default_plan_always"),
    ]
    operations: ClassVar = [
        migrations.AlterField("meter", "name", NameField(longest=80, max_length=80)),
        migrations.AlterField("pack", "name", NameField(longest=80, max_length=80)),
        migrations.AlterField("plan", "name", NameField(longest=80, max_length=80)),
        migrations.RunPython(
            mend_names("quotas", "meter", instead="Meter"), migrations.RunPython.noop
        ),
        migrations.RunPython(
            mend_names("quotas", "pack", instead="Pack"), migrations.RunPython.noop
        ),
        migrations.RunPython(
            mend_names("quotas", "plan", instead="Plan"), migrations.RunPython.noop
        ),
        AddConstraintNotValid("meter", name_check("meter_name_clean")),
        AddConstraintNotValid("pack", name_check("pack_name_clean")),
        AddConstraintNotValid("plan", name_check("plan_name_clean")),
        ValidateConstraint("meter", "meter_name_clean"),
        ValidateConstraint("pack", "pack_name_clean"),
        ValidateConstraint("plan", "plan_name_clean"),
    ]
