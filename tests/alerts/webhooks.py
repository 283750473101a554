"""Webhooks of accounts, made without asking whether anybody is there."""

from uuid import uuid4

from django.conf import settings

from accounts.models import Account, User
from alerts.models import WebhookEndpoint


def endpoint_of(account: Account, by: User, url: str) -> WebhookEndpoint:
    """A webhook of an account."""
    return WebhookEndpoint.objects.create(
        account=account,
        url=url,
        submission=uuid4(),
        pepper_id=settings.KEY_PEPPERS[0].pepper_id,
        created_by=by,
    )
