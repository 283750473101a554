from typing import ClassVar

from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    ValidateConstraint,
)
from django.db import migrations, models
from django.db.models import F, Q


class Migration(migrations.Migration):
    """What is taken back of a grant whose money went back. Safe while chats are used.

    Columns have defaults of the database's, constraints are validated in a step of their own, the
    index is made while rows are written.
    """

    atomic = False

    dependencies: ClassVar = [("quotas", "0014_chat_meter_is_saved")]

    operations: ClassVar = [
        migrations.AddField(
            "boost",
            "taken_back",
            models.PositiveIntegerField(
                db_default=0,
                default=0,
                editable=False,
                help_text="Chats of it that are not there any more: their money went back.",
            ),
        ),
        migrations.AddField(
            "boost", "taken_back_at", models.DateTimeField(editable=False, null=True)
        ),
        migrations.AddField(
            "boost",
            "paid_cents",
            models.PositiveIntegerField(
                db_default=0,
                default=0,
                editable=False,
                help_text="What was paid for it, once some of that went back.",
            ),
        ),
        migrations.AlterField(
            "creditentry",
            "kind",
            models.CharField(
                choices=[
                    ("purchase", "Bought"),
                    ("grant", "Granted"),
                    ("spend", "Used for chats"),
                    ("return", "Money went back"),
                ],
                max_length=10,
            ),
        ),
        AddConstraintNotValid(
            "creditentry",
            models.CheckConstraint(
                condition=Q(kind__in=["purchase", "grant", "spend", "return"]),
                name="credit_entry_is_of_a_kind",
            ),
        ),
        ValidateConstraint("creditentry", "credit_entry_is_of_a_kind"),
        migrations.RemoveConstraint("creditentry", "credit_entry_kind_known"),
        AddConstraintNotValid(
            "boost",
            models.CheckConstraint(
                condition=Q(taken_back__lte=F("chats")), name="boost_taken_back_at_most_whole"
            ),
        ),
        ValidateConstraint("boost", "boost_taken_back_at_most_whole"),
        AddIndexConcurrently(
            "boost",
            models.Index(
                fields=["expires_at"], condition=Q(taken_back__gt=0), name="boost_taken_back"
            ),
        ),
    ]
