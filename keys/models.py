"""What is stored of keys and tokens: digests, never the text."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts import budgets, pace
from accounts.beginnings import beginnings_index
from accounts.models import Account, Membership
from accounts.names import UNFIT, NameField, name_check
from accounts.pace import PaceFields
from accounts.spending import IS_KNOWN, SpendingFields, fields_of, in_words
from gate.service.trust import Trust
from gate.store import snapshots
from gate.store.snapshots import NOTHING_PAID, FormerSecret, KeyState, Paid
from gate.terms import addresses, week
from gate.terms.budget import Budget
from gate.terms.spending import Spending
from keys import revoke_notes
from keys import scopes as of_keys
from keys.limits import LIMITS

# A form is submitted twice soon, or never.
ROTATIONS_KEPT = 20
_FOR_GOOD = datetime(2200, 1, 1, tzinfo=UTC)


class ApiKey(PaceFields, SpendingFields):
    """A key of an account. Its text is shown once, when it is made, and is nowhere after that."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="api_keys")
    name = NameField(longest=80)
    environment = NameField(
        longest=20,
        blank=True,
        default="",
        db_default="",
        help_text=gettext_lazy("Where it is used, in a word: production, staging."),
    )
    digest = models.CharField(max_length=43, unique=True, editable=False)
    pepper_id = models.CharField(max_length=16, editable=False)
    last_four = models.CharField(max_length=4, editable=False)
    submission = models.UUIDField(
        editable=False,
        help_text=gettext_lazy("Of the form that made the key: a repeated submit makes no second."),
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    weekly_cap = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text=gettext_lazy("Chats a week that this key may use; empty is no limit."),
    )
    daily_cap = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text=gettext_lazy("Chats a day in UTC that this key may use; empty is no limit."),
    )
    monthly_cap = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text=gettext_lazy("Chats a calendar month that this key may use; empty is no limit."),
    )
    total_cap = models.PositiveBigIntegerField(
        null=True,
        blank=True,
        help_text=gettext_lazy("Chats that this key may ever use; empty is no limit."),
    )
    # Written with the budget of the member who made it, who counts all their keys together.
    is_counted_for_member = models.BooleanField(default=False, db_default=False, editable=False)
    # Or what is no meter: see keys.scopes.
    scopes = ArrayField(
        models.SlugField(),
        default=list,
        blank=True,
        help_text=gettext_lazy("Meters it may use; empty is all."),
    )
    addresses = ArrayField(
        models.CharField(max_length=49),
        default=list,
        blank=True,
        help_text=gettext_lazy("Addresses or networks it may be used from; empty is anywhere."),
    )
    only_models = ArrayField(
        models.CharField(max_length=128),
        default=list,
        db_default=[],
        blank=True,
        help_text=gettext_lazy("Models it may ask; empty is all that the plan has."),
    )
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    disabled_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text=gettext_lazy("Since when it is switched off; it can be switched on again."),
    )
    disabled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", editable=False
    )
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", editable=False
    )
    revoke_note = models.CharField(
        gettext_lazy("why it was revoked"),
        max_length=200,
        blank=True,
        default="",
        db_default="",
        editable=False,
    )
    expiry_told_for = models.DateTimeField(
        null=True,
        editable=False,
        help_text=gettext_lazy("The end that people were warned of; another one is told again."),
    )
    # Of its first secret, as the gate has it: what was used is counted under it, for good.
    counted_as = models.CharField(
        max_length=22, blank=True, default="", db_default="", editable=False
    )
    # The secret before, which is no more valid than the key, and not longer than it was given. Or
    # the same one under an older pepper: then it has no last four of its own.
    former_digest = models.CharField(
        max_length=43, blank=True, default="", db_default="", editable=False
    )
    former_pepper_id = models.CharField(
        max_length=16, blank=True, default="", db_default="", editable=False
    )
    former_last_four = models.CharField(
        max_length=4, blank=True, default="", db_default="", editable=False
    )
    former_ends_at = models.DateTimeField(null=True, blank=True, editable=False)
    rotations = ArrayField(
        models.UUIDField(),
        default=list,
        db_default=[],
        blank=True,
        editable=False,
        help_text=gettext_lazy("Of the last forms that gave it a new secret, each once."),
    )
    # The gate keeps a key's highest version; what is above `pushed_version` is not known there yet.
    version = models.PositiveIntegerField(default=1, editable=False)
    pushed_version = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        verbose_name = gettext_lazy("API key")
        ordering = ("-created_at", "-pk")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "submission"], name="api_key_once_per_submission"
            ),
            models.CheckConstraint(condition=~Q(name=""), name="api_key_named"),
            name_check("api_key_name_clean"),
            models.CheckConstraint(
                condition=~Q(environment__regex=UNFIT), name="api_key_environment_clean"
            ),
            models.CheckConstraint(condition=IS_KNOWN, name="api_key_spending_known"),
            models.CheckConstraint(condition=pace.IS_KNOWN, name="api_key_pace_known"),
            models.CheckConstraint(
                condition=~Q(scopes__contains=[of_keys.MANAGE_KEYS])
                | Q(scopes__contained_by=list(of_keys.BESIDE_METERS)),
                name="api_key_manages_or_calls",
            ),
            models.CheckConstraint(
                condition=Q(former_digest="", former_ends_at=None)
                | ~Q(former_digest="") & ~Q(counted_as="") & Q(former_ends_at__isnull=False),
                name="api_key_former_ends",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["id"],
                condition=Q(pushed_version__lt=F("version")),
                name="api_key_unpushed",
            ),
            models.Index(fields=["account", "-created_at", "-id"], name="api_key_of_account"),
            models.Index(fields=["-created_at", "-id"], name="api_key_newest"),
            models.Index(
                fields=["-created_at", "-id"],
                condition=Q(revoked_at__isnull=False),
                name="api_key_revoked",
            ),
            models.Index(fields=["last_four"], name="api_key_last_four"),
            models.Index(
                fields=["pepper_id"],
                condition=Q(revoked_at__isnull=True),
                name="api_key_live_pepper",
            ),
            models.Index(
                fields=["former_digest"],
                condition=~Q(former_digest=""),
                name="api_key_former_digest",
            ),
            beginnings_index("name", name="api_key_name_begins"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.masked})"

    @property
    def masked(self) -> str:
        """What the owner recognises the key by."""
        return f"sk_{self.account.handle}…{self.last_four}"

    @property
    def is_active(self) -> bool:
        """Whether the key is accepted now."""
        return self.revoked_at is None and self.disabled_at is None and not self.is_expired

    @property
    def why_revoked(self) -> str:
        """What is kept of why it was revoked, in the reader's language where we said it."""
        return revoke_notes.in_words(self.revoke_note)

    @property
    def was_used_lately(self) -> bool:
        """Whether some program seems to need it."""
        week_ago = timezone.now() - timedelta(days=7)
        return self.last_used_at is not None and self.last_used_at > week_ago

    @property
    def is_disabled(self) -> bool:
        """Whether it is switched off, and may be switched on again."""
        return self.disabled_at is not None and self.revoked_at is None

    @property
    def is_expired(self) -> bool:
        """Whether the key has ended by itself."""
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def former_masked(self) -> str:
        """What the owner recognises the former secret by."""
        return f"sk_{self.account.handle}…{self.former_last_four}"

    @property
    def former_is_same_secret(self) -> bool:
        """Whether the former digest is of the same secret, made by an older pepper."""
        return bool(self.former_digest) and not self.former_last_four

    @property
    def former_is_valid(self) -> bool:
        """Whether the former digest is let in besides, as far as the key itself is."""
        return self.former_ends_at is not None and self.former_ends_at > timezone.now()

    @property
    def former_works_until(self) -> datetime | None:
        """When the former secret ends, while it is not over; no later than the key itself."""
        ends = self.former_ends_at
        if ends is None or self.revoked_at is not None or self.former_is_same_secret:
            return None
        if self.expires_at is not None:
            ends = min(ends, self.expires_at)
        return ends if ends > timezone.now() else None

    @property
    def meters(self) -> tuple[str, ...]:
        """The meters that it was bound to."""
        return of_keys.meters_of(self.scopes)

    @property
    def reads_usage(self) -> bool:
        """Whether it may read what its account used."""
        return of_keys.READ_USAGE in self.scopes

    @property
    def reads_quota(self) -> bool:
        """Whether it was made to read the quota: alone, it can do no more."""
        return of_keys.READ_QUOTA in self.scopes

    @property
    def manages_keys(self) -> bool:
        """Whether it may make and change the account's keys; then it may never call a model."""
        return of_keys.MANAGE_KEYS in self.scopes

    @property
    def limits_in_words(self) -> str:
        """What the key may do less than its account, or more than send requests; or empty."""
        limits = []
        if self.expires_at is not None:
            day = date_format(self.expires_at, "DATE_FORMAT")
            limits.append(_("until %(day)s") % {"day": day})
        limits.extend(budgets.in_words(self.caps))
        if self.meters:
            limits.append(_("for %(meters)s") % {"meters": ", ".join(self.meters)})
        if self.only_models:
            shown, others = ", ".join(self.only_models[:3]), len(self.only_models) - 3
            if others > 0:
                bound = ngettext(
                    "only asks %(models)s and %(count)s more",
                    "only asks %(models)s and %(count)s more",
                    others,
                )
                limits.append(bound % {"models": shown, "count": others})
            else:
                limits.append(_("only asks %(models)s") % {"models": shown})
        if self.addresses:
            # A list of keys stays a list, however many networks each is bound to.
            shown, others = ", ".join(self.addresses[:3]), len(self.addresses) - 3
            if others > 0:
                bound = ngettext(
                    "from %(networks)s and %(count)s more",
                    "from %(networks)s and %(count)s more",
                    others,
                )
                limits.append(bound % {"networks": shown, "count": others})
            else:
                limits.append(_("from %(networks)s") % {"networks": shown})
        limits.extend(pace.in_words(self.pace))
        limits.extend(in_words(self.spending))
        if self.reads_quota and not self.meters and not self.manages_keys:
            limits.append(_("only reads the quota"))
        if self.reads_usage:
            limits.append(_("may read usage"))
        if self.manages_keys:
            limits.append(_("manages keys, and calls no model"))
        return " · ".join(limits)

    @property
    def caps(self) -> Budget:
        """How many chats it may use, by every period."""
        return Budget(
            a_day=self.daily_cap,
            a_week=self.weekly_cap,
            a_month=self.monthly_cap,
            in_all=self.total_cap,
        )

    def state(self, *, used: int = 0, paid: Paid = NOTHING_PAID) -> KeyState:
        """What the gate has to know, and what it has to know again when it lost that.

        used: chats of this week, paid: credits, as far as drained.
        """
        return KeyState(
            digest=_hot(self.digest),
            version=self.version,
            key_id=self.pk,
            is_active=self.revoked_at is None and self.disabled_at is None,
            expires_ms=None if self.expires_at is None else week.to_ms(self.expires_at),
            weekly_cap=self.weekly_cap,
            scopes=of_keys.known_to_gate(self.scopes),
            addresses=tuple(addresses.network_to_hex(network) for network in self.addresses),
            used=used,
            spending=self.spending,
            paid=paid,
            pace=self.pace,
            models=tuple(self.only_models),
            # That of the week stands by itself, and always did.
            budget=replace(self.caps, a_week=None),
            member=self.created_by_id if self.is_counted_for_member else None,
            first_digest=self.counted_as,
            former=self._former(),
        )

    def _former(self) -> FormerSecret | None:
        if self.former_ends_at is None:
            return None
        return FormerSecret(
            digest=_hot(self.former_digest),
            # Ended by us it is over at once, by whatever clock. By itself it ends by the gate's.
            is_active=self.former_ends_at > timezone.now(),
            ends_ms=week.to_ms(self.former_ends_at),
        )

    def take_secret(
        self, *, digest: str, pepper_id: str, last_four: str, former_ends_at: datetime, of: UUID
    ) -> None:
        """Record another secret, and how long the one before stays; the caller pushes it."""
        self.change(
            former_digest=self.digest,
            former_pepper_id=self.pepper_id,
            former_last_four=self.last_four,
            former_ends_at=former_ends_at,
            counted_as=self.counted_as or _hot(self.digest),
            digest=digest,
            pepper_id=pepper_id,
            last_four=last_four,
            rotations=[*self.rotations, of][-ROTATIONS_KEPT:],
        )

    def take_digest(self, *, digest: str, pepper_id: str) -> None:
        """Record the digest of the same secret under another pepper; the caller pushes it.

        The one before stays valid as long as the key: whoever knows the secret knows both.
        """
        self.change(
            former_digest=self.digest,
            former_pepper_id=self.pepper_id,
            former_last_four="",
            former_ends_at=_FOR_GOOD,
            counted_as=self.counted_as or _hot(self.digest),
            digest=digest,
            pepper_id=pepper_id,
        )

    def choose_spending(self, spending: Spending) -> None:
        """Record what it may spend; the caller pushes it to the gate."""
        for name, value in fields_of(spending).items():
            setattr(self, name, value)
        self.version = self.version + 1
        self.save(update_fields=[*fields_of(spending), "version"])

    def limits(self) -> dict[str, object]:
        """What it is called and may do less than its account, by name."""
        return {name: getattr(self, name) for name in ("name", *LIMITS)}

    def note_warned_of_expiry(self) -> None:
        """Remember that people were told of its end as it is now."""
        self.expiry_told_for = self.expires_at
        self.save(update_fields=["expiry_told_for"])

    def change(self, **values: object) -> bool:
        """Record what is different now, if anything is; the caller pushes it to the gate."""
        changed = [name for name, value in values.items() if getattr(self, name) != value]
        for name in changed:
            setattr(self, name, values[name])
        if changed:
            self.version = self.version + 1
            self.save(update_fields=[*changed, "version"])
        return bool(changed)


class KeySighting(models.Model):
    """A network that a key was used from, and the last address and client there.

    What is older than 90 days is deleted (`keys.sightings`); a row without a network stays of it,
    because a key that was used before has no first network any more.
    """

    key = models.ForeignKey(ApiKey, models.CASCADE, related_name="sightings")
    network = models.CharField(max_length=49, blank=True)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    address = models.GenericIPAddressField(null=True)
    client = models.CharField(max_length=200, blank=True)
    is_news = models.BooleanField(
        default=False, help_text=gettext_lazy("Until people are told, or need not be.")
    )
    told_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["key", "network"], name="key_sighting_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["id"], condition=Q(is_news=True), name="key_sighting_news"),
            models.Index(fields=["last_at"], name="key_sighting_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.key_id} from {self.network}"


class KeyMailChoice(models.Model):
    """Whether a person wants mail about new networks of keys, and about keys that will expire.

    Without a row they get it. That keys are made or revoked they hear anyway.
    """

    membership = models.OneToOneField(Membership, models.CASCADE, related_name="+")
    is_on = models.BooleanField()

    def __str__(self) -> str:
        return f"key mail of {self.membership_id}"


def _hot(digest: str) -> str:
    return snapshots.hot_digests([digest])[0]


FORWARDED_HOPS_AT_MOST = 10
ONE_WAY_TO_KNOW_THE_ADDRESS = gettext_lazy(
    "Choose one way to know the address: X-Quota-Client-IP, or the hops of X-Forwarded-For."
)


class ServiceToken(models.Model):
    """What an API server or gateway shows to the quota-check service.

    The trust is about headers of forward authentication. What an API server writes into the body
    of a check is its own word, and counts anyway.
    """

    name = NameField(longest=80, unique=True, help_text=gettext_lazy("Which server uses it."))
    digest = models.CharField(max_length=43, unique=True, editable=False)
    last_four = models.CharField(max_length=4, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Defaults of the database: a release that does not know these makes tokens without trust.
    trusts_request_id = models.BooleanField(
        gettext_lazy("trust X-Quota-Request-Id"),
        default=False,
        db_default=False,
        help_text=gettext_lazy(
            "Requests with the same id are charged once within an hour. Trust this only if the "
            "gateway sets the header itself with every request, or strips it: customers can send "
            "it, too. Whoever sends the same id with every request would use the API for free."
        ),
    )
    trusts_units = models.BooleanField(
        gettext_lazy("trust X-Quota-Units"),
        default=False,
        db_default=False,
        help_text=gettext_lazy(
            "How many units a request takes; 0 only looks. Trust this only if the gateway sets "
            "the header itself with every request, or strips it: customers can send it, too. "
            "Whoever sends 0 would use the API for free."
        ),
    )
    trusts_client_ip = models.BooleanField(
        gettext_lazy("trust X-Quota-Client-IP"),
        default=False,
        db_default=False,
        help_text=gettext_lazy(
            "The customer's address, for keys that are bound to some. Trust this only if the "
            "gateway sets the header itself with every request, or strips it: customers can send "
            "it, too. Whoever sends an address would open a stolen key that is bound to it."
        ),
    )
    forwarded_hops = models.PositiveSmallIntegerField(
        gettext_lazy("hops of X-Forwarded-For"),
        default=0,
        db_default=0,
        validators=[MaxValueValidator(FORWARDED_HOPS_AT_MOST)],
        help_text=gettext_lazy(
            "Another way to know the customer's address: how many proxies, the gateway included, "
            "add one to X-Forwarded-For. 0: it is not read. With a number that is too high a "
            "customer chooses the address."
        ),
    )
    meter = models.SlugField(
        gettext_lazy("only meter"),
        blank=True,
        default="",
        db_default="",
        help_text=gettext_lazy(
            "What every request is charged by, whatever X-Quota-Meter says. Empty: the gateway "
            "must set or strip X-Quota-Meter, or customers choose the cheapest meter."
        ),
    )
    ignored_headers = models.PositiveBigIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text=gettext_lazy(
            "Headers that did not count, because the token was not issued with that trust."
        ),
    )
    ignored_at = models.DateTimeField(null=True, blank=True, editable=False)
    reported_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text=gettext_lazy("Since when it is known to be in public. Replace and revoke it."),
    )

    class Meta:
        ordering = ("name",)
        constraints: ClassVar = [
            name_check("service_token_name_clean"),
            models.CheckConstraint(
                condition=Q(trusts_client_ip=False) | Q(forwarded_hops=0),
                name="service_token_one_address",
                violation_error_message=ONE_WAY_TO_KNOW_THE_ADDRESS,
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def masked(self) -> str:
        """What an operator recognises the token by."""
        return f"svc_…{self.last_four}"

    @property
    def trust(self) -> Trust:
        """What the gate lets count of what comes with the token."""
        return Trust(
            token_id=self.pk,
            name=self.name,
            request_id=self.trusts_request_id,
            units=self.trusts_units,
            client_ip=self.trusts_client_ip,
            forwarded_hops=self.forwarded_hops,
            meter=self.meter,
        )

    @property
    def trust_in_words(self) -> str:
        """What the token is trusted with; empty when nothing."""
        trust = self.trust
        hops = ngettext(
            "X-Forwarded-For (%(hops)s hop)",
            "X-Forwarded-For (%(hops)s hops)",
            trust.forwarded_hops,
        )
        said = {
            _("request id"): trust.request_id,
            _("units"): trust.units,
            _("client address"): trust.client_ip,
            hops % {"hops": trust.forwarded_hops}: trust.forwarded_hops,
            _("only meter %(meter)s") % {"meter": trust.meter}: trust.meter,
        }
        return ", ".join(words for words, is_so in said.items() if is_so)
