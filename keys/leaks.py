"""Keys that were found where anybody can read them: revoked at once, and their owners are told.

The text itself is the proof. Whoever has it could use the key; that they have it revoked is the
better of the two, so nobody is asked who they are.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Q
from django.views.decorators.debug import sensitive_variables

from gate.service.alarms import Alarm, Alarms
from gate.terms import key_text
from gate.terms.redaction import redact
from keys import leak_mails, revoke_notes
from keys.edit import CannotEdit
from keys.models import ApiKey, ServiceToken
from keys.projection import CannotConfirm
from keys.revoke import revoke_api_key
from keys.rotate import end_former_secret

logger = logging.getLogger(__name__)
alarms = Alarms()

# What programmes that look for secrets are given; the checksum tells the rest.
KEY_PATTERN = r"sk_[0-9A-Za-z]{46}"
TOKEN_PATTERN = r"svc_[0-9A-Za-z]{38}"  # noqa: S105 - the pattern of one
_FOUND = re.compile(rf"(?<![0-9A-Za-z])(?:{KEY_PATTERN}|{TOKEN_PATTERN})(?![0-9A-Za-z])")
_ADDRESS = re.compile(r"https?://[\x21-\x7e\u00a1-\ud7ff\ue000-\ufffd]+")
_ADDRESS_AT_MOST = 170


@dataclass(frozen=True, slots=True, repr=False)
class Find:
    """One text that was found, and where; "" where that is not said. No log shows it."""

    text: str
    url: str = ""


@sensitive_variables()
def readable_address(url: object) -> str:
    """Where something was found, as people may read it: without secrets, and not too long."""
    if not isinstance(url, str) or not _ADDRESS.fullmatch(url):
        return ""
    url = redact(url)
    return url if len(url) <= _ADDRESS_AT_MOST else url[: _ADDRESS_AT_MOST - 1] + "…"


@sensitive_variables()
def take_back(finds: Iterable[Find], *, at: datetime) -> int:
    """Revoke every key among what was found; answers how many, former secrets included.

    Of a key that has another secret by now only the one that was found ends: its owner has done
    already what they would have to do, and the programs that have the new one go on.

    Typing errors and noise have no checksum, and cost no look-up. A service token stays: with it
    all traffic of an API server would stop, and whoever found it should not decide that. Operators
    are told.
    """
    found_at: dict[str, str] = {}
    for find in finds:
        for text in _FOUND.findall(find.text):
            if _is_well_formed(text):
                digests = key_text.digests(text, settings.KEY_PEPPERS)
                found_at.update((digest, found_at.get(digest) or find.url) for digest in digests)
    if not found_at:
        return 0
    taken = 0
    is_found = Q(digest__in=found_at) | Q(former_digest__in=found_at)
    for key in list(ApiKey.objects.filter(is_found, revoked_at=None)):
        if key.digest in found_at or key.former_is_same_secret:
            digest = key.digest if key.digest in found_at else key.former_digest
            taken += _revoke(key, url=found_at[digest], at=at)
        else:
            taken += _end_former(key, url=found_at[key.former_digest], at=at)
    _tell_operators(list(ServiceToken.objects.filter(digest__in=found_at)), at=at)
    return taken


@sensitive_variables()
def _is_well_formed(text: str) -> bool:
    try:
        if text.startswith("sk_"):
            key_text.handle_of(text)
        else:
            key_text.verify_service_token(text)
    except key_text.MalformedKey:
        return False
    return True


def _revoke(key: ApiKey, *, url: str, at: datetime) -> bool:
    """Whether it was revoked now; its owners hear of it in the transaction that does it."""
    told = False

    def tell(revoked: ApiKey) -> None:
        nonlocal told
        told = True
        leak_mails.write(revoked, url=url, at=at)

    try:
        revoke_api_key(key=key, by=None, at=at, note=_note(url), act="leaked", tell=tell)
    except CannotConfirm:
        # It is revoked; that the gate hears of it is repeated every second.
        logger.warning("leaked key %s waits for the gate", key.pk)
    return told


def _end_former(key: ApiKey, *, url: str, at: datetime) -> bool:
    """Whether the secret before the last one ended now; its owners hear of it as above."""

    def tell(ended: ApiKey) -> None:
        leak_mails.write(ended, url=url, at=at, is_former=True)

    try:
        return end_former_secret(
            key=key, by=None, at=at, note=_note(url), act="former leaked", tell=tell
        )
    except CannotEdit:
        return False
    except CannotConfirm:
        logger.warning("the leaked former secret of key %s waits for the gate", key.pk)
        return True


def _note(url: str) -> str:
    return revoke_notes.LEAKED_AT % {"url": url} if url else revoke_notes.LEAKED


def _tell_operators(tokens: Sequence[ServiceToken], *, at: datetime) -> None:
    for token in tokens:
        if token.revoked_at is None:
            ServiceToken.objects.filter(pk=token.pk, reported_at=None).update(reported_at=at)
            alarms.tell(
                Alarm(
                    f"leaked token {token.pk}",
                    f"The service token “{token.name}” ({token.masked}) was reported as found in "
                    "public. Issue another one for its server, then revoke it in the admin.",
                )
            )
