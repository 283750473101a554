"""What waits for a person, by kind, for the first page of the admin."""

from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import ngettext

from accounts.numbers import thousands
from billing.watching import Facts


@dataclass(frozen=True, slots=True)
class Alarm:
    """So many of one kind, in words, and where they are."""

    words: str
    url: str


def open_alarms(facts: Facts) -> list[Alarm]:
    """Purchases and subscriptions that need a person, where there are any."""
    told = []
    if number := facts.purchases:
        words = ngettext(
            "One purchase needs a person.", "%(number)s purchases need a person.", number
        )
        told.append(Alarm(words % {"number": thousands(number)}, _list_of("billing_purchase")))
    if number := facts.subscriptions:
        words = ngettext(
            "One subscription needs a person.", "%(number)s subscriptions need a person.", number
        )
        told.append(Alarm(words % {"number": thousands(number)}, _list_of("billing_subscription")))
    return told


def _list_of(name: str) -> str:
    return reverse(f"admin:{name}_changelist") + "?alarm=open"
