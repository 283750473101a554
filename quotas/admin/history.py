"""What is only shown: packs, suspensions, weeks that have ended, partitions."""

from django.contrib import admin

from accounts.large_lists import OfAccountsAdmin, in_period
from accounts.read_only_admin import ReadOnlyAdmin
from partitions.models import Partition
from quotas.models.entitlements import PackSwitch, SpendingChoice, Suspension
from quotas.models.used import WeekClose


@admin.register(PackSwitch)
class PackSwitchAdmin(ReadOnlyAdmin[PackSwitch], OfAccountsAdmin[PackSwitch]):
    """Who switched which pack on and off, and when."""

    list_display = ("account", "pack", "created_at", "by", "note", "ended_at", "ended_by")
    list_filter = ("pack", ("ended_at", admin.EmptyFieldListFilter), in_period("created_at"))
    list_select_related = ("account", "pack", "by", "ended_by")


@admin.register(Suspension)
class SuspensionAdmin(ReadOnlyAdmin[Suspension], OfAccountsAdmin[Suspension]):
    """Who suspended which account, why, and until when."""

    list_display = ("account", "created_at", "by", "note", "ended_at", "ended_by", "end_note")
    list_filter = (("ended_at", admin.EmptyFieldListFilter), in_period("created_at"))
    list_select_related = ("account", "by", "ended_by")


@admin.register(SpendingChoice)
class SpendingChoiceAdmin(ReadOnlyAdmin[SpendingChoice], OfAccountsAdmin[SpendingChoice]):
    """Who chose what an account or a key of it may spend past the allowance, and until when."""

    list_display = (
        "account",
        "key",
        "past_allowance",
        "credits_a_week",
        "credits_a_month",
        "units_a_request",
        "created_at",
        "by",
        "ended_at",
        "ended_by",
    )
    list_filter = (("ended_at", admin.EmptyFieldListFilter), in_period("created_at"))
    list_select_related = ("account", "key__account", "by", "ended_by")


@admin.register(WeekClose)
class WeekCloseAdmin(ReadOnlyAdmin[WeekClose], OfAccountsAdmin[WeekClose]):
    """What accounts used in weeks that have ended."""

    list_display = ("account", "week", "allowance", "boost", "credits", "closed_at")
    list_filter = (in_period("closed_at"),)
    ordering = ("-closed_at", "-pk")


@admin.register(Partition)
class PartitionAdmin(ReadOnlyAdmin[Partition]):
    """How far each partition's charges have been drained."""

    list_display = ("index", "epoch", "pushes", "drained_id", "drained_at")
