"""Making keys and tokens: made and shown, or not made.

The text is shown in the transaction that writes the digest down. Whatever prevents showing it,
a page that cannot be rendered or a terminal that is gone, leaves nothing behind.
"""

from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from accounts import audit
from accounts.models import WITHOUT_BUDGET, Account, Membership, User
from gate.service.trust import Trust
from gate.terms import key_text
from keys import projection, telling
from keys.bounds import bound_of
from keys.limits import NO_LIMITS, KeyLimits
from keys.models import ONE_WAY_TO_KNOW_THE_ADDRESS, ApiKey, ServiceToken


class CannotIssueKey(Exception):
    """No key was made; the message says why, to the user."""


class AlreadyIssued(CannotIssueKey):
    """The same form was submitted before; its key was shown then."""

    def __init__(self, key: ApiKey) -> None:
        super().__init__(_("This key was made and shown already."))
        self.key = key


class NameTaken(CannotIssueKey):
    """A service token of this name exists."""


class CannotTrust(CannotIssueKey):
    """What a service token should be trusted with contradicts itself."""


NO_TRUST = Trust()


def _by_the_caller(_made: ApiKey | ServiceToken, _plaintext: str) -> None:
    """For callers that show the text themselves."""


@sensitive_variables("plaintext")
def issue_api_key(
    *,
    account: Account,
    name: str,
    submission: UUID,
    by: User | None,
    limits: KeyLimits = NO_LIMITS,
    show: Callable[[ApiKey, str], object] = _by_the_caller,
) -> tuple[ApiKey, str]:
    """A new key and its text, which is nowhere else. Raises AlreadyIssued or CannotIssueKey.

    show: prepares or prints the text; if it raises, there is no key.
    """
    plaintext = key_text.new_api_key(account.handle)
    pepper = settings.KEY_PEPPERS[0]
    with transaction.atomic():
        # The account's row is the lock that makes counting and adding one act.
        Account.objects.select_for_update().get(pk=account.pk)
        before = ApiKey.objects.filter(account=account, submission=submission).first()
        if before is not None:
            raise AlreadyIssued(before)
        bound = bound_of(account)
        # Counted no further than it matters: a plan with fewer leaves those that are there.
        live = ApiKey.objects.filter(account=account, revoked_at=None).order_by()
        if live[: bound.at_most].count() >= bound.at_most:
            raise CannotIssueKey(bound.in_words)
        key = ApiKey.objects.create(
            account=account,
            name=name,
            digest=key_text.digest(plaintext, pepper),
            pepper_id=pepper.pepper_id,
            last_four=plaintext[-4:],
            submission=submission,
            created_by=by,
            is_counted_for_member=_is_counted(account, by),
            **limits.columns(),
        )
        event = audit.record(
            account,
            audit.Kind.KEY,
            "created",
            thing=str(key),
            changes={name: (None, value) for name, value in key.limits().items()},
            by=by,
        )
        show(key, plaintext)
        telling.tell_created(key, event)
    projection.push_key(key)
    return key, plaintext


def _is_counted(account: Account, by: User | None) -> bool:
    """Whether what the key uses counts in the budget of the member who makes it."""
    members = Membership.objects.filter(account=account, user=by).exclude(WITHOUT_BUDGET)
    return by is not None and members.exists()


@sensitive_variables("plaintext")
def issue_service_token(
    *,
    name: str,
    trust: Trust = NO_TRUST,
    show: Callable[[ServiceToken, str], object] = _by_the_caller,
) -> tuple[ServiceToken, str]:
    """A new service token and its text, which is nowhere else. Raises NameTaken or CannotTrust.

    trust: what counts of what comes with it; its number and name are those of the new token.
    show: prepares or prints the text; if it raises, there is no token.
    """
    if trust.client_ip and trust.forwarded_hops:
        raise CannotTrust(ONE_WAY_TO_KNOW_THE_ADDRESS)
    plaintext = key_text.new_service_token()
    try:
        with transaction.atomic():
            token = ServiceToken.objects.create(
                name=name,
                digest=key_text.digest(plaintext, settings.KEY_PEPPERS[0]),
                last_four=plaintext[-4:],
                trusts_request_id=trust.request_id,
                trusts_units=trust.units,
                trusts_client_ip=trust.client_ip,
                forwarded_hops=trust.forwarded_hops,
                meter=trust.meter,
            )
            show(token, plaintext)
    except IntegrityError as error:
        raise NameTaken(f"There is a service token “{name}” already.") from error
    return token, plaintext
