"""What accounts want to hear of, what happened, and who was told."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar
from uuid import uuid4

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, Membership, User
from alerts import reasons


class Kind(models.TextChoices):
    """What an alert is about. The values are what webhooks are told as `type`."""

    # No octal number, which “% o” may be elsewhere. xgettext: no-python-format
    WEEK_50 = "week.50", _("50 % of the week’s allowance is used")
    # Nor here. xgettext: no-python-format
    WEEK_80 = "week.80", _("80 % of the week’s allowance is used")
    WEEK_100 = "week.100", _("The week’s allowance is used up")
    OVERFLOW = "week.overflow", _("Boosts or credits pay for the first time in a week")
    LOW_CREDITS = "credits.low", _("Credits run low")
    BOOST_ENDING = "boost.ending", _("A boost with unused chats ends within a day")
    KEY_HABIT = "key.habit", _("A key is used far more than usual")
    RECEIPT = "purchase.paid", _("A purchase is paid: its receipt")
    MONEY_BACK = "purchase.returned", _("Money of a purchase goes back")
    PLAN = "plan.changed", _("A plan that is paid for begins, changes or ends")
    PLAN_UNPAID = "plan.unpaid", _("A plan could not be renewed")
    TOP_UP_STOPPED = "topup.stopped", _("Auto top-up has stopped")
    SUMMARY = "week.summary", _("Weekly summary")
    ENDPOINT_OFF = "webhook.off", _("A webhook was switched off")
    TEST = "webhook.test", _("Test")


# What an account chooses from, in the order of the page.
OF_THE_WEEK = {Kind.WEEK_50: 50, Kind.WEEK_80: 80, Kind.WEEK_100: 100}
CHOSEN_KINDS = (*OF_THE_WEEK, Kind.OVERFLOW, Kind.LOW_CREDITS, Kind.BOOST_ENDING, Kind.KEY_HABIT)
# What a person chooses from besides. Of money only people are told, and only who may see it.
PLAN_KINDS = (Kind.PLAN, Kind.PLAN_UNPAID)
MONEY_KINDS = (Kind.RECEIPT, Kind.MONEY_BACK, *PLAN_KINDS, Kind.TOP_UP_STOPPED)
MAIL_KINDS = (*CHOSEN_KINDS, *MONEY_KINDS, Kind.SUMMARY)
DEFAULT_LOW_CREDITS = 100


def every_chosen_kind() -> list[str]:
    """The default of an account: it hears of everything."""
    return [kind.value for kind in CHOSEN_KINDS]


class AlertSettings(models.Model):
    """What an account wants to hear of. One that never chose has no row and the defaults."""

    account = models.OneToOneField(Account, models.PROTECT, related_name="+")
    kinds = ArrayField(models.CharField(max_length=20), default=every_chosen_kind, blank=True)
    low_credits = models.PositiveIntegerField(
        default=DEFAULT_LOW_CREDITS,
        help_text=_("Credits below which they are low. 1 credit is 1 US cent."),
    )
    changed_at = models.DateTimeField(
        null=True, help_text=_("Until the account was looked at by what it wants now.")
    )

    class Meta:
        verbose_name_plural = _("alert settings")
        indexes: ClassVar = [
            models.Index(
                fields=["account"],
                condition=Q(changed_at__isnull=False),
                name="alert_settings_changed",
            )
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(kinds__contained_by=[kind.value for kind in CHOSEN_KINDS]),
                name="alert_settings_kinds_known",
            )
        ]

    def __str__(self) -> str:
        return gettext("alert settings of account %(account)s") % {"account": self.account_id}


class MailChoice(models.Model):
    """What a person wants mail about, for one account. Without a row their role decides."""

    membership = models.OneToOneField(Membership, models.CASCADE, related_name="+")
    kinds = ArrayField(models.CharField(max_length=20), blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(kinds__contained_by=[kind.value for kind in MAIL_KINDS]),
                name="mail_choice_kinds_known",
            )
        ]

    def __str__(self) -> str:
        return f"mail choice of {self.membership_id}"


class WebhookEndpoint(models.Model):
    """An address of a customer's own server that is told of alerts.

    No secret is stored: it is derived (`alerts.signing`) from a pepper, the id and the generation.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    account = models.ForeignKey(Account, models.PROTECT, related_name="+")
    url = models.CharField(max_length=500)
    is_on = models.BooleanField(default=True)
    submission = models.UUIDField(
        editable=False,
        help_text=_("Of the form that added it: a repeated submit adds no second."),
    )
    generation = models.PositiveIntegerField(default=1)
    pepper_id = models.CharField(max_length=16)
    # What signed before the last rotation, for as long as it still does.
    previous_pepper_id = models.CharField(max_length=16, blank=True)
    previous_until = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0, help_text=_("In a row."))
    failing_since = models.DateTimeField(null=True)
    switched_off_at = models.DateTimeField(
        null=True, help_text=_("By us, because it failed for days.")
    )
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("created_at", "pk")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "submission"], name="webhook_once_per_submission"
            ),
            models.UniqueConstraint(
                fields=["account", "url"],
                condition=Q(removed_at=None),
                name="webhook_once_per_address",
            ),
        ]

    def __str__(self) -> str:
        return gettext("webhook %(id)s of account %(account)s") % {
            "id": self.pk,
            "account": self.account_id,
        }

    @property
    def takes(self) -> bool:
        """Whether it is told of anything."""
        return self.is_on and self.removed_at is None

    def has_previous(self, *, at: datetime) -> bool:
        """Whether the secret before this one still signs, too."""
        return self.previous_until is not None and self.previous_until > at


class Alert(models.Model):
    """Something that an account is told of. The row is what makes it happen once.

    It comes with its deliveries in one transaction. One that only passed by (a higher one was
    reached at the same moment, or nobody wanted it) has none, and will not be told later.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    account = models.ForeignKey(Account, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=20, choices=Kind)
    occasion = models.CharField(
        max_length=80, help_text=_("What it is told of once: a week, a day of a key, a top-up.")
    )
    data = models.JSONField(default=dict)
    is_passed = models.BooleanField(default=False)
    occurred_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-occurred_at", "-pk")
        indexes: ClassVar = [
            models.Index(
                fields=["account", "-occurred_at", "-id"],
                condition=Q(is_passed=False),
                name="alert_log",
            ),
            models.Index(fields=["-occurred_at", "-id"], name="alert_newest"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "kind", "occasion"], name="alert_once"),
        ]

    def __str__(self) -> str:
        return gettext("%(kind)s of account %(account)s (%(occasion)s)") % {
            "kind": self.get_kind_display(),
            "account": self.account_id,
            "occasion": self.occasion,
        }


class Delivery(models.Model):
    """One alert on its way to one person or one server."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        # Mail only: the mail server may have it. Left so by a worker that died meanwhile.
        SENDING = "sending", _("Being sent")
        DELIVERED = "delivered", _("Delivered")
        FAILED = "failed", _("Failed")
        UNKNOWN = "unknown", _("Not known")
        DROPPED = "dropped", _("Not sent")

    alert = models.ForeignKey(Alert, models.CASCADE, related_name="deliveries")
    # One of the two; neither once the person is gone.
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    endpoint = models.ForeignKey(WebhookEndpoint, models.PROTECT, null=True, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0, help_text=_("Since it was last begun."))
    tries = models.PositiveIntegerField(default=0, help_text=_("All of them, resends included."))
    next_try_at = models.DateTimeField(default=timezone.now)
    claimed_until = models.DateTimeField(
        null=True, help_text=_("A worker sends it until then; if it dies, another one may.")
    )
    last_status = models.PositiveSmallIntegerField(
        null=True, help_text=_("What the server answered last.")
    )
    error = models.CharField(max_length=200, blank=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = _("deliveries")
        ordering = ("pk",)
        indexes: ClassVar = [
            models.Index(
                fields=["next_try_at"], condition=Q(state="waiting"), name="delivery_waiting"
            ),
            models.Index(
                fields=["claimed_until"], condition=Q(state="sending"), name="delivery_sending"
            ),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["alert", "user"], name="delivery_once_per_person"),
            models.UniqueConstraint(fields=["alert", "endpoint"], name="delivery_once_per_webhook"),
            models.CheckConstraint(
                condition=Q(user=None) | Q(endpoint=None), name="delivery_one_way"
            ),
        ]

    def __str__(self) -> str:
        return gettext("delivery %(id)s") % {"id": self.pk}

    @property
    def is_mail(self) -> bool:
        """Whether it goes to a person."""
        return self.endpoint_id is None

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.state not in {self.State.WAITING, self.State.SENDING}

    @property
    def why(self) -> str:
        """What went wrong, in the reader's language; empty where nothing did."""
        return reasons.in_words(self.error)

    def mark_delivered(self, *, at: datetime, status: int | None = None) -> None:
        """It has arrived."""
        self._end(self.State.DELIVERED, at=at, status=status)

    def mark_dropped(self, *, why: str, at: datetime) -> None:
        """Nobody is there any more who should have it."""
        self._end(self.State.DROPPED, at=at, error=why)

    def mark_unknown(self, *, why: str, at: datetime) -> None:
        """A mail that may have arrived; it is not sent again unless somebody says so."""
        self._end(self.State.UNKNOWN, at=at, error=why)

    def mark_failed(self, *, error: str, at: datetime, status: int | None = None) -> None:
        """Remember what went wrong, and when to try again: PAUSES, and then no more."""
        self.last_status = status
        self.error = error[:200]
        self.claimed_until = None
        # Who sends a test looks at it now.
        if self.attempts > len(PAUSES) or self.alert.kind == Kind.TEST:
            self.state, self.done_at = self.State.FAILED, at
        else:
            self.state, self.next_try_at = self.State.WAITING, at + PAUSES[self.attempts - 1]
        self.save(
            update_fields=[
                "state", "last_status", "error", "claimed_until", "next_try_at", "done_at",
            ]
        )  # fmt: skip

    def _end(
        self, state: State, *, at: datetime, status: int | None = None, error: str = ""
    ) -> None:
        self.state, self.done_at = state, at
        self.last_status, self.error, self.claimed_until = status, error[:200], None
        self.save(update_fields=["state", "done_at", "last_status", "error", "claimed_until"])


# After the first failure, the second, …; after the last one it has failed.
PAUSES = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=12),
    timedelta(hours=24),
)


class Watch(models.Model):
    """How an account stood when it was looked at: what has not changed is not looked at again."""

    account = models.OneToOneField(Account, models.PROTECT, related_name="+")
    since = models.DateTimeField()
    chats = models.BigIntegerField(help_text=_("Used since that hour, as far as drained."))

    class Meta:
        verbose_name_plural = "watches"

    def __str__(self) -> str:
        return f"{self.account_id}: {self.chats} chats since {self.since:%Y-%m-%d %H:00}"


class LastLook(models.Model):
    """When everybody was last looked at: one row, or none before the first time."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(condition=Q(id=1), name="last_look_once")]

    def __str__(self) -> str:
        return f"looked at {self.at:%Y-%m-%d %H:%M}"
