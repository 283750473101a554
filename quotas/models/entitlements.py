"""What an account has, for how long, and who gave it why: plans, packs, suspensions.

Rows are added, and ended once; the database refuses every other change, so that what an account
had at any moment can always be told.
"""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, User
from accounts.spending import IS_KNOWN, SpendingFields
from keys.models import ApiKey
from quotas.models.plans import Pack, Plan


class Entitlement(models.Model):
    """How often what an account has was changed, and how much of that the gate knows."""

    account = models.OneToOneField(Account, models.CASCADE, related_name="entitlement")
    # The gate keeps the highest version; what is above `pushed_version` is not known there yet.
    version = models.PositiveBigIntegerField(default=1, editable=False)
    pushed_version = models.PositiveBigIntegerField(default=0, editable=False)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["id"],
                condition=Q(pushed_version__lt=F("version")),
                name="entitlement_unpushed",
            )
        ]

    def __str__(self) -> str:
        return f"version {self.version} of {self.account}"


class Dated(models.Model):
    """Something that an account has from one moment on, until somebody ends it."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    by = models.ForeignKey(
        User, models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )
    note = models.CharField(_("reason"), max_length=200, blank=True)
    ended_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text=_("When somebody ended it.")
    )
    ended_by = models.ForeignKey(
        User, models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )
    end_note = models.CharField(_("reason of its end"), max_length=200, blank=True)

    class Meta:
        abstract = True


class PlanGrant(Dated):
    """A plan for a time. Which of several counts, `quotas.entitlements` says."""

    class Source(models.TextChoices):
        DEFAULT = "default", _("Default")
        SUBSCRIPTION = "subscription", _("Subscription")
        ADMIN = "admin", _("Admin")
        TEAM = "team", _("Team")

    plan = models.ForeignKey(Plan, models.PROTECT, related_name="grants")
    source = models.CharField(max_length=12, choices=Source)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(
        null=True, blank=True, help_text=_("When it ends by itself; empty is never.")
    )
    seats = models.IntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("How many people it is for; empty is any number."),
    )
    source_ref = models.CharField(max_length=120, unique=True, editable=False)

    class Meta:
        ordering = ("-starts_at", "-pk")
        indexes: ClassVar = [
            models.Index(fields=["account", "ends_at"], name="plan_grant_of_account"),
            models.Index(fields=["-starts_at", "-id"], name="plan_grant_newest"),
            # Every account has the default plan; the others would be looked for among them.
            models.Index(
                fields=["source", "-starts_at", "-id"],
                condition=~Q(source="default"),
                name="plan_grant_given",
            ),
            models.Index(
                fields=["ends_at"], condition=Q(ends_at__isnull=False), name="plan_grant_ends"
            ),
            models.Index(
                fields=["ended_at"], condition=Q(ended_at__isnull=False), name="plan_grant_ended"
            ),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(source__in=["default", "subscription", "admin", "team"]),
                name="plan_grant_source_known",
            ),
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(ends_at__gt=F("starts_at")),
                name="plan_grant_ends_after_start",
            ),
            models.CheckConstraint(
                condition=Q(seats=None) | Q(seats__gte=1), name="plan_grant_seats_known"
            ),
            # What remains when everything else has ended.
            models.CheckConstraint(
                condition=~Q(source="default") | Q(ends_at=None, ended_at=None),
                name="plan_grant_default_stays",
            ),
            models.UniqueConstraint(
                fields=["account"], condition=Q(source="default"), name="plan_grant_one_default"
            ),
        ]

    def __str__(self) -> str:
        return gettext("%(thing)s for %(account)s") % {
            "thing": self.plan,
            "account": self.account,
        }


class PackSwitch(Dated):
    """A pack that an account switched on. It counts with a plan that includes it."""

    pack = models.ForeignKey(Pack, models.PROTECT, related_name="switches")

    class Meta:
        ordering = ("-created_at", "-pk")
        verbose_name_plural = _("pack switches")
        indexes: ClassVar = [models.Index(fields=["-created_at", "-id"], name="pack_switch_newest")]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "pack"], condition=Q(ended_at=None), name="pack_switch_on_once"
            )
        ]

    def __str__(self) -> str:
        return gettext("%(thing)s for %(account)s") % {
            "thing": self.pack,
            "account": self.account,
        }


class Suspension(Dated):
    """A time in which every request of an account is refused, whatever it holds."""

    class Meta:
        ordering = ("-created_at", "-pk")
        indexes: ClassVar = [models.Index(fields=["-created_at", "-id"], name="suspension_newest")]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account"], condition=Q(ended_at=None), name="suspension_one_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return gettext("suspension of %(account)s") % {"account": self.account}


class SpendingChoice(Dated, SpendingFields):
    """What an account, or one key of it, may spend past the allowance. Without one: everything."""

    key = models.ForeignKey(
        ApiKey,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("Empty: of the whole account."),
    )

    class Meta:
        ordering = ("-created_at", "-pk")
        indexes: ClassVar = [
            models.Index(fields=["-created_at", "-id"], name="spending_choice_newest")
        ]
        constraints: ClassVar = [
            models.CheckConstraint(condition=IS_KNOWN, name="spending_choice_known"),
            models.UniqueConstraint(
                fields=["account"],
                condition=Q(ended_at=None, key=None),
                name="spending_choice_one_of_account",
            ),
            models.UniqueConstraint(
                fields=["key"], condition=Q(ended_at=None), name="spending_choice_one_of_key"
            ),
        ]

    def __str__(self) -> str:
        return gettext("spending of %(account)s") % {"account": self.account}
