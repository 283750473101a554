"""Who an account is at Stripe, what plans cost there, and what was ordered and is subscribed."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, User
from billing import problems
from billing.subscriptions.booked import Booked
from quotas.models.plans import Plan

# Stripe's words for a period that waits for its payment.
UNPAID = frozenset({"past_due", "unpaid"})


class Interval(models.TextChoices):
    """How often a plan is paid for."""

    MONTH = "month", _("Month")
    YEAR = "year", _("Year")


class Customer(models.Model):
    """An account as Stripe knows it. The row comes first, so that there is one whoever asks."""

    account = models.OneToOneField(Account, models.PROTECT, related_name="customer")
    stripe_customer_id = models.CharField(max_length=255, null=True, unique=True)  # noqa: DJ001
    email = models.EmailField(
        help_text=_("Of whoever needed it first; at Stripe it may be another by now.")
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("customer at Stripe")
        verbose_name_plural = _("customers at Stripe")
        ordering = ("-created_at", "-pk")
        indexes: ClassVar = [models.Index(fields=["-created_at", "-id"], name="customer_newest")]

    def __str__(self) -> str:
        return str(self.account)


class PlanPrice(models.Model):
    """What a plan cost by the month or year, and Stripe's price of it. Amounts never change."""

    plan = models.ForeignKey(Plan, models.PROTECT, related_name="prices")
    interval = models.CharField(max_length=5, choices=Interval)
    amount_cents = models.PositiveIntegerField()
    currency = models.CharField(max_length=3, default="usd")
    stripe_price_id = models.CharField(max_length=255, unique=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("price at Stripe")
        verbose_name_plural = _("prices at Stripe")
        ordering = ("plan__position", "interval", "-created_at")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["plan", "interval", "amount_cents", "currency"], name="plan_price_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.plan} {self.interval}"


class PlanOrder(models.Model):
    """One checkout of a plan, written before the customer is sent to pay, with its terms then."""

    class Status(models.TextChoices):
        OPEN = "open", _("Waiting for payment")
        SUBSCRIBED = "subscribed", _("Subscribed")
        EXPIRED = "expired", _("Not paid in time")
        DISCARDED = "discarded", _("Replaced by another order")
        ABANDONED = "abandoned", _("Payment page never opened")

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    account = models.ForeignKey(Account, models.PROTECT, related_name="plan_orders")
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    plan = models.ForeignKey(Plan, models.PROTECT, related_name="+")
    plan_name = models.CharField(max_length=80)
    interval = models.CharField(max_length=5, choices=Interval)
    amount_cents = models.PositiveIntegerField(
        help_text=_("A period; of one seat where the plan is sold by the seat.")
    )
    currency = models.CharField(max_length=3, default="usd")
    seats = models.PositiveIntegerField(default=1, db_default=1)
    submission = models.UUIDField(help_text=_("Of the form: a double click makes one order."))
    status = models.CharField(max_length=10, choices=Status, default=Status.OPEN)
    stripe_session_id = models.CharField(max_length=255, null=True, unique=True)  # noqa: DJ001
    checkout_url = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    opened_at = models.DateTimeField(
        null=True, help_text=_("When Stripe was last asked for a payment page.")
    )
    looked_at = models.DateTimeField(
        null=True, help_text=_("When a page last asked Stripe about it; the next one waits.")
    )
    ask_at = models.DateTimeField(
        default=timezone.now,
        db_default=Now(),
        help_text=_("When the sweep asks Stripe about it, while it is open."),
    )
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-created_at", "-pk")
        indexes: ClassVar = [
            models.Index(fields=["account", "-created_at"], name="plan_order_of_account"),
            models.Index(fields=["-created_at", "-id"], name="plan_order_newest"),
            models.Index(fields=["ask_at"], condition=Q(status="open"), name="plan_order_open"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "submission"], name="plan_order_once_per_submission"
            ),
            # Two pages that can be paid are two subscriptions.
            models.UniqueConstraint(
                fields=["account"], condition=Q(status="open"), name="plan_order_one_open"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan_name} / {self.account}"

    @property
    def is_open(self) -> bool:
        """Whether it may still be paid."""
        return self.status == self.Status.OPEN

    @property
    def booked(self) -> Booked:
        """What was ordered."""
        return Booked(self.plan, self.seats)

    @property
    def total_cents(self) -> int:
        """What a period costs, of all seats together."""
        return self.amount_cents * self.seats

    def end(self, status: Status, *, at: datetime) -> None:
        """Bring a locked order that is open to its end."""
        self.status, self.ended_at = status, at
        self.save(update_fields=["status", "ended_at"])


class SubscriptionManager(models.Manager["Subscription"]):
    """Finds subscriptions."""

    def alarms(self) -> models.QuerySet[Subscription]:
        """Those that wait for a person."""
        return self.exclude(problem="").filter(ended_at=None)

    def of(self, account: Account) -> Subscription | None:
        """The one that an account has now; of several, the newest."""
        living = self.filter(account=account, ended_at=None).exclude(
            status__in=("incomplete", "incomplete_expired")
        )
        return living.select_related("plan").order_by("-created_at", "-pk").first()


class Subscription(models.Model):
    """A subscription as Stripe described it when it was last asked. Stripe is who knows."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="subscriptions")
    stripe_subscription_id = models.CharField(max_length=255, unique=True)
    plan = models.ForeignKey(
        Plan,
        models.PROTECT,
        null=True,
        related_name="+",
        help_text=_("Of the next period; empty where the price is of none of ours."),
    )
    interval = models.CharField(max_length=5, choices=Interval)
    amount_cents = models.PositiveIntegerField(help_text=_("A period, of all seats together."))
    currency = models.CharField(max_length=3, default="usd")
    quantity = models.PositiveIntegerField(default=1)
    status = models.CharField(max_length=20, help_text=_("In Stripe’s words."))
    starts_at = models.DateTimeField(help_text=_("Of the period that it is in."))
    renews_at = models.DateTimeField(help_text=_("When that period ends."))
    is_ending = models.BooleanField(
        default=False, help_text=_("It was cancelled and ends with its period.")
    )
    is_changing = models.BooleanField(
        default=False, help_text=_("A change of it waits for its payment.")
    )
    is_taxed = models.BooleanField(
        default=False, db_default=False, help_text=_("Taxes are charged on top of the amount.")
    )
    is_discounted = models.BooleanField(
        default=False, db_default=False, help_text=_("A discount is taken off the amount.")
    )
    pay_url = models.TextField(blank=True, help_text=_("Where the invoice is paid that is open."))
    ended_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(help_text=_("When it was begun at Stripe."))
    asked_at = models.DateTimeField(help_text=_("When Stripe was last asked about it."))
    ask_at = models.DateTimeField(help_text=_("When the sweep asks Stripe again."))
    problem = models.CharField(max_length=200, blank=True, default="")

    objects: ClassVar[SubscriptionManager] = SubscriptionManager()

    class Meta:
        ordering = ("-created_at", "-pk")
        indexes: ClassVar = [
            models.Index(fields=["account", "-created_at"], name="subscription_of_account"),
            models.Index(fields=["-created_at", "-id"], name="subscription_newest"),
            models.Index(
                fields=["ask_at"], condition=Q(ended_at__isnull=True), name="subscription_living"
            ),
            models.Index(
                fields=["account"],
                condition=~Q(problem="") & Q(ended_at__isnull=True),
                name="subscription_alarm",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan or '?'} / {self.account}"

    @property
    def problem_in_words(self) -> str:
        """What is wrong with it, in the reader's language; empty where nothing is."""
        return problems.in_words(self.problem)

    @property
    def booked(self) -> Booked | None:
        """What its next period is of; None where its price is of no plan of ours."""
        return None if self.plan is None else Booked.of(self.plan, self.quantity)

    @property
    def is_unpaid(self) -> bool:
        """Whether its last period waits for its payment."""
        return self.status in UNPAID

    @property
    def holder(self) -> str:
        """What the dated plans name that it pays for."""
        return f"subscription:{self.stripe_subscription_id}"
