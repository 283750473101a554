"""What accounts may use each week: plans, packs and meters."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import Q
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts import pace
from accounts.names import NameField, name_check
from accounts.numbers import thousands
from accounts.pace import PaceFields
from keys import scopes
from keys.bounds import KEYS_AT_MOST

# The API and the pages ask for this one.
CHAT_METER = "chat"
SLUG_HELP = _("Stands in the gate and in answers of the API; it cannot be changed later.")


class CannotRemove(Exception):
    """Something that others depend on must stay; the message says what to do first."""


class Pack(models.Model):
    """An add-on that an account may switch on if its plan includes it."""

    slug = models.SlugField(unique=True, help_text=SLUG_HELP)
    name = NameField(longest=80, max_length=80)
    summary = models.CharField(max_length=200, blank=True)
    weekly_cap = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MaxValueValidator(1_000_000_000)],
        help_text=_("Chats a week while the pack is on; empty is unlimited."),
    )

    class Meta:
        ordering = ("name",)
        constraints: ClassVar = [name_check("pack_name_clean")]

    def __str__(self) -> str:
        return self.name

    @property
    def why_it_stays(self) -> str:
        """Why the pack cannot be deleted; empty when it can."""
        accounts = self.switches.values("account").distinct().count()
        if not accounts:
            return ""
        return ngettext(
            "%(pack)s is or was on in %(count)s account, and their history names it: take it out "
            "of the plans instead.",
            "%(pack)s is or was on in %(count)s accounts, and their history names it: take it out "
            "of the plans instead.",
            accounts,
        ) % {"pack": self.name, "count": thousands(accounts)}


class Plan(PaceFields):
    """What an account may use each week. One plan is always the default: the database says so."""

    slug = models.SlugField(unique=True, help_text=SLUG_HELP)
    name = NameField(longest=80, max_length=80)
    summary = models.CharField(max_length=200, blank=True)
    features = models.JSONField(default=list, blank=True, help_text=_("A list of short texts."))
    weekly_cap = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MaxValueValidator(1_000_000_000)],
        help_text=_("Chats a week; empty is unlimited. A change counts for the very next chat."),
    )
    monthly_price_cents = models.PositiveIntegerField(
        null=True, blank=True, help_text=_("Empty shows “Contact us”.")
    )
    yearly_price_cents = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text=_("Of a year that is paid at once; empty is not sold by the year."),
    )
    is_per_seat = models.BooleanField(
        default=False,
        db_default=False,
        help_text=_(
            "The price is that of one seat, and who buys it says how many people it is for."
        ),
    )
    keys_at_most = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(KEYS_AT_MOST)],
        help_text=_("Not revoked; empty is 1,000. With fewer than there are, these stay."),
    )
    meters = ArrayField(
        models.SlugField(),
        default=list,
        db_default=[],
        blank=True,
        help_text=_(
            "Endpoints that keys may be used for; none ticked is all of them. Keys that name "
            "others keep them, and are refused there while the plan counts."
        ),
    )
    keys_manage = models.BooleanField(
        default=True,
        db_default=True,
        help_text=_("Programs may manage the account’s keys, by keys that have this scope."),
    )
    packs = models.ManyToManyField(Pack, blank=True, related_name="plans")
    position = models.PositiveSmallIntegerField(
        default=0,
        help_text=_("On the pricing page. Of two plans that an account has, the later one counts."),
    )
    is_public = models.BooleanField(default=True, help_text=_("Shown on the pricing page."))
    is_default = models.BooleanField(default=False, help_text=_("What a new account begins with."))

    class Meta:
        ordering = ("position", "name")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True), name="plan_one_default"
            ),
            name_check("plan_name_clean"),
            models.CheckConstraint(condition=pace.IS_KNOWN, name="plan_pace_known"),
            # What is no meter has a switch of its own, or every plan has it.
            models.CheckConstraint(
                condition=~Q(meters__overlap=["", *scopes.BESIDE_METERS]),
                name="plan_meters_are_meters",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; a plan that becomes the default takes the mark from the other in the same act."""
        fields = kwargs.get("update_fields")
        with transaction.atomic():
            if self.is_default and (fields is None or "is_default" in fields):
                # Whoever moves the mark at the same moment comes after us.
                QuotaPolicy.objects.select_for_update().filter(pk=1).first()
                Plan.objects.filter(is_default=True).exclude(pk=self.pk).update(is_default=False)
            super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete a plan that nobody needs. Raises CannotRemove for the default."""
        if self.why_it_stays:
            raise CannotRemove(self.why_it_stays)
        return super().delete(*args, **kwargs)

    @property
    def why_it_stays_default(self) -> str:
        """Why the plan cannot lose its mark; empty when it can."""
        if not self.is_default:
            return ""
        return gettext(
            "%(plan)s is what new accounts begin with: make another plan the default first."
        ) % {"plan": self.name}

    @property
    def why_it_stays(self) -> str:
        """Why the plan cannot be deleted; empty when it can."""
        if self.is_default:
            return self.why_it_stays_default
        accounts = self.grants.values("account").distinct().count()
        if not accounts:
            return ""
        return ngettext(
            "%(count)s account has or had %(plan)s, and their history names it: take it off the "
            "pricing page instead.",
            "%(count)s accounts have or had %(plan)s, and their history names it: take it off the "
            "pricing page instead.",
            accounts,
        ) % {"plan": self.name, "count": thousands(accounts)}

    @property
    def included_packs(self) -> list[Pack]:
        """The packs that come with the plan (prefetch `packs` for lists)."""
        return list(self.packs.all())


class Meter(models.Model):
    """One metered endpoint, and how many chats a call of it costs."""

    slug = models.SlugField(unique=True, help_text=SLUG_HELP)
    name = NameField(longest=80, max_length=80)
    chats = models.PositiveIntegerField(
        _("cost in chats"), default=1, validators=[MaxValueValidator(10_000)]
    )

    class Meta:
        ordering = ("slug",)
        constraints: ClassVar = [name_check("meter_name_clean")]

    def __str__(self) -> str:
        return self.name

    @property
    def why_it_stays(self) -> str:
        """Why the meter cannot be deleted; empty when it can."""
        if self.slug != CHAT_METER:
            return ""
        return gettext(
            "%(meter)s is what the API asks for: set its cost instead of deleting it."
        ) % {"meter": self.name}


class QuotaPolicy(models.Model):
    """The one row of settings that hold for everybody; `version` counts catalogue changes."""

    credits_per_chat = models.PositiveIntegerField(
        default=2,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text=_("What a chat past allowance and boosts costs. 1 credit is 1 US cent."),
    )
    version = models.PositiveBigIntegerField(default=1, editable=False)
    pushed_version = models.PositiveBigIntegerField(default=0, editable=False)
    # Those that an admin deleted do not come back. The database knows the default as well, for
    # the release before, which does not know the field.
    has_first_models = models.BooleanField(default=False, db_default=False, editable=False)

    class Meta:
        verbose_name = _("price of a chat")
        verbose_name_plural = _("price of a chat")
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(pk=1), name="quota_policy_one_row"),
            models.CheckConstraint(
                condition=Q(credits_per_chat__gte=1), name="quota_policy_credits_cost"
            ),
        ]

    def __str__(self) -> str:
        return ngettext(
            "%(count)s credit a chat", "%(count)s credits a chat", self.credits_per_chat
        ) % {"count": self.credits_per_chat}
