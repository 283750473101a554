"""What is written down while money is watched: refunds, checks of the books, and differences."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts import money
from accounts.models import Account, User
from billing import problems

if TYPE_CHECKING:
    from billing.stripe_client.refunds import MadeRefund


class Refund(models.Model):
    """Money that staff give back through Stripe. Written before Stripe is asked, and never twice.

    Its id is part of what Stripe is asked by, so that a call whose answer was lost is repeated.
    """

    class Status(models.TextChoices):
        PENDING = "pending", _("On its way")
        SUCCEEDED = "succeeded", _("Returned")
        FAILED = "failed", _("Came back to us")
        REFUSED = "refused", _("Refused by Stripe")

    purchase = models.ForeignKey("billing.Purchase", models.PROTECT, related_name="refunds")
    stripe_session_id = models.CharField(
        max_length=255,
        db_index=True,
        help_text=_("Whose payment is returned; not always the purchase’s own."),
    )
    amount_cents = models.PositiveIntegerField()
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=200)
    by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    submission = models.UUIDField(
        default=uuid4, unique=True, help_text=_("Of the form: a double click makes one refund.")
    )
    ends_problem = models.BooleanField(
        default=False, help_text=_("The problem of the purchase ends once Stripe has taken it.")
    )
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    error = models.CharField(max_length=200, blank=True)
    stripe_refund_id = models.CharField(max_length=255, null=True, unique=True)  # noqa: DJ001
    created_at = models.DateTimeField(default=timezone.now)
    asked_at = models.DateTimeField(
        null=True, help_text=_("When Stripe was first asked for it; it may have heard.")
    )
    answered_at = models.DateTimeField(
        null=True, help_text=_("When Stripe’s first answer was written down.")
    )
    ask_at = models.DateTimeField(
        default=timezone.now, help_text=_("When the sweep asks Stripe about it, while it is open.")
    )

    class Meta:
        ordering = ("-created_at", "-pk")
        indexes: ClassVar = [
            models.Index(fields=["ask_at"], condition=Q(status="pending"), name="refund_open"),
            models.Index(fields=["-created_at", "-id"], name="refund_newest"),
            models.Index(fields=["status", "-created_at", "-id"], name="refund_of_status"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(amount_cents__gte=1), name="refund_of_something"),
        ]

    def __str__(self) -> str:
        return gettext("%(amount)s of %(purchase)s") % {
            "amount": self.amount,
            "purchase": self.purchase,
        }

    @property
    def amount(self) -> str:
        """As people read it."""
        return money.amount(self.amount_cents, self.currency)

    @property
    def error_in_words(self) -> str:
        """Why it was refused or came back, in the reader's language."""
        return problems.of_a_refund(self.error)

    @property
    def goes_back(self) -> bool:
        """Whether its money went back, is going, or may be."""
        return self.status in {self.Status.PENDING, self.Status.SUCCEEDED}

    def learn(self, made: MadeRefund, *, at: datetime) -> None:
        """Take what Stripe says of it, of a locked row."""
        self.stripe_refund_id = made.refund_id
        self.answered_at = self.answered_at or at
        if made.status == "failed":
            self.status, self.error = self.Status.FAILED, "Stripe says that it failed"
        elif made.status == "canceled":
            self.status, self.error = self.Status.FAILED, "Stripe says that it was canceled"
        elif made.status == "succeeded":
            self.status, self.error = self.Status.SUCCEEDED, ""
        else:
            self.status, self.error = self.Status.PENDING, ""
        self.save(update_fields=["stripe_refund_id", "answered_at", "status", "error"])

    def mark_refused(self, error: str) -> None:
        """Stripe does not do it, and did not."""
        self.status, self.error = self.Status.REFUSED, error[:200]
        self.save(update_fields=["status", "error"])

    def claim(self, *, at: datetime) -> bool:
        """Take its turn: the next one comes after as long as it is old, at most an hour."""
        wait = min(max(at - self.created_at, timedelta(minutes=1)), timedelta(hours=1))
        rows = Refund.objects.filter(pk=self.pk, status=self.Status.PENDING, ask_at__lte=at)
        return bool(rows.update(ask_at=at + wait))


class BookCheckManager(models.Manager["BookCheck"]):
    """Finds checks."""

    def last_good(self, kind: str) -> BookCheck | None:
        """The newest that looked at everything it was to look at."""
        good = self.filter(kind=kind, error="").exclude(finished_at=None)
        return good.order_by("-until", "-pk").first()


class BookCheck(models.Model):
    """One look at our books beside Stripe's or the gate's: a reconciliation or a comparison."""

    class Kind(models.TextChoices):
        RECONCILIATION = "reconciliation", _("Reconciliation with Stripe")
        COMPARISON = "comparison", _("Comparison of the books")

    kind = models.CharField(max_length=20, choices=Kind)
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)
    since = models.DateTimeField(help_text=_("What is older is not looked at."))
    until = models.DateTimeField(help_text=_("What is newer is left to the next one."))
    claimed_until = models.DateTimeField(
        null=True, help_text=_("A worker is at it until then; if it dies, another one goes on.")
    )
    positions = models.JSONField(
        default=dict, help_text=_("How far it has come, of each source; then it goes on there.")
    )
    counts = models.JSONField(default=dict)
    untold_at = models.DateTimeField(
        null=True, help_text=_("The newest payment that it found and no event had told of.")
    )
    error = models.CharField(max_length=200, blank=True)

    objects: ClassVar[BookCheckManager] = BookCheckManager()

    class Meta:
        verbose_name = _("check of the books")
        verbose_name_plural = _("checks of the books")
        ordering = ("-started_at", "-pk")
        indexes: ClassVar = [
            models.Index(fields=["-started_at", "-id"], name="book_check_newest"),
            models.Index(fields=["kind", "-started_at", "-id"], name="book_check_of_kind"),
            models.Index(
                fields=["kind", "-until"],
                condition=Q(error="") & Q(finished_at__isnull=False),
                name="book_check_good",
            ),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["kind"], condition=Q(finished_at=None), name="book_check_one_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.started_at:%Y-%m-%d %H:%M}"

    def claim(self, *, at: datetime, until: datetime) -> bool:
        """Take it from every other worker for a while; False when it is over or taken."""
        free = Q(claimed_until=None) | Q(claimed_until__lte=at)
        rows = BookCheck.objects.filter(free, pk=self.pk, finished_at=None)
        return bool(rows.update(claimed_until=until))

    def keep_place(self, source: str, place: str | None, *, claimed_until: datetime) -> None:
        """Remember how far it has come with a source, None being its end, and go on."""
        self.positions = {**self.positions, source: place}
        self.claimed_until = claimed_until
        self.save(update_fields=["positions", "counts", "untold_at", "claimed_until"])

    def let_go(self, *, error: str) -> None:
        """Leave it to whoever goes on later."""
        self.claimed_until, self.error = None, error[:200]
        self.save(update_fields=["claimed_until", "error", "counts", "untold_at"])

    def finish(self, *, at: datetime, error: str = "") -> None:
        """It has looked at everything, or is given up."""
        self.finished_at, self.claimed_until, self.error = at, None, error[:200]
        self.save(update_fields=["finished_at", "claimed_until", "error", "counts", "untold_at"])

    def count(self, name: str, number: int = 1) -> None:
        """Add to what it found; kept with its place."""
        self.counts = {**self.counts, name: self.counts.get(name, 0) + number}


class DifferenceManager(models.Manager["Difference"]):
    """Finds differences."""

    def open(self) -> models.QuerySet[Difference]:
        """Those that were there at the last look."""
        return self.filter(resolved_at=None)


class Difference(models.Model):
    """Two books that do not say the same. It resolves itself when they do again."""

    class Kind(models.TextChoices):
        CREDITS_GRANTED = "credits_granted", _("Credits at the gate")
        CREDITS_SPENT = "credits_spent", _("Credits spent")
        BOOST_GRANTED = "boost_granted", _("Boost at the gate")
        BOOST_SPENT = "boost_spent", _("Chats of a boost spent")
        NOT_GRANTED = "not_granted", _("Paid and not granted")
        NOT_PAID = "not_paid", _("Granted and not paid")
        AMOUNT = "amount", _("Amount at Stripe")
        RETURNED = "returned", _("Returned at Stripe")
        NOT_KNOWN = "not_known", _("Paid at Stripe, not here")

    kind = models.CharField(max_length=20, choices=Kind)
    account = models.ForeignKey(Account, models.PROTECT, null=True, related_name="+")
    purchase = models.ForeignKey("billing.Purchase", models.PROTECT, null=True, related_name="+")
    subject = models.CharField(
        max_length=255, db_index=True, help_text=_("What it is about, by its number.")
    )
    expected = models.CharField(max_length=80)
    found = models.CharField(max_length=80)
    first_seen_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    resolved_at = models.DateTimeField(null=True)

    objects: ClassVar[DifferenceManager] = DifferenceManager()

    class Meta:
        ordering = ("-first_seen_at", "-pk")
        indexes: ClassVar = [
            models.Index(fields=["-first_seen_at", "-id"], name="difference_newest"),
            models.Index(fields=["kind", "-first_seen_at", "-id"], name="difference_of_kind"),
            models.Index(
                fields=["-first_seen_at", "-id"],
                condition=Q(resolved_at=None),
                name="difference_open",
            ),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["kind", "subject"],
                condition=Q(resolved_at=None),
                name="difference_once_while_open",
            ),
        ]

    def __str__(self) -> str:
        return gettext("%(kind)s: %(found)s instead of %(expected)s") % {
            "kind": self.get_kind_display(),
            "found": self.found,
            "expected": self.expected,
        }

    def see_again(self, *, expected: str, found: str, at: datetime) -> None:
        """It is still there."""
        self.expected, self.found, self.last_seen_at = expected, found, at
        self.save(update_fields=["expected", "found", "last_seen_at"])

    def resolve(self, *, at: datetime) -> None:
        """It is not there any more."""
        self.resolved_at = at
        self.save(update_fields=["resolved_at"])

    @property
    def what_to_do(self) -> str:
        """A sentence for whoever looks after it."""
        return str(_WHAT_TO_DO[self.kind])


_TELL_THE_GATE = _(
    "The gate grants something else than the ledger says. Run manage.py rebuild_gate: it loads "
    "every account again from PostgreSQL, while the site runs."
)
_LOOK_AT_THE_DRAIN = _(
    "The gate counted something else than was drained. Look whether rows were changed by hand or "
    "Valkey was restored; then run manage.py rebuild_gate, after which PostgreSQL counts."
)
_WHAT_TO_DO: dict[Any, Any] = {
    Difference.Kind.CREDITS_GRANTED: _TELL_THE_GATE,
    Difference.Kind.CREDITS_SPENT: _LOOK_AT_THE_DRAIN,
    Difference.Kind.BOOST_GRANTED: _TELL_THE_GATE,
    Difference.Kind.BOOST_SPENT: _LOOK_AT_THE_DRAIN,
    Difference.Kind.NOT_GRANTED: _(
        "The purchase is paid and nothing was granted for it. Grant the same boost or credits on "
        "the page of the account, or return the payment on the page of the purchase."
    ),
    Difference.Kind.NOT_PAID: _(
        "The purchase counts as paid here, and Stripe says that it is not. Look at its session in "
        "Stripe’s dashboard; if nothing was paid, take what it gave on the page of the account."
    ),
    Difference.Kind.AMOUNT: _(
        "Stripe took another amount than the purchase says. Look at its session in Stripe’s "
        "dashboard, and return what was too much on the page of the purchase."
    ),
    Difference.Kind.RETURNED: _(
        "Another amount had gone back at Stripe than was known here; it is brought up to date. If "
        "this comes again, look whether Stripe sends the events of refunds and disputes."
    ),
    Difference.Kind.NOT_KNOWN: _(
        "Stripe has a payment for this purchase, which is not paid here. Look at the purchase: it "
        "needs a person, or was given up. Ask Stripe again, grant it, or return the payment."
    ),
}
