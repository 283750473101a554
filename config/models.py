from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone


class Installation(models.Model):
    """The one row that says which release the data belongs to; `config.release` writes it."""

    release = models.CharField(max_length=40)
    works_beside = models.CharField(
        max_length=40, help_text="The oldest release whose processes may work on this data."
    )
    prepared_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(pk=1), name="installation_one_row")
        ]

    def __str__(self) -> str:
        return f"data of release {self.release}"
