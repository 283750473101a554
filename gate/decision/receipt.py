"""Charge ids that are their own receipt.

A charge id carries what was taken and from where, under a signature. A refund therefore needs no
record of the charge, neither in Valkey's memory nor in PostgreSQL, and nobody can invent one.
"""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from urllib.parse import quote

from gate.store import layout
from gate.terms.key_text import Pepper

_PREFIX = "ch_"
_MAC_BYTES = 16


class UnknownCharge(ValueError):
    """The text is not a charge id that this installation gave out."""


@dataclass(slots=True)
class Receipt:
    """What one charge took: chats of the allowance, chats by boost, credits."""

    handle: str
    charge_ref: str  # id of the stream entry, or of the hold; unique in the account's partition
    is_hold: bool
    at_ms: int
    week: int
    key_id: int
    key_digest: str
    meter: str
    allowance: int  # chats
    boosts: str  # "boost id:chats" joined by commas
    credits: int
    credit_chats: int  # chats that those credits paid
    note: str = ""  # what a hold says of itself, of another charge only its tag


# Of a note; a receipt is ASCII, and these stand as %7C and the like.
_PLAIN = "".join(sign for sign in map(chr, range(32, 127)) if sign not in "%|")
_values_of = attrgetter(*(field.name for field in layout.RECEIPT.fields if not field.is_later))


def to_charge_id(receipt: Receipt, pepper: Pepper) -> str:
    """The signed text of a receipt."""
    text = layout.RECEIPT.template % _values_of(receipt)
    if receipt.note:
        text += layout.RECEIPT.separator + quote(receipt.note, safe=_PLAIN)
    payload = text.encode("ascii")
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
    return Receipt(**layout.RECEIPT.read(payload.decode("ascii")))


def _mac(payload: bytes, pepper: Pepper) -> bytes:
    # "charge" keeps these signatures apart from key digests under the same pepper.
    return pepper.mac(b"charge\n" + payload)[:_MAC_BYTES]
