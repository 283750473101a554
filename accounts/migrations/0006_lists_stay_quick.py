from typing import ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

from accounts.beginnings import beginnings_index


class Migration(migrations.Migration):
    """Indexes are made while people sign up, which no transaction around them allows."""

    atomic = False

    dependencies: ClassVar = [("accounts", "0005_partitions_leave")]

    operations: ClassVar = [
        *(
            AddIndexConcurrently("user", index)
            for index in (
                beginnings_index("email", name="user_email_begins"),
                beginnings_index("name", name="user_name_begins"),
                models.Index(fields=["date_joined"], name="user_joined"),
                models.Index(
                    fields=["email"], condition=models.Q(is_staff=True), name="user_staff"
                ),
                models.Index(
                    fields=["email"], condition=models.Q(is_superuser=True), name="user_superuser"
                ),
                models.Index(
                    fields=["email"], condition=models.Q(is_active=False), name="user_inactive"
                ),
            )
        ),
        *(
            AddIndexConcurrently("account", index)
            for index in (
                beginnings_index("name", name="account_name_begins"),
                models.Index(fields=["created_at"], name="account_created"),
                models.Index(
                    fields=["id"], condition=models.Q(is_personal=False), name="account_of_team"
                ),
            )
        ),
    ]
