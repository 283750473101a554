from typing import ClassVar

from django.db import migrations, models

# The administrator that an earlier release made and nobody has signed in as: whether the password
# was ever shown is not known, so the next start shows another.
MARK = """
UPDATE accounts_user SET has_first_password = true
WHERE email = 'admin@example.com' AND is_superuser AND last_login IS NULL
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("accounts", "0001_initial")]
    operations: ClassVar = [
        migrations.AddField(
            "user",
            "has_first_password",
            models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text="Made at a start and shown there; nobody has chosen another yet.",
            ),
        ),
        migrations.RunSQL(MARK, migrations.RunSQL.noop),
    ]
