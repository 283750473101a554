"""What PostgreSQL remembers of each partition, to notice that Valkey knows less."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from gate.store.hot_state import PARTITIONS


class Partition(models.Model):
    """One of the parts that accounts are spread over in Valkey: what PostgreSQL remembers of it."""

    index = models.PositiveSmallIntegerField(primary_key=True)
    epoch = models.PositiveBigIntegerField(
        default=1, help_text=_("Raised when Valkey lost something; accounts are loaded again.")
    )
    pushes = models.PositiveBigIntegerField(
        default=0,
        help_text=_("Projections that Valkey confirmed; an older copy of it knows fewer."),
    )
    drained_id = models.CharField(
        max_length=41, default="0-0", help_text=_("The last charge that is in PostgreSQL.")
    )
    drained_at = models.DateTimeField(null=True, blank=True)
    refusals_batch = models.CharField(max_length=32, blank=True)

    class Meta:
        # Where release 0.1.0 put it, which works on beside this one.
        db_table = "accounts_partition"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(index__lt=PARTITIONS), name="partition_exists"
            )
        ]

    def __str__(self) -> str:
        return gettext("partition %(index)s") % {"index": self.index}
