"""Charge ids that are their own receipt.

A charge id carries what was taken and from where, under a signature. A refund therefore needs no
record of the charge, neither in Valkey's memory nor in PostgreSQL, and nobody can invent one.
"""

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from gate.digest import Pepper

_PREFIX = "ch_"
_MAC_BYTES = 16


class UnknownCharge(ValueError):
    """The text is not a charge id that this installation gave out."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one charge took: chats of the allowance, chats by boost, credits."""

    handle: str
    entry_id: str  # of the stream entry, unique in the account's partition
    at_ms: int
    week: int
    key_id: int
    meter: str
    allowance: int  # chats
    boosts: str  # "boost id:chats" joined by commas
    credits: int
    credit_chats: int  # chats that those credits paid


def to_charge_id(receipt: Receipt, pepper: Pepper) -> str:
    """The signed text of a receipt."""
    payload = "|".join(str(value) for value in astuple(receipt)).encode("ascii")
    signed = _mac(payload, pepper) + payload
    return _PREFIX + urlsafe_b64encode(signed).rstrip(b"=").decode("ascii")


def from_charge_id(charge_id: str, peppers: Sequence[Pepper]) -> Receipt:
    """The receipt in a charge id; UnknownCharge when it is not one of ours."""
    if not charge_id.startswith(_PREFIX) or not charge_id.isascii():
        raise UnknownCharge
    text = charge_id[len(_PREFIX) :]
    try:
        signed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise UnknownCharge from error
    mac, payload = signed[:_MAC_BYTES], signed[_MAC_BYTES:]
    if not any(hmac.compare_digest(mac, _mac(payload, pepper)) for pepper in peppers):
        raise UnknownCharge
    handle, entry_id, at_ms, week, key_id, meter, allowance, boosts, credits, credit_chats = (
        payload.decode("ascii").split("|")
    )
    return Receipt(
        handle=handle,
        entry_id=entry_id,
        at_ms=int(at_ms),
        week=int(week),
        key_id=int(key_id),
        meter=meter,
        allowance=int(allowance),
        boosts=boosts,
        credits=int(credits),
        credit_chats=int(credit_chats),
    )


def _mac(payload: bytes, pepper: Pepper) -> bytes:
    # "charge" keeps these signatures apart from key digests under the same pepper.
    return hmac.digest(pepper.secret, b"charge\n" + payload, hashlib.sha256)[:_MAC_BYTES]
