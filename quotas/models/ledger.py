"""What accounts were given on top of their plan, and what they spent of it."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.models import Account, User


class Boost(models.Model):
    """Chats on top of the allowance, until they expire."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="+")
    chats = models.PositiveIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000_000)]
    )
    spent = models.PositiveIntegerField(
        default=0, editable=False, help_text=_("As far as drained; the gate knows the rest.")
    )
    starts_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    source_ref = models.CharField(max_length=120, unique=True, editable=False)
    granted_by = models.ForeignKey(
        User, models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("expires_at", "pk")
        indexes: ClassVar = [
            models.Index(fields=["account", "expires_at"]),
            models.Index(fields=["-starts_at", "-id"], name="boost_newest"),
            models.Index(fields=["expires_at"], name="boost_expires"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(chats__gte=1), name="boost_has_chats"),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("starts_at")), name="boost_ends_after_start"
            ),
        ]

    def __str__(self) -> str:
        return ngettext(
            "%(count)s chat for %(account)s", "%(count)s chats for %(account)s", self.chats
        ) % {"count": self.chats, "account": self.account}


class CreditEntry(models.Model):
    """One line of the credit ledger. Rows are appended and never changed: the balance is their sum.

    Mistakes are mended by another row, so that the past can always be added up again; database
    triggers refuse UPDATE, DELETE and TRUNCATE.
    """

    class Kind(models.TextChoices):
        PURCHASE = "purchase", _("Bought")
        GRANT = "grant", _("Granted")
        SPEND = "spend", _("Used for chats")

    account = models.ForeignKey(Account, models.PROTECT, related_name="+")
    credits = models.BigIntegerField(help_text=_("1 credit is 1 US cent; negative when used."))
    kind = models.CharField(max_length=10, choices=Kind)
    source_ref = models.CharField(max_length=120, unique=True)
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = _("credit ledger")
        ordering = ("-created_at", "-pk")
        indexes: ClassVar = [
            models.Index(fields=["account", "-created_at"]),
            models.Index(fields=["-created_at", "-id"], name="credit_entry_newest"),
            # Nearly all lines are of chats; the others would be looked for among them.
            models.Index(
                fields=["kind", "-created_at", "-id"],
                condition=~Q(kind="spend"),
                name="credit_entry_not_spent",
            ),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(credits=0), name="credit_entry_not_zero"),
            models.CheckConstraint(
                condition=Q(kind__in=["purchase", "grant", "spend"]), name="credit_entry_kind_known"
            ),
            models.CheckConstraint(
                condition=~Q(kind="purchase") | Q(credits__gt=0), name="credit_purchase_adds"
            ),
        ]

    def __str__(self) -> str:
        return ngettext(
            "%(count)s credit for %(account)s",
            "%(count)s credits for %(account)s",
            abs(self.credits),
        ) % {"count": f"{self.credits:+}", "account": self.account}
