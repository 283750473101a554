"""What accounts and people choose to be told of."""

from collections.abc import Collection
from datetime import datetime

from django.db import transaction

from accounts import audit
from accounts.models import Account, Membership
from alerts.models import AlertSettings, MailChoice
from keys import mail_choice


def choose_for_account(
    account: Account, *, kinds: Collection[str], low_credits: int, at: datetime
) -> None:
    """From now on the account is told of these; the next turn looks at it by them."""
    before = AlertSettings.objects.filter(account=account).first()
    with transaction.atomic():
        AlertSettings.objects.update_or_create(
            account=account,
            defaults={"kinds": list(kinds), "low_credits": low_credits, "changed_at": at},
        )
        audit.record(
            account,
            audit.Kind.ALERT,
            "chosen",
            changes={
                "kinds": (sorted(before.kinds) if before else None, sorted(kinds)),
                "low_credits": (before.low_credits if before else None, low_credits),
            },
        )


def choose_mail(
    membership: Membership, *, kinds: Collection[str], of_keys: bool | None = None
) -> None:
    """From now on this member gets mail about these.

    of_keys: whether about new networks of keys, and keys that will expire; None leaves it.
    """
    MailChoice.objects.update_or_create(membership=membership, defaults={"kinds": list(kinds)})
    if of_keys is not None:
        mail_choice.choose(membership, is_on=of_keys)
