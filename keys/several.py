"""One act for several keys: recorded as one, and confirmed by the gate key by key."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from django.db import transaction

from accounts.models import User
from keys import projection
from keys.edit import CannotEdit, switch_locked
from keys.models import ApiKey
from keys.revoke import revoke_locked

# As many as one page asks about and one request changes.
KEYS_AT_ONCE = 100
_NUMBER_BELOW = 2**63


class Do(StrEnum):
    """What may be done with several keys at once."""

    REVOKE = "revoke"
    SWITCH_OFF = "off"
    SWITCH_ON = "on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of each key.

    done: the gate goes by it. waiting: it is recorded, but the gate has not confirmed it, which is
    repeated by itself. final: it is revoked, so that nothing was changed.
    """

    done: list[ApiKey] = field(default_factory=list)
    waiting: list[ApiKey] = field(default_factory=list)
    final: list[ApiKey] = field(default_factory=list)


def numbers_in(texts: Iterable[str]) -> list[int]:
    """The numbers of keys that an address or a form names; what is none is no key."""
    numbers = (
        int(text) for text in texts if text.isascii() and text.isdecimal() and text[19:] == ""
    )
    return [number for number in dict.fromkeys(numbers) if number < _NUMBER_BELOW]


def do_with_several(
    *, keys: Iterable[ApiKey], do: Do, by: User | None, at: datetime, note: str = ""
) -> Outcome:
    """Revoke keys, or switch them off or on; what is `done` the gate goes by already.

    A gate that gives no answer is asked once: whoever waits for the page does not wait for each.
    """
    outcome = Outcome()
    recorded = []
    with transaction.atomic():
        rows = ApiKey.objects.select_for_update(of=("self",)).select_related("account")
        # In one order everywhere: two who meet in the same keys cannot wait for each other.
        for key in rows.filter(pk__in=[key.pk for key in keys]).order_by("pk"):
            try:
                if do is Do.REVOKE:
                    revoke_locked(key, by=by, at=at, note=note)
                else:
                    switch_locked(key, is_on=do is Do.SWITCH_ON, by=by, at=at)
            except CannotEdit:
                outcome.final.append(key)
            else:
                recorded.append(key)
    answers = True
    for key in recorded:
        is_known = key.pushed_version >= key.version
        if not is_known and answers:
            is_known = answers = projection.push_key(key)
        (outcome.done if is_known else outcome.waiting).append(key)
    return outcome
