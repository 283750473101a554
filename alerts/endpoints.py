"""Webhooks of an account: added, changed, rotated, removed, tested, and given up."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import audit
from accounts.models import Account, User
from accounts.outside import CannotCall
from alerts import posting, raising, reasons, signing
from alerts.models import Delivery, Kind, WebhookEndpoint
from alerts.public_addresses import CannotLeadThere
from gate.terms import week

AT_MOST = 5
# One that fails for so long, and so often in a row, is switched off.
_GIVEN_UP_AFTER = timedelta(days=3)
_FAILURES_AT_LEAST = 8


class CannotChangeWebhook(Exception):
    """Nothing was changed; the message says why, to the user."""


class AddressRefused(CannotChangeWebhook):
    """A webhook cannot go to this address."""


def of_account(account: Account) -> QuerySet[WebhookEndpoint]:
    """The webhooks of an account, those that are off with them."""
    return WebhookEndpoint.objects.filter(account=account, removed_at=None)


def add(*, account: Account, url: str, submission: UUID, by: User, at: datetime) -> WebhookEndpoint:
    """A webhook of an account, or the one that this form made before.

    Waits for name servers, so no transaction may be open. Raises CannotChangeWebhook.
    """
    if made := _made_by(submission, account=account):
        return made
    _require_reachable(url)
    with transaction.atomic():
        # Two forms at once must not make more than there may be.
        Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        if of_account(account).count() >= AT_MOST:
            raise CannotChangeWebhook(_too_many())
        if made := _made_by(submission, account=account):
            return made
        if of_account(account).filter(url=url).exists():
            raise AddressRefused(_("This address is there already."))
        audit.record(account, audit.Kind.ALERT, "endpoint added", thing=url, by=by)
        return WebhookEndpoint.objects.create(
            account=account,
            url=url,
            submission=submission,
            pepper_id=settings.KEY_PEPPERS[0].pepper_id,
            created_by=by,
            created_at=at,
        )


def change(endpoint: WebhookEndpoint, *, url: str, is_on: bool) -> None:
    """Lead it elsewhere, switch it on or off. Raises CannotChangeWebhook."""
    if url != endpoint.url:
        _require_reachable(url)
    changes = {"url": (endpoint.url, url), "is_on": (endpoint.is_on, is_on)}
    endpoint.url, endpoint.is_on = url, is_on
    # Whoever says that it is to be used gives it time anew.
    endpoint.failures, endpoint.failing_since, endpoint.switched_off_at = 0, None, None
    try:
        with transaction.atomic():
            endpoint.save(
                update_fields=["url", "is_on", "failures", "failing_since", "switched_off_at"]
            )
            audit.record(
                endpoint.account,
                audit.Kind.ALERT,
                "endpoint changed",
                thing=endpoint.url,
                changes=changes,
            )
    except IntegrityError:
        raise AddressRefused(_("This address is there already.")) from None


def rotate(endpoint: WebhookEndpoint, *, generation: int, at: datetime) -> WebhookEndpoint:
    """Give it the secret after `generation`, once; the one before signs for another day, too.

    Raises CannotChangeWebhook when somebody else has rotated it meanwhile.
    """
    mine = WebhookEndpoint.objects.filter(pk=endpoint.pk, generation=generation, removed_at=None)
    with transaction.atomic():
        is_done = mine.update(
            generation=F("generation") + 1,
            previous_pepper_id=F("pepper_id"),
            pepper_id=settings.KEY_PEPPERS[0].pepper_id,
            previous_until=at + signing.OVERLAP,
        )
        if is_done:
            audit.record(endpoint.account, audit.Kind.ALERT, "secret rotated", thing=endpoint.url)
    endpoint.refresh_from_db()
    if endpoint.generation != generation + 1:
        raise CannotChangeWebhook(_("The secret was rotated by somebody else. Look before you do."))
    return endpoint


def remove(endpoint: WebhookEndpoint, *, at: datetime) -> None:
    """Tell it nothing more. What it was told stays in the log."""
    endpoint.removed_at = at
    with transaction.atomic():
        endpoint.save(update_fields=["removed_at"])
        audit.record(endpoint.account, audit.Kind.ALERT, "endpoint removed", thing=endpoint.url)


def send_test(endpoint: WebhookEndpoint, *, at: datetime) -> None:
    """Send it a test. Raises CannotChangeWebhook while it is off or another is on its way."""
    if not endpoint.takes:
        raise CannotChangeWebhook(_("The webhook is off. Switch it on first."))
    with transaction.atomic():
        locked = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
        waiting = Delivery.objects.filter(
            endpoint=locked, alert__kind=Kind.TEST, state=Delivery.State.WAITING
        )
        if waiting.exists():
            raise CannotChangeWebhook(_("A test is on its way already."))
        raising.raise_test(locked, at=at)


def has_taken(endpoint: WebhookEndpoint) -> None:
    """It answered as it should."""
    if endpoint.failures:
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(failures=0, failing_since=None)


def has_failed(endpoint: WebhookEndpoint, *, again_at: datetime, at: datetime) -> None:
    """It did not take something: all that waits for it comes later, and after days nothing does."""
    waiting = Delivery.objects.filter(endpoint=endpoint, state=Delivery.State.WAITING)
    waiting.filter(claimed_until=None, next_try_at__lt=again_at).update(next_try_at=again_at)
    with transaction.atomic():
        locked = WebhookEndpoint.objects.select_for_update(of=("self",), no_key=True)
        found = locked.select_related("account").get(pk=endpoint.pk)
        found.failures += 1
        found.failing_since = found.failing_since or at
        is_given_up = (
            found.is_on
            and found.failures >= _FAILURES_AT_LEAST
            and at - found.failing_since >= _GIVEN_UP_AFTER
        )
        if is_given_up:
            found.is_on, found.switched_off_at = False, at
            since = week.utc_text(found.failing_since)
            raising.raise_alert(
                account=found.account,
                kind=Kind.ENDPOINT_OFF,
                occasion=f"{found.pk}:{since}",
                data={"url": found.url, "since": since},
                at=at,
            )
        found.save(update_fields=["failures", "failing_since", "is_on", "switched_off_at"])


def _made_by(submission: UUID, *, account: Account) -> WebhookEndpoint | None:
    made = WebhookEndpoint.objects.filter(account=account, submission=submission).first()
    if made is not None and made.removed_at is not None:
        raise CannotChangeWebhook(_("This webhook was added and removed. Open the page anew."))
    return made


def _require_reachable(url: str) -> None:
    try:
        posting.check(url)
    except CannotLeadThere as error:
        raise AddressRefused(reasons.in_words(str(error))) from None
    except CannotCall:
        raise AddressRefused(
            _("The name of this server was not found in time. Try again.")
        ) from None


def _too_many() -> str:
    return ngettext(
        "An account has %(count)s webhook at most. Remove one that is no longer needed.",
        "An account has %(count)s webhooks at most. Remove one that is no longer needed.",
        AT_MOST,
    ) % {"count": AT_MOST}
