"""Users sign in; accounts own keys, plan, boosts, credits and usage."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from accounts import budgets
from accounts.beginnings import beginnings_index
from accounts.names import NameField, name_check
from gate.store.hot_state import partition_of
from gate.terms.budget import NO_LIMITS, Budget
from gate.terms.key_text import new_handle
from gate.terms.names import mend_name

# After an account was closed. What it holds stays written down longer; nobody uses it again.
REOPENED_WITHIN = timedelta(days=30)


class UserManager(BaseUserManager["User"]):
    """Creates users together with their personal account."""

    use_in_migrations = False

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A user, with a personal account."""
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save()
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A user who may do everything in the admin."""
        return self.create_user(
            email, password, **{"is_staff": True, "is_superuser": True, **fields}
        )

    def get_by_natural_key(self, username: str | None) -> User:
        """The user with this e-mail address, whatever its case."""
        return self.get(email__iexact=username)


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in, by e-mail address."""

    email = models.EmailField(_("e-mail address"), unique=True)
    name = NameField(longest=120, blank=True)
    is_staff = models.BooleanField(
        _("staff"), default=False, help_text=_("May sign in to the admin site.")
    )
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Switch off instead of deleting a user.")
    )
    date_joined = models.DateTimeField(default=timezone.now, editable=False)
    has_first_password = models.BooleanField(
        default=False,
        # The release before this one knows nothing of it and may still add users.
        db_default=False,
        editable=False,
        help_text=_("Made at a start and shown there; nobody has chosen another yet."),
    )
    language = models.CharField(
        max_length=8,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="Chosen at the foot of a page, for every page and mail.",
    )
    browser_language = models.CharField(
        max_length=8,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="Of the last time they signed in: that of mails, while they choose none.",
    )

    session_generation = models.PositiveIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text="One more, and every session from before has ended.",
    )

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                Lower("email"),
                name="user_email_unique",
                violation_error_message=_("Somebody signs in with this e-mail address already."),
            ),
            name_check("user_name_clean", may_be_empty=True),
        ]
        indexes: ClassVar = [
            beginnings_index("email", name="user_email_begins"),
            beginnings_index("name", name="user_name_begins"),
            models.Index(fields=["date_joined"], name="user_joined"),
            # The few that the admin's filters look for.
            models.Index(fields=["email"], condition=models.Q(is_staff=True), name="user_staff"),
            models.Index(
                fields=["email"], condition=models.Q(is_superuser=True), name="user_superuser"
            ),
            models.Index(
                fields=["email"], condition=models.Q(is_active=False), name="user_inactive"
            ),
        ]

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, and open the personal account of a new user in the same transaction."""
        is_new = self._state.adding
        with transaction.atomic():
            super().save(*args, **kwargs)
            if is_new:
                Account.objects.open_personal(self)

    def set_password(self, raw_password: str | None) -> None:
        """Set a password, which is from now on one that somebody chose."""
        super().set_password(raw_password)
        self.has_first_password = False

    def begin_sessions_anew(self) -> None:
        """End every session that there is, wherever it is."""
        type(self).objects.filter(pk=self.pk).update(
            session_generation=models.F("session_generation") + 1
        )
        self.refresh_from_db(fields=["session_generation"])

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """What every session of theirs must hold; as Django makes it, until some were ended."""
        if not self.session_generation:
            made: str = super()._get_session_auth_hash(secret)  # type: ignore[misc]
            return made
        text = f"{self.session_generation}:{self.password}"
        return salted_hmac("accounts.sessions", text, secret=secret, algorithm="sha256").hexdigest()

    def choose_language(self, language: str) -> None:
        """Keep the language that the person chose, as LANGUAGES names it."""
        self.language = language
        self.save(update_fields=["language"])

    def note_browser_language(self, language: str) -> None:
        """Keep the language of the pages that they read."""
        if language != self.browser_language:
            self.browser_language = language
            self.save(update_fields=["browser_language"])

    def get_full_name(self) -> str:
        """What to call the user in a sentence."""
        return self.name or self.email

    def places(self) -> list[Membership]:
        """Their places in accounts that are open, with these: their own first, then by name."""
        open_ones = self.memberships.filter(account__closed_at=None)
        found = list(open_ones.select_related("account").order_by("pk"))
        own = next((place for place in found if place.account.is_personal), None)
        return sorted(
            found, key=lambda place: (place is not own, place.account.name.lower(), place.pk)
        )

    @property
    def personal_membership(self) -> Membership | None:
        """Their place in the account that came with them; None once they left it.

        An admin may have made them a member of somebody else's personal account besides.
        """
        own = self.memberships.filter(account__is_personal=True).select_related("account")
        return own.order_by("pk").first()

    @property
    def personal_account(self) -> Account:
        """The account that came with the user. Raises Account.DoesNotExist once they left it."""
        membership = self.personal_membership
        if membership is None:
            raise Account.DoesNotExist
        return membership.account


class AccountManager(models.Manager["Account"]):
    """Opens accounts."""

    def open_personal(self, user: User) -> Account:
        """The personal account of a new user, who owns it."""
        # An address may hold what no name may.
        local_part = user.email.partition("@")[0]
        name = user.name or mend_name(local_part, longest=120, parts=960, instead="Account")
        return self.open_for(user, name=name, is_personal=True)

    def open_for(self, owner: User, **fields: Any) -> Account:
        """An account with its owner: without anybody who may act it would have no access."""
        with transaction.atomic():
            account = self.create(**fields)
            Membership.objects.create(account=account, user=owner, role=Membership.Role.OWNER)
        return account


class Account(models.Model):
    """Who owns keys, plan, boosts, credits and usage. Users belong to it through memberships."""

    handle = models.CharField(
        max_length=8,
        unique=True,
        default=new_handle,
        editable=False,
        help_text=_("Stands in every key of the account and never changes."),
    )
    name = NameField(longest=120)
    is_personal = models.BooleanField(_("personal"), default=False, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    closed_at = models.DateTimeField(
        _("closed"), null=True, editable=False, help_text=_("Nobody may act for it since then.")
    )
    closed_by = models.ForeignKey(
        User,
        models.SET_NULL,
        null=True,
        related_name="+",
        editable=False,
        verbose_name=_("closed by"),
    )
    # What who joins from now on may use; members that there are have budgets of their own.
    member_daily_cap = models.PositiveIntegerField(null=True, blank=True)
    member_weekly_cap = models.PositiveIntegerField(null=True, blank=True)
    member_monthly_cap = models.PositiveIntegerField(null=True, blank=True)
    members = models.ManyToManyField(User, through="Membership", related_name="accounts")

    objects: ClassVar[AccountManager] = AccountManager()

    class Meta:
        constraints: ClassVar = [name_check("account_name_clean")]
        indexes: ClassVar = [
            beginnings_index("name", name="account_name_begins"),
            models.Index(fields=["created_at"], name="account_created"),
            models.Index(
                fields=["id"], condition=models.Q(is_personal=False), name="account_of_team"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.handle})"

    @property
    def new_budget(self) -> Budget:
        """What all keys of whoever joins may use together, as the gate knows it."""
        return Budget(
            a_day=self.member_daily_cap,
            a_week=self.member_weekly_cap,
            a_month=self.member_monthly_cap,
        )

    @property
    def partition_index(self) -> int:
        """Where the account lives in Valkey."""
        return partition_of(self.handle)

    @property
    def may_be_reopened_until(self) -> datetime | None:
        """Until when staff may undo that it was closed; None where it is open."""
        return None if self.closed_at is None else self.closed_at + REOPENED_WITHIN

    def may_be_reopened(self, *, at: datetime) -> bool:
        """Whether staff may still undo that it was closed."""
        until = self.may_be_reopened_until
        return until is not None and at < until


class RoleField(models.CharField):  # type: ignore[type-arg]
    """What somebody may do, as `accounts.roles` says.

    The release before writes "member", which has a name of its own now: it is read as that.
    """

    def from_db_value(self, value: str, *_more: object) -> str:
        """The role, by the word that it has now."""
        return "developer" if value == "member" else value


# Of members: they may use whatever the account has.
WITHOUT_BUDGET = models.Q(daily_cap=None, weekly_cap=None, monthly_cap=None)


class Membership(models.Model):
    """A user's place in an account."""

    class Role(models.TextChoices):
        OWNER = "owner", _("Owner")
        ADMIN = "admin", pgettext_lazy("role", "Admin")
        DEVELOPER = "developer", _("Developer")
        BILLING = "billing", pgettext_lazy("role", "Billing")
        VIEWER = "viewer", _("Viewer")

    account = models.ForeignKey(Account, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = RoleField(max_length=10, choices=Role)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    daily_cap = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text=_("Chats a day in UTC that all their keys may use; empty is no limit."),
    )
    weekly_cap = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text=_("Chats a week that all their keys may use; empty is no limit."),
    )
    monthly_cap = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text=_("Chats a calendar month that all their keys may use; empty is no limit."),
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "user"], name="membership_once"),
            models.CheckConstraint(
                condition=models.Q(
                    role__in=["owner", "admin", "developer", "billing", "viewer", "member"]
                ),
                name="membership_role_is_one",
            ),
        ]

    def __str__(self) -> str:
        return gettext("%(user)s in %(account)s as %(role)s") % {
            "user": self.user,
            "account": self.account,
            "role": self.get_role_display(),
        }

    @property
    def budget_in_words(self) -> str:
        """What all their keys may use together; blank where nothing limits it."""
        return " · ".join(budgets.in_words(self.budget))

    @property
    def has_budget(self) -> bool:
        """Whether they may use less than the account has."""
        return self.budget != NO_LIMITS

    @property
    def budget(self) -> Budget:
        """What all their keys may use together, as the gate knows it."""
        return Budget(a_day=self.daily_cap, a_week=self.weekly_cap, a_month=self.monthly_cap)


class Invitation(models.Model):
    """Somebody is asked, by mail, to become a member. Of its secret only the digest is kept."""

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        ACCEPTED = "accepted", _("Accepted")
        DECLINED = "declined", _("Declined")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    account = models.ForeignKey(Account, models.CASCADE, related_name="invitations")
    email = models.EmailField(_("e-mail address"))
    role = RoleField(max_length=10, choices=Membership.Role)
    digest = models.CharField(max_length=43, unique=True, editable=False)
    invited_by = models.ForeignKey(
        User, models.SET_NULL, null=True, related_name="+", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    sent_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    answered_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                "account",
                Lower("email"),
                condition=models.Q(state="open"),
                name="invitation_open_once",
            ),
            models.CheckConstraint(
                condition=models.Q(state="open", answered_at=None)
                | (~models.Q(state="open") & models.Q(answered_at__isnull=False)),
                name="invitation_answered_or_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} ({self.account})"

    def is_expired(self, *, at: datetime) -> bool:
        """Whether nobody accepted it in time."""
        return self.state == self.State.OPEN and self.expires_at <= at

    def answer(self, state: str, *, at: datetime) -> None:
        """Record how it ended."""
        self.state, self.answered_at = state, at
        self.save(update_fields=["state", "answered_at"])


class OutgoingMail(models.Model):
    """A mail that waits to be sent. Once it is sent, it is gone."""

    sealed = models.TextField(help_text="Encrypted: a mail may hold a link that is a secret.")
    written_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveIntegerField(default=0)
    retry_at = models.DateTimeField(default=timezone.now, db_index=True)
    claimed_until = models.DateTimeField(
        null=True, help_text="A worker sends it until then; if it dies, another one does."
    )
    error = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name_plural = "outgoing mail"

    def __str__(self) -> str:
        return f"mail {self.pk}"

    def claim(self, *, at: datetime, until: datetime) -> bool:
        """Take it from every other worker for a while; False when it is sent or taken."""
        free = models.Q(claimed_until=None) | models.Q(claimed_until__lte=at)
        rows = OutgoingMail.objects.filter(free, pk=self.pk)
        return bool(rows.update(claimed_until=until))

    def mark_failed(self, *, error: str, at: datetime) -> None:
        """Remember what went wrong, and when to try again: 10 s, 20 s, … at most an hour."""
        self.attempts += 1
        self.error = error[:200]
        self.retry_at = at + timedelta(seconds=min(3600, 10 * 2 ** min(self.attempts - 1, 9)))
        self.claimed_until = None
        self.save(update_fields=["attempts", "error", "retry_at", "claimed_until"])


class AuditEvent(models.Model):
    """Something that was done for an account. The database lets no row be changed or deleted."""

    class Kind(models.TextChoices):
        KEY = "key", _("Keys")
        SPENDING = "spending", _("Limits and spending")
        PLAN = "plan", _("Plans and packs")
        MONEY = "money", _("Money")
        ALERT = "alert", _("Alerts and webhooks")
        SIGN_IN = "sign_in", _("Signing in")
        PEOPLE = "people", _("People")

    class Via(models.TextChoices):
        PAGE = "page", _("on a page")
        STAFF = "staff", _("by staff")
        KEY = "key", _("with a key")
        COMMAND = "command", _("on the command line")
        ITSELF = "itself", _("by itself")

    account = models.ForeignKey(Account, models.PROTECT, related_name="audit_events")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    act = models.CharField(max_length=40)
    thing = models.CharField(max_length=200, blank=True)
    changes = models.JSONField(default=list, help_text=_("What, before, and after."))
    note = models.CharField(_("reason"), max_length=200, blank=True)
    via = models.CharField(_("way"), max_length=8, choices=Via)
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    user_name = models.CharField(
        _("who"), max_length=254, blank=True, help_text=_("Their address, as it was then.")
    )
    ip = models.GenericIPAddressField(_("address"), null=True)
    client = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
        ordering = ("-created_at", "-pk")
        indexes: ClassVar = [
            models.Index(fields=["account", "-created_at", "-id"], name="audit_event_of_account"),
            models.Index(
                fields=["account", "kind", "-created_at", "-id"], name="audit_event_of_kind"
            ),
            models.Index(fields=["-created_at", "-id"], name="audit_event_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}.{self.act}"
