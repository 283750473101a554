"""What waits for a person, by kind, for the first page of the admin."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet, Value
from django.urls import reverse
from django.utils.translation import ngettext

from billing.models import Purchase
from billing.subscriptions.models import Subscription


@dataclass(frozen=True, slots=True)
class Alarm:
    """So many of one kind, in words, and where they are."""

    words: str
    url: str


def open_alarms() -> list[Alarm]:
    """Each kind of which there is one; one query for all of them."""
    found: dict[str, int] = dict(
        _counted("purchase", Purchase.objects.alarms())
        .union(_counted("subscription", Subscription.objects.alarms()), all=True)
        .values_list("kind_of_alarm", "number")
    )
    told = []
    if number := found.get("purchase"):
        words = ngettext(
            "One purchase needs a person.", "%(number)s purchases need a person.", number
        )
        told.append(Alarm(words % {"number": number}, _list_of("billing_purchase")))
    if number := found.get("subscription"):
        words = ngettext(
            "One subscription needs a person.", "%(number)s subscriptions need a person.", number
        )
        told.append(Alarm(words % {"number": number}, _list_of("billing_subscription")))
    return told


def _counted(kind: str, rows: QuerySet[Any]) -> QuerySet[Any]:
    named = rows.order_by().annotate(kind_of_alarm=Value(kind)).values("kind_of_alarm")
    counted: QuerySet[Any] = named.annotate(number=Count("pk")).values("kind_of_alarm", "number")
    return counted


def _list_of(name: str) -> str:
    return reverse(f"admin:{name}_changelist") + "?alarm=open"
