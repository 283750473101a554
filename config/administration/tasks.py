"""What people come to the admin for, and the models that each task needs, in their order.

Apps are how the code is cut; nobody who runs a business thinks in them. A model that is not placed
here stands under `OTHER`, and a test says so.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrOrPromise


@dataclass(frozen=True, slots=True)
class Task:
    """A heading of the admin, and the models below it as `app.Model`."""

    slug: str
    name: StrOrPromise
    models: tuple[str, ...]


TASKS = (
    Task(
        "plans",
        _("Plans and prices"),
        (
            "quotas.Plan",
            "quotas.Pack",
            "billing.Product",
            "billing.PlanPrice",
            "quotas.QuotaPolicy",
            "quotas.Meter",
            "quotas.AIModel",
        ),
    ),
    Task(
        "customers",
        _("Customers"),
        (
            "accounts.Account",
            "accounts.User",
            "account.EmailAddress",
            "accounts.Invitation",
            "accounts.AuditEvent",
            "keys.ApiKey",
            "quotas.PlanGrant",
            "quotas.PackSwitch",
            "quotas.Suspension",
            "quotas.SpendingChoice",
            "quotas.WeekClose",
            "alerts.Alert",
            "alerts.AlertSettings",
            "alerts.WebhookEndpoint",
        ),
    ),
    Task(
        "money",
        _("Money"),
        (
            "billing.Purchase",
            "billing.Refund",
            "billing.Subscription",
            "billing.PlanOrder",
            "billing.Customer",
            "billing.AutoTopUp",
            "billing.Difference",
            "billing.BookCheck",
            "quotas.CreditEntry",
            "quotas.Boost",
        ),
    ),
    Task(
        "machinery",
        _("Machinery"),
        (
            "keys.ServiceToken",
            "quotas.Provider",
            "billing.StripeEvent",
            "alerts.Delivery",
            "partitions.Partition",
            "auth.Group",
        ),
    ),
)
OTHER = Task("other", _("Other"), ())
_PLACES = {label: (task, at) for task in TASKS for at, label in enumerate(task.models)}


def task_of(label: str) -> Task:
    """The task that a model stands under."""
    task, _ = _PLACES.get(label, (OTHER, 0))
    return task


def by_task(apps: Iterable[dict[str, Any]], *, index_url: str) -> list[dict[str, Any]]:
    """What Django lists by app, as the same kind of list by task, without those that are empty.

    The ways of headings lead to the task's place on the first page.
    """
    found: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for app in apps:
        for shown in app["models"]:
            label = shown["model"]._meta.label  # noqa: SLF001 - Django documents it
            task, at = _PLACES.get(label, (OTHER, 0))
            found.setdefault(task.slug, []).append((at, shown))
    return [
        {
            "name": task.name,
            "app_label": task.slug,
            "app_url": f"{index_url}#{task.slug}",
            "has_module_perms": True,
            "models": [shown for _, shown in sorted(found[task.slug], key=lambda pair: pair[0])],
        }
        for task in (*TASKS, OTHER)
        if task.slug in found
    ]
