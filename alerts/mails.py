"""What people read of an alert, as text and as a page."""

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.urls import reverse

from accounts import language, mails
from accounts.models import Membership
from accounts.site_address import site_address
from alerts import leading, raising, wording
from alerts.models import Alert, Delivery, Kind
from quotas.strip import Amounts


def may_have(delivery: Delivery) -> bool:
    """Whether the person is still one of the account who may read it, and there at all."""
    if delivery.user is None or not delivery.user.is_active:
        return False
    membership = Membership.objects.filter(
        account=delivery.alert.account, user=delivery.user
    ).first()
    return membership is not None and raising.may_read(membership, delivery.alert.kind)


def write(delivery: Delivery) -> EmailMultiAlternatives:
    """The mail of one delivery. However often it is written, it has one Message-ID."""
    assert delivery.user is not None
    with language.spoken_to(delivery.user):
        return _written(delivery, to=delivery.user.email)


def _written(delivery: Delivery, *, to: str) -> EmailMultiAlternatives:
    alert = delivery.alert
    name = "summary" if alert.kind == Kind.SUMMARY else "alert"
    context = _context(alert)
    settings_url = site_address(reverse("alerts"))
    host = urlsplit(settings.SITE_URL).hostname
    headers = {
        # Mailboxes that look show a mail of the same id once.
        "Message-ID": f"<alert-{alert.pk.hex}-{delivery.pk}@{host}>",
        "List-Unsubscribe": f"<{settings_url}>",
    }
    subject = f"{context['heading']} · {alert.account.name}"
    return mails.written(f"alerts/email/{name}", context, subject=subject, to=to, **headers)


def _context(alert: Alert) -> dict[str, Any]:
    context = {
        "heading": wording.heading_of(alert),
        "account": alert.account,
        "settings_url": site_address(reverse("alerts")),
        "usage_url": site_address(reverse("usage")),
    }
    if alert.kind != Kind.SUMMARY:
        return {
            **context,
            "sentences": wording.sentences_of(alert),
            "amounts": _amounts(alert.data),
            "ways": leading.ways_from(alert),
        }
    data = alert.data
    return {
        **context,
        "summary": data,
        "starts_at": datetime.fromisoformat(data["week_starts_at"]),
        "expires": [
            {**boost, "at": datetime.fromisoformat(boost["at"])} for boost in data["expires"]
        ],
    }


def _amounts(data: dict[str, Any]) -> Amounts | None:
    """The week as it was, where the alert is about it; credits are told in words."""
    if not data.get("cap"):
        return None
    used = min(data["used"], data["cap"])
    return Amounts(spent=used, allowance=data["cap"] - used, boost=data["boost_left"])
