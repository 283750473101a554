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
    taken_back = models.PositiveIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text=_("Chats of it that are not there any more: their money went back."),
    )
    taken_back_at = models.DateTimeField(null=True, editable=False)
    paid_cents = models.PositiveIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text=_("What was paid for it, once some of that went back."),
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
            models.Index(
                fields=["expires_at"], condition=Q(taken_back__gt=0), name="boost_taken_back"
            ),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(chats__gte=1), name="boost_has_chats"),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("starts_at")), name="boost_ends_after_start"
            ),
            models.CheckConstraint(
                condition=Q(taken_back__lte=F("chats")), name="boost_taken_back_at_most_whole"
            ),
        ]

    def __str__(self) -> str:
        return ngettext(
            "%(count)s chat for %(account)s", "%(count)s chats for %(account)s", self.chats
        ) % {"count": self.chats, "account": self.account}

    @property
    def granted(self) -> int:
        """Chats that it gives, used or not: without those that were taken back."""
        return self.chats - self.taken_back

    @property
    def owed_credits(self) -> int:
        """What chats cost that were used and then taken back, at the price of this boost.

        As far as drained; rounded down.
        """
        return max(0, self.spent - self.granted) * self.paid_cents // self.chats


class CreditEntry(models.Model):
    """One line of the credit ledger. Rows are appended and never changed: the balance is their sum.

    Mistakes are mended by another row, so that the past can always be added up again; database
    triggers refuse UPDATE, DELETE and TRUNCATE.
    """

    class Kind(models.TextChoices):
        PURCHASE = "purchase", _("Bought")
        GRANT = "grant", _("Granted")
        SPEND = "spend", _("Used for chats")
        RETURN = "return", _("Money went back")

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
            # In the order of lists, with what balances are added up of: the table is not read.
            models.Index(
                fields=["account", "-created_at", "-id"],
                include=["credits"],
                name="credit_entry_balance",
            ),
            models.Index(
                fields=["account", "-created_at", "-id"],
                condition=~Q(kind="spend"),
                name="credit_entry_of_account",
            ),
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
                condition=Q(kind__in=["purchase", "grant", "spend", "return"]),
                name="credit_entry_is_of_a_kind",
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
