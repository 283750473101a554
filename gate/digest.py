"""API keys and service tokens: how they read, and what is stored instead of them.

An API key reads `sk_` + account handle (8) + secret (32) + checksum (6), all base62. The handle
says which partition to ask; the checksum refuses typing errors and noise without a look-up.
Only an HMAC-SHA-256 under a pepper is ever stored.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
HANDLE_LENGTH = 8
_SECRET_LENGTH = 32
_CHECKSUM_LENGTH = 6
_KEY_PREFIX = "sk_"
_SERVICE_PREFIX = "svc_"
_KEY_LENGTH = len(_KEY_PREFIX) + HANDLE_LENGTH + _SECRET_LENGTH + _CHECKSUM_LENGTH
_TOKEN_LENGTH = len(_SERVICE_PREFIX) + _SECRET_LENGTH + _CHECKSUM_LENGTH
_is_base62 = re.compile("[0-9A-Za-z]+").fullmatch


class MalformedKey(ValueError):
    """The text cannot be a key: wrong prefix, length, alphabet or checksum."""


@dataclass(frozen=True, slots=True)
class Pepper:
    """A secret that every stored digest depends on; `pepper_id` says which one made a digest."""

    pepper_id: str
    # Out of every representation: a pepper must not reach a log through an exception.
    secret: bytes = field(repr=False)


def new_handle() -> str:
    """A fresh random account handle."""
    return _random_base62(HANDLE_LENGTH)


def new_api_key(handle: str) -> str:
    """A fresh API key of an account, in clear: show it once and forget it."""
    return _with_checksum(_KEY_PREFIX + handle + _random_base62(_SECRET_LENGTH))


def new_service_token() -> str:
    """A fresh service token, in clear: show it once and forget it."""
    return _with_checksum(_SERVICE_PREFIX + _random_base62(_SECRET_LENGTH))


def new_hold_id() -> str:
    """A fresh id of a hold; stream entries have ids of another form."""
    return "h" + _random_base62(16)


def handle_of(api_key: str) -> str:
    """The account handle inside a well-formed API key; MalformedKey for anything else."""
    _verify(api_key, _KEY_PREFIX, _KEY_LENGTH)
    return api_key[len(_KEY_PREFIX) : len(_KEY_PREFIX) + HANDLE_LENGTH]


def verify_service_token(token: str) -> None:
    """Raise MalformedKey unless the text could be a service token."""
    _verify(token, _SERVICE_PREFIX, _TOKEN_LENGTH)


def digest(secret_text: str, pepper: Pepper) -> str:
    """What is stored of a key or token: HMAC-SHA-256, base64url without padding (43 characters)."""
    mac = hmac.digest(pepper.secret, secret_text.encode("ascii"), hashlib.sha256)
    return urlsafe_b64encode(mac).rstrip(b"=").decode("ascii")


def digests(secret_text: str, peppers: Sequence[Pepper]) -> list[str]:
    """The digests under every pepper in use, the current one first."""
    return [digest(secret_text, pepper) for pepper in peppers]


def _verify(text: str, prefix: str, length: int) -> None:
    if len(text) != length or not text.startswith(prefix):
        raise MalformedKey
    if not _is_base62(text, len(prefix)):
        raise MalformedKey
    if text[-_CHECKSUM_LENGTH:] != _checksum(text[:-_CHECKSUM_LENGTH]):
        raise MalformedKey


def _with_checksum(text: str) -> str:
    return text + _checksum(text)


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode("ascii"))
    characters = []
    for _ in range(_CHECKSUM_LENGTH):
        number, remainder = divmod(number, 62)
        characters.append(BASE62[remainder])
    return "".join(reversed(characters))


def _random_base62(length: int) -> str:
    return "".join(secrets.choice(BASE62) for _ in range(length))
