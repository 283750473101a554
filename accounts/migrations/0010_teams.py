from typing import ClassVar

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations, models
from django.db.models import Q
from django.db.models.functions import Lower

import accounts.models

ROLES = [
    ("owner", "Owner"),
    ("admin", "Admin"),
    ("developer", "Developer"),
    ("billing", "Billing"),
    ("viewer", "Viewer"),
]
# "member" is what the release before goes on to write.
KNOWN = Q(role__in=["owner", "admin", "developer", "billing", "viewer", "member"])
KNOWN_BEFORE = Q(role__in=["owner", "admin", "member"])
FORTH = "UPDATE accounts_membership SET role = 'developer' WHERE role = 'member'"
# Who may least of what there was before.
BACK = """
UPDATE accounts_membership SET role = 'member' WHERE role IN ('developer', 'billing', 'viewer')
"""


class Migration(migrations.Migration):
    """Five roles instead of three, and invitations."""

    # Each step by itself: nothing is locked while the table is read.
    atomic = False
    dependencies: ClassVar = [("accounts", "0009_session_generation")]
    operations: ClassVar = [
        migrations.AlterField(
            "membership", "role", accounts.models.RoleField(choices=ROLES, max_length=10)
        ),
        AddConstraintNotValid(
            "membership", models.CheckConstraint(condition=KNOWN, name="membership_role_is_one")
        ),
        # The wider one holds from here on.
        migrations.RemoveConstraint("membership", "membership_role_known"),
        migrations.RunSQL(FORTH, BACK),
        ValidateConstraint("membership", "membership_role_is_one"),
        migrations.CreateModel(
            "Invitation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("email", models.EmailField(max_length=254, verbose_name="e-mail address")),
                ("role", accounts.models.RoleField(choices=ROLES, max_length=10)),
                ("digest", models.CharField(editable=False, max_length=43, unique=True)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "sent_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("expires_at", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("accepted", "Accepted"),
                            ("declined", "Declined"),
                            ("withdrawn", "Withdrawn"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                ("answered_at", models.DateTimeField(editable=False, null=True)),
                (
                    "account",
                    models.ForeignKey(
                        "accounts.account",
                        django.db.models.deletion.CASCADE,
                        related_name="invitations",
                    ),
                ),
                (
                    "invited_by",
                    models.ForeignKey(
                        settings.AUTH_USER_MODEL,
                        django.db.models.deletion.SET_NULL,
                        null=True,
                        editable=False,
                        related_name="+",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        "account",
                        Lower("email"),
                        condition=Q(state="open"),
                        name="invitation_open_once",
                    ),
                    models.CheckConstraint(
                        condition=Q(state="open", answered_at=None)
                        | (~Q(state="open") & Q(answered_at__isnull=False)),
                        name="invitation_answered_or_open",
                    ),
                ],
            },
        ),
    ]
