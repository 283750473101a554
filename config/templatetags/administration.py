"""Where a page of the admin stands."""

from typing import Any

from django import template
from django.db.models.options import Options

from accounts.models import Account
from billing.models import Purchase
from config.administration.tasks import Task, task_of
from quotas.models.plans import QuotaPolicy

register = template.Library()


@register.filter
def task(opts: Options[Any]) -> Task:
    """The task that a model is for."""
    return task_of(opts.label)


@register.simple_tag
def chat_price() -> QuotaPolicy | None:
    """The row that says what a chat past allowance and boosts costs."""
    return QuotaPolicy.objects.first()


@register.simple_tag
def latest_purchases(account: Account) -> list[Purchase]:
    """The newest purchases of an account, paid or not."""
    return list(account.purchases.order_by("-created_at", "-pk")[:5])
