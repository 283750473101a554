"""What accounts used: written by the drains and by the closing of a week, by nobody else."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import Account


class Source(models.TextChoices):
    """What pays for chats, in the order in which it does."""

    ALLOWANCE = "allowance"
    BOOST = "boost"
    CREDITS = "credits"


class UsageRollup(models.Model):
    """Chats of one key on one meter in one hour, by what paid for them.

    The finest that is kept, written with every drain. Totals are made of it (`usage.totals`) and
    stay when old hours are folded.
    """

    Source = Source

    account = models.ForeignKey(Account, models.PROTECT, related_name="+", db_index=False)
    # Not a foreign key: the drain must not fail over a key, and never checks one by one.
    key_id = models.BigIntegerField()
    meter = models.CharField(max_length=50)
    hour = models.DateTimeField()
    source = models.CharField(max_length=10, choices=Source)
    chats = models.BigIntegerField(default=0)
    credits = models.BigIntegerField(default=0)
    # Those of `chats` that came so many minutes after the hour began, or later: a day of somebody
    # in India begins at half past. An earlier release did not say; its count as at the full hour.
    chats_from_15 = models.BigIntegerField(default=0, db_default=0)
    chats_from_30 = models.BigIntegerField(default=0, db_default=0)
    chats_from_45 = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "hour", "key_id", "meter", "source"], name="usage_rollup_once"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["account", "key_id", "hour"], name="usage_rollup_by_key"),
            BrinIndex(fields=["hour"], name="usage_rollup_by_hour", autosummarize=True),
        ]

    def __str__(self) -> str:
        return f"{self.chats} chats of {self.account_id} at {self.hour:%Y-%m-%d %H:00}"


class Grain(models.IntegerChoices):
    """What one total is about: so many hours, of UTC. Weeks are quota weeks.

    Four weeks are kept of parts side by side alone, so that a year of many is read quickly.
    """

    HOUR = 1
    DAY = 24
    WEEK = 168
    FOUR_WEEKS = 672


class Cut(models.TextChoices):
    """What parts an account's use is told by, and what `part` of a total then is."""

    ACCOUNT = "account"  # 0: the whole
    KEY = "key"  # its id; hours are in the rollups
    MEMBER = "member"  # the user who made the key; 0 for one who is gone
    TAG = "tag"  # a UsageTag; 0 for those that were too many


class Totalled(models.Model):
    """Up to which hour totals are made, of all accounts: one row, or none before the first time.

    Totals hold what rollups say of the hours before it, whole and exact: what comes late is added
    by a trigger in its own transaction. What follows it is read from the rollups themselves. So a
    drain writes nothing twice, and a sum of both is exact in every snapshot.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    up_to = models.DateTimeField()
    folded_before = models.DateTimeField(
        null=True, help_text="Days before it have no hours of single keys and tags any more."
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(id=1), name="totalled_once")
        ]

    def __str__(self) -> str:
        return f"totals up to {self.up_to:%Y-%m-%d %H:00}"


class UsageTotal(models.Model):
    """Chats of one part of an account in one hour, day or week, on one meter, by what paid.

    Of the hours before `Totalled.up_to`, also within a day or week: never read it alone. Written
    by functions of the database alone.
    """

    account = models.ForeignKey(Account, models.PROTECT, related_name="+", db_index=False)
    cut = models.CharField(max_length=7, choices=Cut)
    part = models.BigIntegerField()
    grain = models.PositiveSmallIntegerField(choices=Grain)
    starts_at = models.DateTimeField()
    meter = models.CharField(max_length=50)
    source = models.CharField(max_length=10, choices=Source)
    chats = models.BigIntegerField()
    credits = models.BigIntegerField()
    # As in rollups, and of hours alone.
    chats_from_15 = models.BigIntegerField()
    chats_from_30 = models.BigIntegerField()
    chats_from_45 = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "cut", "grain", "part", "starts_at", "meter", "source"],
                name="usage_total_once",
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["account", "cut", "grain", "starts_at"], name="usage_total_span")
        ]

    def __str__(self) -> str:
        return f"{self.chats} chats of {self.account_id} from {self.starts_at:%Y-%m-%d %H:00}"


TAGS_AT_MOST = 500


class UsageTag(models.Model):
    """What checks of an account are told apart by: its own end users, as a rule.

    The first ones that come have rows, so many of each account; the rest is “other”.
    """

    account = models.ForeignKey(Account, models.PROTECT, related_name="+", db_index=False)
    name = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "name"], name="usage_tag_once")
        ]

    def __str__(self) -> str:
        return self.name


class TagRollup(models.Model):
    """Chats of one tag of an account on one meter in one hour, by what paid for them."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="+", db_index=False)
    # Not a foreign key, as in rollups; 0 is “other”.
    tag_id = models.BigIntegerField()
    meter = models.CharField(max_length=50)
    hour = models.DateTimeField()
    source = models.CharField(max_length=10, choices=Source)
    chats = models.BigIntegerField()
    credits = models.BigIntegerField()
    # As in rollups.
    chats_from_15 = models.BigIntegerField()
    chats_from_30 = models.BigIntegerField()
    chats_from_45 = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "hour", "tag_id", "meter", "source"], name="tag_rollup_once"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["account", "tag_id", "hour"], name="tag_rollup_by_tag"),
            BrinIndex(fields=["hour"], name="tag_rollup_by_hour", autosummarize=True),
        ]

    def __str__(self) -> str:
        return f"{self.chats} chats of a tag of {self.account_id} at {self.hour:%Y-%m-%d %H:00}"


class TokenRollup(models.Model):
    """What settled answers of one key on one meter took of one model in one hour, in tokens."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="+", db_index=False)
    # Not foreign keys, as in rollups; customers name a model by this name.
    key_id = models.BigIntegerField()
    meter = models.CharField(max_length=50)
    model = models.CharField(max_length=128)
    hour = models.DateTimeField()
    chats = models.BigIntegerField(default=0, db_default=0)
    answers = models.BigIntegerField(default=0)
    tokens_in = models.BigIntegerField(default=0)
    tokens_out = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "hour", "key_id", "meter", "model"], name="token_rollup_once"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["account", "key_id", "hour"], name="token_rollup_by_key"),
            BrinIndex(fields=["hour"], name="token_rollup_by_hour", autosummarize=True),
        ]

    def __str__(self) -> str:
        return f"{self.tokens_in} and {self.tokens_out} tokens of {self.account_id}"


class TokenTotal(models.Model):
    """The same of all keys of an account in one hour or day, before `Totalled.up_to`."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="+", db_index=False)
    grain = models.PositiveSmallIntegerField(choices=Grain)
    starts_at = models.DateTimeField()
    meter = models.CharField(max_length=50)
    model = models.CharField(max_length=128)
    chats = models.BigIntegerField()
    answers = models.BigIntegerField()
    tokens_in = models.BigIntegerField()
    tokens_out = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "grain", "starts_at", "meter", "model"], name="token_total_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.tokens_in} and {self.tokens_out} tokens of {self.account_id}"


class WeekClose(models.Model):
    """What an account used in a week that has ended."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="closed_weeks")
    week = models.PositiveIntegerField(help_text=_("Weeks since Monday 5 January 1970."))
    allowance = models.BigIntegerField(default=0)
    boost = models.BigIntegerField(default=0)
    credits = models.BigIntegerField(default=0)
    closed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["-closed_at", "-id"], name="week_close_newest")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "week"], name="week_close_once")
        ]

    def __str__(self) -> str:
        return gettext("week %(week)s of account %(account)s") % {
            "week": self.week,
            "account": self.account_id,
        }


class RefusalRollup(models.Model):
    """Requests of one key that were refused in one hour, by reason."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="+", db_index=False)
    key_id = models.BigIntegerField()
    hour = models.DateTimeField()
    reason = models.CharField(max_length=32)
    refusals = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "hour", "key_id", "reason"], name="refusal_rollup_once"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["account", "key_id", "hour"], name="refusal_rollup_by_key"),
            BrinIndex(fields=["hour"], name="refusal_rollup_by_hour", autosummarize=True),
        ]

    def __str__(self) -> str:
        return f"{self.refusals} refusals of {self.account_id} at {self.hour:%Y-%m-%d %H:00}"


class RefusalTotal(models.Model):
    """The same of all keys of an account in one hour or day, before `Totalled.up_to`."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="+", db_index=False)
    grain = models.PositiveSmallIntegerField(choices=Grain)
    starts_at = models.DateTimeField()
    reason = models.CharField(max_length=32)
    refusals = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "grain", "starts_at", "reason"], name="refusal_total_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.refusals} refusals of {self.account_id} from {self.starts_at:%Y-%m-%d}"


class ChargeMark(models.Model):
    """What a refund or settlement did to a charge, for as long as a refund is possible.

    Valkey knows it too; this is what a rebuilt Valkey learns it from.
    """

    account = models.ForeignKey(Account, models.CASCADE, related_name="+")
    charge_ref = models.CharField(max_length=41)
    content = models.CharField(max_length=2_000)
    made_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["made_at"])]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "charge_ref"], name="charge_mark_once")
        ]

    def __str__(self) -> str:
        return f"{self.charge_ref} of {self.account_id}"
