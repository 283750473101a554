"""Programs that ask the site by an API key: whose it is, and whether it has the scope for that."""

from collections.abc import Sequence

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts.models import Account
from gate.decision.check import Renewal
from gate.service.http import Headers, Problem, bearer_token, forwarded_address
from gate.service.refusals import invalid_key, unavailable
from gate.store import charges, snapshots
from gate.store.charges import Answer
from gate.terms import key_text
from gate.terms.addresses import known_to_hex
from gate.terms.reasons import Reason
from keys import sightings
from keys.allowed import allowed_for
from keys.models import ApiKey
from keys.renew import renew_digests
from quotas.standing import answer_to


@sensitive_variables("key")
def key_of(request: HttpRequest, *, scope: str, to: str) -> ApiKey:
    """The key that a request has, as the gate knows it. Problem for one without the scope.

    to: what the scope is needed for, in words. Nothing is charged.
    """
    headers: Headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
        for name, value in request.headers.items()
    ]
    key = bearer_token(headers)
    if key is None:
        raise invalid_key()
    try:
        handle = key_text.handle_of(key)
        full = key_text.digests(key, settings.KEY_PEPPERS)
    except key_text.MalformedKey:
        raise invalid_key() from None
    account = Account.objects.filter(handle=handle).first()
    if account is None:
        raise invalid_key()
    hops = settings.TRUSTED_PROXIES
    address = forwarded_address(headers, hops=hops) if hops else request.META.get("REMOTE_ADDR")
    from_where = known_to_hex(address)
    answer = _look(account, snapshots.hot_digests(full), address=from_where)
    if answer.status == Reason.INVALID_KEY:
        raise invalid_key()
    found = ApiKey.objects.filter(pk=answer.key_id, account=account)
    if answer.matched:
        renew_digests(
            [
                Renewal(
                    answer.key_id,
                    digest_now=full[answer.matched],
                    digest=full[0],
                    pepper_id=settings.KEY_PEPPERS[0].pepper_id,
                )
            ]
        )
    known = found.select_related("account", "created_by").first()
    if known is not None:
        client = request.META.get("HTTP_USER_AGENT", "")
        sightings.notice(known, address=from_where, client=client, at=timezone.now())
    if known is None or scope not in known.scopes:
        raise Problem(
            403,
            "not_permitted",
            f"This key may not {to}: it lacks the scope {scope}. Make one that has it at "
            "/account/keys.",
        )
    allowed = allowed_for(account)
    if not allowed.has(scope):
        raise Problem(403, "not_permitted", allowed.in_words([scope]))
    return known


def _look(account: Account, digests: Sequence[str], *, address: str) -> Answer:
    """What the gate says of a key; nothing is charged. Problem 503 when it says nothing."""
    call = charges.check_call(
        handle=account.handle,
        digests=digests,
        meter="chat",
        units=0,
        request_id=None,
        address=address,
    )
    answer = answer_to(account, call)
    if answer is None:
        raise unavailable()
    return answer
