from typing import ClassVar

from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations

from accounts.names import NameField, mend_names, name_check


class Migration(migrations.Migration):
    # Each step by itself: nothing is locked while the table is read.
    atomic = False
    dependencies: ClassVar = [("accounts", "0003_clean_names"), ("keys", "0001_initial")]
    operations: ClassVar = [
        migrations.AlterField("apikey", "name", NameField(longest=80, max_length=640)),
        migrations.AlterField(
            "servicetoken",
            "name",
            NameField(help_text="Which server uses it.", longest=80, max_length=640, unique=True),
        ),
        migrations.RunPython(
            mend_names("keys", "apikey", instead="Key"), migrations.RunPython.noop
        ),
        migrations.RunPython(
            mend_names("keys", "servicetoken", instead="Server"), migrations.RunPython.noop
        ),
        AddConstraintNotValid("apikey", name_check("api_key_name_clean")),
        AddConstraintNotValid("servicetoken", name_check("service_token_name_clean")),
        ValidateConstraint("apikey", "api_key_name_clean"),
        ValidateConstraint("servicetoken", "service_token_name_clean"),
    ]
