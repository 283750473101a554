"""What is sold, what was bought, and what Stripe told us."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID, uuid4

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Account, User
from accounts.names import NameField, name_check

# Stripe takes no less in US dollars.
LEAST_PRICE_CENTS = 50


class Product(models.Model):
    """Something to buy once: a boost or credits."""

    class Kind(models.TextChoices):
        BOOST = "boost"
        CREDITS = "credits"

    slug = models.SlugField(unique=True)
    name = NameField(longest=80, max_length=80)
    summary = models.CharField(max_length=200, blank=True)
    kind = models.CharField(max_length=10, choices=Kind)
    price_cents = models.PositiveIntegerField(
        validators=[MinValueValidator(LEAST_PRICE_CENTS), MaxValueValidator(100_000_00)]
    )
    chats = models.PositiveIntegerField(default=0, help_text="Of a boost.")
    valid_days = models.PositiveSmallIntegerField(default=0, help_text="Of a boost: days of 24 h.")
    credits = models.PositiveIntegerField(default=0, help_text="1 credit is 1 US cent.")
    position = models.PositiveSmallIntegerField(default=0)
    is_active = models.BooleanField("on sale", default=True)

    class Meta:
        ordering = ("position", "price_cents")
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=(
                    Q(kind="boost", chats__gte=1, valid_days__gte=1, credits=0)
                    | Q(kind="credits", credits__gte=1, chats=0, valid_days=0)
                ),
                name="product_gives_one_thing",
                violation_error_message=(
                    "A boost needs chats and days and gives no credits; "
                    "credits need credits and give no chats or days."
                ),
            ),
            models.CheckConstraint(
                condition=Q(price_cents__gte=LEAST_PRICE_CENTS), name="product_price_payable"
            ),
            name_check("product_name_clean"),
        ]

    # Of the form that buys it, on one page; see billing.views.
    submission: UUID | None = None

    def __str__(self) -> str:
        return self.name


class Purchase(models.Model):
    """One checkout. Written before the customer is sent to pay, with the terms of that moment."""

    class Status(models.TextChoices):
        PENDING = "pending", "Waiting for payment"
        PROCESSING = "processing", "Payment on its way"
        PAID = "paid", "Paid"
        FAILED = "failed", "Payment failed"
        EXPIRED = "expired", "Not paid in time"

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    account = models.ForeignKey(Account, models.PROTECT, related_name="purchases")
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    product = models.ForeignKey(Product, models.PROTECT, related_name="+")
    product_name = models.CharField(max_length=80)
    kind = models.CharField(max_length=10, choices=Product.Kind)
    amount_cents = models.PositiveIntegerField()
    currency = models.CharField(max_length=3, default="usd")
    chats = models.PositiveIntegerField(default=0)
    valid_days = models.PositiveSmallIntegerField(default=0)
    credits = models.PositiveIntegerField(default=0)
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    submission = models.UUIDField(help_text="Of the form: a double click makes one purchase.")
    stripe_session_id = models.CharField(max_length=255, null=True, unique=True)  # noqa: DJ001
    checkout_url = models.TextField(blank=True)
    problem = models.CharField(
        max_length=200, blank=True, help_text="Why a payment was not accepted as it is."
    )
    created_at = models.DateTimeField(default=timezone.now)
    paid_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-created_at",)
        indexes: ClassVar = [models.Index(fields=["account", "-created_at"])]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "submission"], name="purchase_once_per_submission"
            ),
            models.CheckConstraint(
                condition=Q(status="paid", paid_at__isnull=False)
                | (~Q(status="paid") & Q(paid_at__isnull=True)),
                name="purchase_paid_at_a_moment",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.product_name} for {self.account}"

    @property
    def is_open(self) -> bool:
        """Whether a payment may still come."""
        return self.status in {self.Status.PENDING, self.Status.PROCESSING}

    @property
    def source_ref(self) -> str:
        """What the grant names as its source: one purchase, one grant."""
        return f"purchase:{self.pk}"

    def expires_at(self, *, at: datetime) -> datetime:
        """When a boost that begins at a moment ends."""
        return at + timedelta(days=self.valid_days)

    def mark(self, status: Status, *, at: datetime) -> None:
        """Move to a status; only an open purchase moves, and a paid one stays paid."""
        self.status = status
        self.paid_at = at if status == self.Status.PAID else None
        self.save(update_fields=["status", "paid_at"])


class StripeEvent(models.Model):
    """One event that Stripe delivered, at least once. The unique id is the idempotency."""

    event_id = models.CharField(max_length=255, unique=True)
    type = models.CharField(max_length=120)
    payload = models.JSONField()
    received_at = models.DateTimeField(default=timezone.now)
    handled_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    retry_at = models.DateTimeField(default=timezone.now)
    error = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("-received_at",)
        indexes: ClassVar = [
            models.Index(
                fields=["retry_at"], condition=Q(handled_at=None), name="stripe_event_unhandled"
            )
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"

    def mark_handled(self, *, at: datetime) -> None:
        """Remember that nothing more is to be done."""
        self.handled_at = at
        self.error = ""
        self.save(update_fields=["handled_at", "error"])

    def mark_failed(self, *, error: str, at: datetime) -> None:
        """Remember what went wrong, and when to try again: 10 s, 20 s, … at most an hour."""
        self.attempts += 1
        self.error = error[:200]
        self.retry_at = at + timedelta(seconds=min(3600, 10 * 2 ** min(self.attempts - 1, 9)))
        self.save(update_fields=["attempts", "error", "retry_at"])
