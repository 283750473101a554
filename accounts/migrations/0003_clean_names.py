from typing import ClassVar

from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations

from accounts.names import NameField, mend_names, name_check


class Migration(migrations.Migration):
    # Each step by itself: nothing is locked while the table is read.
    atomic = False
    dependencies: ClassVar = [("accounts", "0002_first_password")]
    operations: ClassVar = [
        migrations.AlterField("account", "name", NameField(longest=120, max_length=960)),
        migrations.AlterField("user", "name", NameField(blank=True, longest=120, max_length=960)),
        migrations.RunPython(
            mend_names("accounts", "account", instead="Account"), migrations.RunPython.noop
        ),
        migrations.RunPython(mend_names("accounts", "user", instead=""), migrations.RunPython.noop),
        AddConstraintNotValid("account", name_check("account_name_clean")),
        AddConstraintNotValid("user", name_check("user_name_clean", may_be_empty=True)),
        ValidateConstraint("account", "account_name_clean"),
        ValidateConstraint("user", "user_name_clean"),
    ]
