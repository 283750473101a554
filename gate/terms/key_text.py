"""API keys and service tokens: how they read, and what is stored instead of them.

An API key reads `sk_` + account handle (8) + secret (32) + checksum (6), all base62. The handle
says which partition to ask; the checksum refuses typing errors and noise without a look-up.
Only an HMAC-SHA-256 under a pepper is ever stored.
"""

import hashlib
import secrets
import string
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
HANDLE_LENGTH = 8
_SECRET_LENGTH = 32
_CHECKSUM_LENGTH = 6
_KEY_PREFIX = "sk_"
_SERVICE_PREFIX = "svc_"
KEY_LENGTH = len(_KEY_PREFIX) + HANDLE_LENGTH + _SECRET_LENGTH + _CHECKSUM_LENGTH
TOKEN_LENGTH = len(_SERVICE_PREFIX) + _SECRET_LENGTH + _CHECKSUM_LENGTH
# Two digits at once.
_PAIRS = [one + other for one in BASE62 for other in BASE62]


class MalformedKey(ValueError):
    """The text cannot be a key: wrong prefix, length, alphabet or checksum."""


@dataclass(frozen=True, slots=True)
class Pepper:
    """A secret that every stored digest depends on; `pepper_id` says which one made a digest."""

    pepper_id: str
    # Out of every representation: a pepper must not reach a log through an exception.
    secret: bytes = field(repr=False)

    def mac(self, message: bytes) -> bytes:
        """HMAC-SHA-256 (RFC 2104). Two are made for every check, so what is alike is done once."""
        inner, outer = _begun(self.secret)
        inner, outer = inner.copy(), outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


@lru_cache(maxsize=16)
def _begun(secret: bytes) -> tuple["hashlib._Hash", "hashlib._Hash"]:
    """The two hashes of an HMAC, as far as the message does not matter."""
    block_size = 64
    if len(secret) > block_size:
        secret = hashlib.sha256(secret).digest()
    secret = secret.ljust(block_size, b"\0")
    return (
        hashlib.sha256(bytes(byte ^ 0x36 for byte in secret)),
        hashlib.sha256(bytes(byte ^ 0x5C for byte in secret)),
    )


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
    _verify(api_key, _KEY_PREFIX, KEY_LENGTH)
    return api_key[len(_KEY_PREFIX) : len(_KEY_PREFIX) + HANDLE_LENGTH]


def verify_service_token(token: str) -> None:
    """Raise MalformedKey unless the text could be a service token."""
    _verify(token, _SERVICE_PREFIX, TOKEN_LENGTH)


def digest(secret_text: str, pepper: Pepper) -> str:
    """What is stored of a key or token: HMAC-SHA-256, base64url without padding (43 characters)."""
    return urlsafe_b64encode(pepper.mac(secret_text.encode("ascii")))[:-1].decode("ascii")


def digests(secret_text: str, peppers: Sequence[Pepper]) -> list[str]:
    """The digests under every pepper in use, the current one first."""
    return [digest(secret_text, pepper) for pepper in peppers]


def _verify(text: str, prefix: str, length: int) -> None:
    if len(text) != length or not text.startswith(prefix):
        raise MalformedKey
    # What is left of ASCII are the 62 digits.
    if not (text.isascii() and text[len(prefix) :].isalnum()):
        raise MalformedKey
    if text[-_CHECKSUM_LENGTH:] != _checksum(text[:-_CHECKSUM_LENGTH]):
        raise MalformedKey


def _with_checksum(text: str) -> str:
    return text + _checksum(text)


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode("ascii"))
    number, low = divmod(number, len(_PAIRS))
    high, middle = divmod(number, len(_PAIRS))
    return _PAIRS[high] + _PAIRS[middle] + _PAIRS[low]


def _random_base62(length: int) -> str:
    return "".join(secrets.choice(BASE62) for _ in range(length))
