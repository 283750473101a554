"""Moving keys to the current pepper, as they are used: the secret stays, its digest is another.

The digest under the older pepper stays valid beside it, so that no request is refused while the
gate's processes have one pepper or the other. It ends with the key, or when the key gets another
secret or moves on.
"""

from collections.abc import Sequence
from operator import attrgetter

from django.utils import timezone

from gate.decision.check import Renewal
from keys import projection
from keys.edit import CannotEdit, key_held
from keys.models import ApiKey


def renew_digests(renewals: Sequence[Renewal]) -> None:
    """Have keys known by the current pepper's digest, too, that were used under an older one.

    What the gate does not know yet is repeated. A key whose old secret is still valid moves when
    that is over: it has one place for what is valid besides.
    """
    # In one order everywhere: two processes that meet in the same keys cannot wait for each other.
    for renewal in sorted(renewals, key=attrgetter("key_id")):
        key = ApiKey.objects.filter(pk=renewal.key_id, digest=renewal.digest_now).first()
        if key is None or key.former_works_until is not None:
            continue
        try:
            _renew(key, renewal)
        except (CannotEdit, projection.CannotConfirm):
            # Revoked for good, or the next use says it again.
            continue


def _renew(key: ApiKey, renewal: Renewal) -> None:
    with key_held(key) as locked:
        if locked.former_is_valid and locked.former_is_same_secret:
            # Of a pepper before that one.
            locked.change(former_ends_at=timezone.now())
    # The gate has to know that one is over before another stands in its place.
    projection.confirm(locked)
    with key_held(key) as locked:
        # It may have got another secret meanwhile, which the current pepper made.
        if locked.digest != renewal.digest_now or locked.former_is_valid:
            return
        locked.take_digest(digest=renewal.digest, pepper_id=renewal.pepper_id)
    projection.push_key(locked)
