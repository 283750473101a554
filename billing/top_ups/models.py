"""What an account wants bought by itself, with which card, and why that has stopped."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, User
from billing import terms


class AutoTopUp(models.Model):
    """Below so many credits buy a pack, for at most so much a month, paid with a saved card."""

    class Stopped(models.TextChoices):
        """Why it does nothing although it was wanted. The person has to want it again."""

        CARD_REFUSED = "card_refused", _("the card was refused")
        BANK_ASKS = "bank_asks", _("the bank wants to hear from you")
        NO_CARD = "no_card", _("the card is not there any more")
        CHANGED = "changed", _("the price has changed")
        NOT_ON_SALE = "not_on_sale", _("the pack is not on sale any more")
        UNKNOWN = "unknown", _("the payment needs a look")

    account = models.OneToOneField(Account, models.PROTECT, related_name="auto_top_up")
    is_on = models.BooleanField(default=False)
    below_credits = models.PositiveIntegerField(
        default=200,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text=_("Bought when fewer credits than this are left."),
    )
    product = models.ForeignKey(
        "billing.Product",
        models.PROTECT,
        null=True,
        related_name="+",
        help_text=_("What is bought."),
    )
    terms = models.CharField(
        max_length=80, blank=True, help_text=_("What the pack cost and gave when it was wanted.")
    )
    month_cents = models.PositiveIntegerField(
        default=50_00, help_text=_("Of a calendar month in UTC, at most.")
    )
    stripe_payment_method_id = models.CharField(max_length=255, blank=True)
    card = models.CharField(max_length=60, blank=True, help_text=_("As it is shown."))
    stopped = models.CharField(max_length=12, choices=Stopped, blank=True)
    stopped_at = models.DateTimeField(null=True)
    next_at = models.DateTimeField(
        default=timezone.now, help_text=_("When it is looked at again; after a try, later.")
    )
    changed_at = models.DateTimeField(default=timezone.now)
    changed_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        verbose_name = _("auto top-up")
        verbose_name_plural = _("auto top-ups")
        ordering = ("-changed_at", "-pk")
        indexes: ClassVar = [
            models.Index(fields=["next_at"], condition=Q(is_on=True), name="auto_top_up_due"),
            models.Index(fields=["-changed_at", "-id"], name="auto_top_up_newest"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(is_on=False)
                | Q(product__isnull=False) & ~Q(stripe_payment_method_id="") & Q(stopped=""),
                name="auto_top_up_can_pay",
            )
        ]

    def __str__(self) -> str:
        return str(self.account)

    @property
    def currency(self) -> str:
        """In which the month's bound was chosen, with the pack."""
        return terms.currency_of(self.terms) if self.terms else settings.STRIPE_CURRENCY

    def stop(self, why: str, *, at: datetime) -> None:
        """Switch it off by itself; a person has to want it again."""
        self.is_on, self.stopped, self.stopped_at = False, why, at
        self.save(update_fields=["is_on", "stopped", "stopped_at"])

    def wait(self, until: timedelta, *, at: datetime) -> None:
        """Leave it alone for a while."""
        self.next_at = at + until
        self.save(update_fields=["next_at"])
