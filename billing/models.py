"""What is sold, what was bought, and what Stripe told us."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import uuid4

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

# Django finds the models of an app here.
import billing.subscriptions.models
import billing.top_ups.models  # noqa: F401
from accounts import currencies
from accounts.models import Account, User
from accounts.names import NameField, name_check
from billing import problems, terms
from billing.watched import BookCheck, Difference, Refund

__all__ = ["BookCheck", "Difference", "Product", "Purchase", "Refund", "StripeEvent"]

# In any currency; of some Stripe takes no less than more (`accounts.currencies`).
LEAST_PRICE_CENTS = 50
MOST_PRICE_CENTS = 100_000_00


def least_price_cents() -> int:
    """What a price must come to in the currency that everything is sold in."""
    return max(LEAST_PRICE_CENTS, currencies.LEAST[settings.STRIPE_CURRENCY])


class ProductManager(models.Manager["Product"]):
    """Finds what is on sale."""

    def with_a_price(self) -> models.QuerySet[Product]:
        """What is on sale at a price of its own."""
        return self.filter(is_active=True, most_cents=0)

    def of_any_amount(self) -> Product | None:
        """Credits for an amount that the customer chooses: at most one is offered."""
        return self.filter(is_active=True, most_cents__gt=0).first()


class Product(models.Model):
    """Something to buy once: a boost or credits."""

    class Kind(models.TextChoices):
        BOOST = "boost", _("Boost")
        CREDITS = "credits", _("Credits")

    slug = models.SlugField(unique=True)
    name = NameField(longest=80, max_length=80)
    summary = models.CharField(max_length=200, blank=True)
    kind = models.CharField(max_length=10, choices=Kind)
    price_cents = models.PositiveIntegerField(
        validators=[MinValueValidator(LEAST_PRICE_CENTS), MaxValueValidator(MOST_PRICE_CENTS)]
    )
    chats = models.PositiveIntegerField(default=0, help_text=_("Of a boost."))
    valid_days = models.PositiveSmallIntegerField(
        default=0, help_text=_("Of a boost: days of 24 h.")
    )
    credits = models.PositiveIntegerField(default=0, help_text=_("1 credit is 1 US cent."))
    least_cents = models.PositiveIntegerField(
        _("least amount"),
        default=0,
        db_default=0,
        validators=[MaxValueValidator(MOST_PRICE_CENTS)],
        help_text=_(
            "Of credits whose amount the customer chooses: the least they may pay. "
            "Price and credits then say how many credits an amount gives."
        ),
    )
    most_cents = models.PositiveIntegerField(
        _("most amount"),
        default=0,
        db_default=0,
        validators=[MaxValueValidator(MOST_PRICE_CENTS)],
        help_text=_("The most they may pay; 0 is a fixed price."),
    )
    position = models.PositiveSmallIntegerField(default=0)
    is_active = models.BooleanField(_("on sale"), default=True)

    objects: ClassVar[ProductManager] = ProductManager()

    class Meta:
        ordering = ("position", "price_cents")
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=(
                    Q(kind="boost", chats__gte=1, valid_days__gte=1, credits=0)
                    | Q(kind="credits", credits__gte=1, chats=0, valid_days=0)
                ),
                name="product_gives_one_thing",
                violation_error_message=_(
                    "A boost needs chats and days and gives no credits; "
                    "credits need credits and give no chats or days."
                ),
            ),
            models.CheckConstraint(
                condition=Q(price_cents__gte=LEAST_PRICE_CENTS), name="product_price_payable"
            ),
            models.CheckConstraint(
                condition=(
                    Q(least_cents=0, most_cents=0)
                    | Q(
                        kind="credits",
                        least_cents__gte=LEAST_PRICE_CENTS,
                        least_cents__lte=F("price_cents"),
                        most_cents__gte=F("price_cents"),
                    )
                ),
                name="product_amount_is_chosen_or_not",
                violation_error_message=_(
                    "An amount that customers choose is of credits, and the price lies between "
                    "the least and the most; without one, both are 0."
                ),
            ),
            name_check("product_name_clean"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def terms(self) -> str:
        """What it costs and gives, as forms carry it: whoever buys means what they were shown."""
        told = [self.price_cents, self.chats, self.valid_days, self.credits]
        if self.is_open_amount:
            told += [self.least_cents, self.most_cents]
        return terms.written(told, currency=settings.STRIPE_CURRENCY)

    @property
    def is_open_amount(self) -> bool:
        """Whether the customer says how much to pay."""
        return self.most_cents > 0

    def credits_for(self, cents: int) -> int:
        """What an amount gives, at the rate of the price; rounded down."""
        return self.credits * cents // self.price_cents


class PurchaseManager(models.Manager["Purchase"]):
    """Finds purchases."""

    def alarms(self) -> models.QuerySet[Purchase]:
        """The purchases that wait for a person."""
        return self.exclude(problem="").filter(resolved_at=None)


class Purchase(models.Model):
    """One checkout. Written before the customer is sent to pay, with the terms of that moment."""

    class Status(models.TextChoices):
        PENDING = "pending", _("Waiting for payment")
        PROCESSING = "processing", _("Payment on its way")
        PAID = "paid", _("Paid")
        FAILED = "failed", _("Payment failed")
        EXPIRED = "expired", _("Not paid in time")
        ABANDONED = "abandoned", _("Payment page never opened")
        DISCARDED = "discarded", _("Discarded by the customer")
        REVIEW = "review", _("Needs a person")
        CLOSED = "closed", _("Closed by hand")

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
    submission = models.UUIDField(help_text=_("Of the form: a double click makes one purchase."))
    stripe_session_id = models.CharField(max_length=255, null=True, unique=True)  # noqa: DJ001
    checkout_url = models.TextField(blank=True)
    is_top_up = models.BooleanField(
        default=False,
        db_default=False,
        help_text=_("It was bought by itself, with a saved card and without a payment page."),
    )
    stripe_payment_intent_id = models.CharField(  # noqa: DJ001
        max_length=255, null=True, unique=True
    )
    problem = models.CharField(
        max_length=200, blank=True, help_text=_("Why a payment was not accepted as it is.")
    )
    received_cents = models.PositiveIntegerField(
        null=True, help_text=_("What arrived at Stripe, where it is not what was ordered.")
    )
    received_currency = models.CharField(max_length=3, blank=True, default="", db_default="")
    discount_cents = models.PositiveIntegerField(
        default=0, db_default=0, help_text="What a promotion code took off the price."
    )
    tax_cents = models.PositiveIntegerField(
        default=0, db_default=0, help_text="What came on top of the price."
    )
    invoice_url = models.TextField(
        blank=True, default="", db_default="", help_text="Stripe’s invoice of the payment."
    )
    invoice_pdf_url = models.TextField(blank=True, default="", db_default="")
    receipt_url = models.TextField(
        blank=True, default="", db_default="", help_text="Stripe’s receipt of the payment."
    )
    returned_cents = models.PositiveIntegerField(
        default=0, db_default=0, help_text="What went back since, by refunds and disputes."
    )
    returned_asked_at = models.DateTimeField(
        null=True, help_text="When Stripe was last asked what went back."
    )
    returned_at = models.DateTimeField(null=True, help_text="When more of it went back.")
    created_at = models.DateTimeField(default=timezone.now)
    paid_at = models.DateTimeField(null=True)
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
    resolved_at = models.DateTimeField(
        null=True, help_text=_("When a person dealt with the problem.")
    )
    resolved_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    resolution = models.CharField(max_length=200, blank=True, default="", db_default="")

    objects: ClassVar[PurchaseManager] = PurchaseManager()

    class Meta:
        ordering = ("-created_at", "-pk")
        indexes: ClassVar = [
            models.Index(fields=["account", "-created_at"]),
            models.Index(
                fields=["ask_at"],
                condition=Q(status__in=["pending", "processing"]),
                name="purchase_open",
            ),
            models.Index(
                fields=["created_at"],
                condition=~Q(problem="") & Q(resolved_at=None),
                name="purchase_alarm",
            ),
            models.Index(fields=["-created_at", "-id"], name="purchase_newest"),
            models.Index(
                fields=["paid_at"], condition=Q(paid_at__isnull=False), name="purchase_paid"
            ),
            models.Index(fields=["status", "-created_at", "-id"], name="purchase_of_status"),
            models.Index(
                fields=["-created_at", "-id"],
                condition=~Q(problem="") & Q(resolved_at__isnull=False),
                name="purchase_resolved",
            ),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "submission"], name="purchase_once_per_submission"
            ),
            # One at a time, whoever asks for another.
            models.UniqueConstraint(
                fields=["account"],
                condition=Q(is_top_up=True, status__in=["pending", "processing"]),
                name="purchase_one_open_top_up",
            ),
            models.CheckConstraint(
                condition=Q(status="paid", paid_at__isnull=False)
                | (~Q(status="paid") & Q(paid_at__isnull=True)),
                name="purchase_paid_at_a_moment",
            ),
        ]

    def __str__(self) -> str:
        return gettext("%(thing)s for %(account)s") % {
            "thing": self.product_name,
            "account": self.account,
        }

    @property
    def is_open(self) -> bool:
        """Whether a payment may still come."""
        return self.status in {self.Status.PENDING, self.Status.PROCESSING}

    @property
    def ended_unpaid(self) -> bool:
        """Whether it ended without a payment, as far as we knew."""
        return self.status in {
            self.Status.FAILED,
            self.Status.EXPIRED,
            self.Status.ABANDONED,
            self.Status.DISCARDED,
        }

    @property
    def is_unpaid(self) -> bool:
        """Whether nothing was paid for it, as far as we know; it is no debt."""
        return self.status == self.Status.PENDING or self.ended_unpaid

    @property
    def problem_in_words(self) -> str:
        """What the problem is, in the reader's language; empty where there is none."""
        return problems.in_words(self.problem)

    @property
    def is_alarm(self) -> bool:
        """Whether a person has to look at it."""
        return bool(self.problem) and self.resolved_at is None

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

    def note_problem(
        self, problem: str, *, received_cents: int | None = None, received_currency: str = ""
    ) -> None:
        """Raise an alarm, again if an earlier one was dealt with; beside one that is still open."""
        self.problem = (f"{problem}; {self.problem}" if self.is_alarm else problem)[:200]
        self.received_cents = received_cents
        self.received_currency = received_currency
        self.resolved_at = None
        self.save(update_fields=["problem", "received_cents", "received_currency", "resolved_at"])

    def note_payment(
        self,
        *,
        paid_cents: int,
        discount_cents: int,
        tax_cents: int,
        receipt_url: str,
        invoice_url: str,
        invoice_pdf_url: str,
    ) -> None:
        """Remember what was paid, with a discount or tax in it, and Stripe's papers about it."""
        if paid_cents != self.amount_cents:
            self.received_cents, self.received_currency = paid_cents, self.currency
        self.discount_cents, self.tax_cents = discount_cents, tax_cents
        self.receipt_url = receipt_url
        self.invoice_url, self.invoice_pdf_url = invoice_url, invoice_pdf_url
        self.save(
            update_fields=[
                "received_cents", "received_currency", "discount_cents", "tax_cents",
                "receipt_url", "invoice_url", "invoice_pdf_url",
            ]
        )  # fmt: skip

    def note_returned(self, cents: int, *, asked_at: datetime) -> bool:
        """Remember what went back, of a locked row; False where somebody asked Stripe later."""
        if self.returned_asked_at is not None and self.returned_asked_at > asked_at:
            return False
        if cents > self.returned_cents:
            self.returned_at = asked_at
        self.returned_cents, self.returned_asked_at = cents, asked_at
        self.save(update_fields=["returned_cents", "returned_asked_at", "returned_at"])
        return True

    @property
    def paid_through(self) -> str:
        """The session that pays for it at Stripe, or the payment where a saved card does."""
        return self.stripe_session_id or self.stripe_payment_intent_id or ""

    @property
    def has_come(self) -> bool:
        """Whether money came for it, as far as we know: granted, or left to a person."""
        return self.status == self.Status.PAID or self.received_cents is not None

    @property
    def is_wholly_returned(self) -> bool:
        """Whether nothing of the payment is left with us."""
        return 0 < self.returned_cents >= self.came_cents

    @property
    def came_cents(self) -> int:
        """What was paid for what was given: as ordered, unless something else arrived."""
        return self.amount_cents if self.received_cents is None else self.received_cents

    @property
    def currency_of_payment(self) -> str:
        """In which money came; as ordered, unless something else arrived."""
        return self.received_currency or self.currency

    def mark_resolved(self, *, by: User | None, resolution: str, at: datetime) -> None:
        """Remember who dealt with the problem, when and how."""
        self.resolved_at, self.resolved_by, self.resolution = at, by, resolution
        self.save(update_fields=["resolved_at", "resolved_by", "resolution"])

    def refunds_that_go_back(self) -> list[Refund]:
        """What staff returned of its own payment, and what is on its way, the oldest first."""
        of_it = Refund.objects.filter(purchase=self, stripe_session_id=self.stripe_session_id or "")
        return list(of_it.filter(status__in=["pending", "succeeded"]).order_by("created_at", "pk"))

    def end_problem_by(self, refund: Refund, *, at: datetime) -> None:
        """The problem of a locked purchase ends with a refund that was made for that."""
        if refund.ends_problem and refund.goes_back and self.is_alarm:
            if self.status == self.Status.REVIEW:
                self.mark(self.Status.CLOSED, at=at)
            self.mark_resolved(by=refund.by, resolution=refund.reason, at=at)


# The id of what an event is about, as `payload` has it.
OBJECT_ID = KeyTextTransform("id", KeyTransform("object", KeyTransform("data", "payload")))


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
    claimed_until = models.DateTimeField(
        null=True, help_text=_("A worker handles it until then; if it dies, another one does.")
    )

    class Meta:
        ordering = ("-received_at", "-pk")
        indexes: ClassVar = [
            models.Index(
                fields=["retry_at"], condition=Q(handled_at=None), name="stripe_event_unhandled"
            ),
            models.Index(fields=["-received_at", "-id"], name="stripe_event_newest"),
            models.Index(fields=["type", "-received_at", "-id"], name="stripe_event_of_type"),
            models.Index(OBJECT_ID, name="stripe_event_of_object"),
            models.Index(
                fields=["-received_at", "-id"],
                condition=Q(handled_at__isnull=False) & ~Q(error=""),
                name="stripe_event_without_effect",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"

    def says(self, *names: str) -> Any:
        """What it says of the object that it is about, at a way of names; None where nothing is."""
        said: Any = self.payload
        for name in ("data", "object", *names):
            said = said.get(name) if isinstance(said, dict) else None
        return said

    @property
    def state(self) -> str:
        """What became of it: waiting, failed, handled or without_effect."""
        if self.handled_at is None:
            return "failed" if self.error else "waiting"
        return "without_effect" if self.error else "handled"

    def claim(self, *, at: datetime, until: datetime) -> bool:
        """Take it from every other worker for a while; False when it is done or taken.

        No lock is held meanwhile: handling it asks Stripe, which may take its time.
        """
        free = Q(claimed_until=None) | Q(claimed_until__lte=at)
        rows = StripeEvent.objects.filter(free, pk=self.pk, handled_at=None)
        return bool(rows.update(claimed_until=until))

    def let_go(self) -> None:
        """Leave it to whoever comes next."""
        self.claimed_until = None
        self.save(update_fields=["claimed_until"])

    def mark_handled(self, *, at: datetime, reason: str = "") -> None:
        """Remember that nothing more is to be done, and why if nothing could be."""
        self.handled_at = at
        self.error = reason[:200]
        self.claimed_until = None
        self.save(update_fields=["handled_at", "error", "claimed_until"])

    def mark_failed(self, *, error: str, at: datetime) -> None:
        """Remember what went wrong, and when to try again: 10 s, 20 s, … at most an hour."""
        self.attempts += 1
        self.error = error[:200]
        self.retry_at = at + timedelta(seconds=min(3600, 10 * 2 ** min(self.attempts - 1, 9)))
        self.claimed_until = None
        self.save(update_fields=["attempts", "error", "retry_at", "claimed_until"])
