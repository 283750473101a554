from typing import ClassVar

from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations

from accounts.names import NameField, mend_names, name_check


class Migration(migrations.Migration):
    # Each step by itself: nothing is locked while the table is read.
    atomic = False
    dependencies: ClassVar = [("accounts", "0003_clean_names"), ("billing", "0001_initial")]
    operations: ClassVar = [
        migrations.AlterField("product", "name", NameField(longest=80, max_length=80)),
        migrations.RunPython(
            mend_names("billing", "product", instead="Product"), migrations.RunPython.noop
        ),
        AddConstraintNotValid("product", name_check("product_name_clean")),
        ValidateConstraint("product", "product_name_clean"),
    ]
