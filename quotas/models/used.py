"""What accounts used: written by the drains and by the closing of a week, by nobody else."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from accounts.models import Account


class UsageRollup(models.Model):
    """Chats of one key on one meter in one hour, by what paid for them."""

    class Source(models.TextChoices):
        ALLOWANCE = "allowance"
        BOOST = "boost"
        CREDITS = "credits"

    account = models.ForeignKey(Account, models.PROTECT, related_name="+")
    # Not a foreign key: the drain must not fail over a key, and never checks one by one.
    key_id = models.BigIntegerField()
    meter = models.CharField(max_length=50)
    hour = models.DateTimeField()
    source = models.CharField(max_length=10, choices=Source)
    chats = models.BigIntegerField(default=0)
    credits = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "hour", "key_id", "meter", "source"], name="usage_rollup_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.chats} chats of {self.account_id} at {self.hour:%Y-%m-%d %H:00}"


class TokenRollup(models.Model):
    """What settled answers of one key on one meter took of one model in one hour, in tokens."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="+")
    # Not foreign keys, as in rollups; customers name a model by this name.
    key_id = models.BigIntegerField()
    meter = models.CharField(max_length=50)
    model = models.CharField(max_length=128)
    hour = models.DateTimeField()
    answers = models.BigIntegerField(default=0)
    tokens_in = models.BigIntegerField(default=0)
    tokens_out = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "hour", "key_id", "meter", "model"], name="token_rollup_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.tokens_in} and {self.tokens_out} tokens of {self.account_id}"


class WeekClose(models.Model):
    """What an account used in a week that has ended."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="closed_weeks")
    week = models.PositiveIntegerField(help_text="Weeks since Monday 5 January 1970.")
    allowance = models.BigIntegerField(default=0)
    boost = models.BigIntegerField(default=0)
    credits = models.BigIntegerField(default=0)
    closed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "week"], name="week_close_once")
        ]

    def __str__(self) -> str:
        return f"week {self.week} of {self.account_id}"


class RefusalRollup(models.Model):
    """Requests of one key that were refused in one hour, by reason."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="+")
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

    def __str__(self) -> str:
        return f"{self.refusals} refusals of {self.account_id} at {self.hour:%Y-%m-%d %H:00}"


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
