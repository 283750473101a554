"""Where the mail of an alert leads: to what can be done, or to what it is about."""

from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.site_address import site_address
from alerts.models import MONEY_KINDS, PLAN_KINDS, Alert, Kind

_TO_BUY = {Kind.LOW_CREDITS}


@dataclass(frozen=True, slots=True)
class Way:
    """A link: what it is called, and its address."""

    label: str
    url: str


def ways_from(alert: Alert) -> list[Way]:
    """The ways from a mail, the one that matters first."""
    if alert.kind in PLAN_KINDS:
        ways = [Way(_("See your plan"), site_address(reverse("billing")))]
        if pay_url := alert.data.get("pay_url"):
            ways.insert(0, Way(_("Pay the invoice"), pay_url))
        return ways
    if alert.kind == Kind.TOP_UP_STOPPED:
        return [
            Way(_("Add credits yourself"), site_address(reverse("billing"))),
            Way(_("Look at auto top-up"), site_address(reverse("top_up"))),
        ]
    if alert.kind in MONEY_KINDS:
        of_purchase = reverse("purchase", args=[alert.data["purchase"]])
        ways = [Way(_("See the purchase"), site_address(of_purchase))]
        if receipt_url := alert.data.get("receipt_url"):
            ways.append(Way(_("Stripe’s receipt"), receipt_url))
        return ways
    if alert.kind in _TO_BUY:
        return [Way(_("Add chats"), site_address(reverse("billing")))]
    return [Way(_("See usage"), site_address(reverse("usage")))]
