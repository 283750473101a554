"""Programmes that look for secrets in public, and sign what they found: GitHub's.

Its public keys are asked for at LEAK_KEYS_URL and kept for an hour. A signature says who reports,
and nothing about the keys that are reported: whoever has the text of a key may have it revoked.
"""

import base64
import binascii
import logging
from collections.abc import Mapping
from typing import Any

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.core.cache import cache

from accounts.outside import CannotCall, Line
from gate.service import strict_json

logger = logging.getLogger(__name__)

GITHUB = "GitHub secret scanning"
IDENTIFIER, SIGNATURE = "Github-Public-Key-Identifier", "Github-Public-Key-Signature"
_KEPT, _KEPT_SECONDS = "leaks:programme-keys", 3_600
# A stranger names keys that there are not: they are asked for no more often than this.
_ASKED, _ASKED_SECONDS = "leaks:programme-keys-asked", 60
_SECONDS, _KEYS_AT_MOST, _BYTES_AT_MOST = 3.0, 100, 256 * 1024

_line = Line("asking for the keys of a programme", at_once=2)


class ForgedReport(Exception):
    """The signature is not of this body, though the programme has such a key."""


def signer_of(headers: Mapping[str, str], body: bytes) -> str:
    """Which programme signed a report; "" for none that we can tell. Raises ForgedReport.

    RedisError when the cache is away.
    """
    identifier, signature = headers.get(IDENTIFIER, ""), headers.get(SIGNATURE, "")
    if not (identifier and signature and settings.LEAK_KEYS_URL):
        return ""
    text = _key(identifier)
    if text is None:
        return ""
    try:
        key = serialization.load_pem_public_key(text.encode())
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise ForgedReport
        key.verify(base64.b64decode(signature, validate=True), body, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError, binascii.Error):
        raise ForgedReport from None
    return GITHUB


def _key(identifier: str) -> str | None:
    known: dict[str, str] | None = cache.get(_KEPT)
    if known is not None and identifier in known:
        return known[identifier]
    if not cache.add(_ASKED, 1, timeout=_ASKED_SECONDS):
        return None
    try:
        known = _line.call(_ask, within_seconds=_SECONDS + 1)
    except (CannotCall, httpx.HTTPError, OSError, ValueError) as error:
        # The report counts all the same, as one of nobody.
        logger.warning("no keys of a programme: %s", type(error).__name__)
        return None
    cache.set(_KEPT, known, timeout=_KEPT_SECONDS)
    return known.get(identifier)


def _ask() -> dict[str, str]:
    """Every public key that there is, by its identifier. ValueError for any other answer."""
    with httpx.Client(timeout=_SECONDS, follow_redirects=False) as client:
        answer = client.get(settings.LEAK_KEYS_URL, headers={"Accept": "application/json"})
    answer.raise_for_status()
    if len(answer.content) > _BYTES_AT_MOST:
        raise ValueError("too long")
    said: Any = strict_json.loads(answer.content)
    rows = said.get("public_keys") if isinstance(said, dict) else None
    if not isinstance(rows, list):
        raise ValueError("no list of keys")  # noqa: TRY004 - what was said, not what was passed
    found = [
        (row.get("key_identifier"), row.get("key"))
        for row in rows[:_KEYS_AT_MOST]
        if isinstance(row, dict)
    ]
    return {
        identifier: key
        for identifier, key in found
        if isinstance(identifier, str) and isinstance(key, str)
    }
