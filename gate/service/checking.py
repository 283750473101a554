"""What a caller of the quota-check service may ask, read strictly."""

from dataclasses import dataclass
from typing import Any

from gate.service.http import invalid
from gate.terms import addresses

MAX_UNITS = 10_000
MAX_HOLD_SECONDS = 24 * 3600
MAX_BATCH = 100
MAX_REQUEST_ID = 128
MAX_TEXT = 256
MAX_CHARGE_ID = 2_048

_OF_A_CHECK = frozenset({"key", "meter", "units", "request_id", "ip", "hold_seconds"})
_OF_A_BATCH = frozenset({"checks"})
_OF_A_REFUND = frozenset({"charge_id"})
_OF_A_SETTLEMENT = frozenset({"charge_id", "units"})


@dataclass(slots=True)
class CheckRequest:
    """One check, as asked for."""

    key: str
    meter: str
    units: int
    request_id: str | None
    address: str  # 32 hex digits, or "" when not told
    hold_seconds: int


def read_check(body: dict[str, Any]) -> CheckRequest:
    """One check; Problem 400 that names the field."""
    request = CheckRequest(
        key=_text(body, "key"),
        meter=_text(body, "meter", default="chat"),
        units=_whole(body, "units", default=1, high=MAX_UNITS),
        request_id=_request_id(body),
        address=read_address(body.get("ip"), "ip"),
        hold_seconds=_whole(body, "hold_seconds", default=0, high=MAX_HOLD_SECONDS),
    )
    _no_others(body, _OF_A_CHECK)
    if request.hold_seconds and not request.units:
        raise invalid("hold_seconds", "“hold_seconds” needs “units” of at least 1.")
    return request


def read_batch(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The checks of a batch, each still to be read; Problem 400 when it is no batch."""
    checks = body.get("checks")
    if not isinstance(checks, list) or not 1 <= len(checks) <= MAX_BATCH:
        raise invalid("checks", f"“checks” must be a list of 1 to {MAX_BATCH} checks.")
    for at, check in enumerate(checks):
        if not isinstance(check, dict):
            raise invalid(f"checks[{at}]", f"“checks[{at}]” must be an object.")
    _no_others(body, _OF_A_BATCH)
    return checks


def read_refund(body: dict[str, Any]) -> str:
    """The charge id of a refund."""
    charge_id = _text(body, "charge_id", limit=MAX_CHARGE_ID)
    _no_others(body, _OF_A_REFUND)
    return charge_id


def read_settlement(body: dict[str, Any]) -> tuple[str, int]:
    """The charge id of a hold, and the units to keep."""
    charge_id = _text(body, "charge_id", limit=MAX_CHARGE_ID)
    units = _whole(body, "units", default=None, high=MAX_UNITS)
    _no_others(body, _OF_A_SETTLEMENT)
    return charge_id, units


def read_address(value: object, field: str) -> str:
    """An address as 32 hex digits, "" for None."""
    if value is None:
        return ""
    try:
        return addresses.to_hex(value if isinstance(value, str) else "")
    except ValueError:
        raise invalid(
            field, f"“{field}” must be one IPv4 or IPv6 address; it may have a port or a zone."
        ) from None


def is_request_id(value: object) -> bool:
    """Whether a value can be a request id: 1 to 128 printable ASCII characters."""
    return (
        isinstance(value, str)
        and 1 <= len(value) <= MAX_REQUEST_ID
        and value.isascii()
        and value.isprintable()
    )


def _request_id(body: dict[str, Any]) -> str | None:
    value = body.get("request_id")
    if value is None:
        return None
    if not is_request_id(value):
        raise invalid(
            "request_id", f"“request_id” must be 1 to {MAX_REQUEST_ID} printable characters."
        )
    return str(value)


def _text(
    body: dict[str, Any], field: str, *, default: str | None = None, limit: int = MAX_TEXT
) -> str:
    value = body.get(field, default)
    if value is None:
        raise invalid(field, f"“{field}” is missing.")
    if not isinstance(value, str) or not 1 <= len(value) <= limit or not _is_unicode(value):
        raise invalid(field, f"“{field}” must be a text of 1 to {limit} characters.")
    return value


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _whole(body: dict[str, Any], field: str, *, default: int | None, high: int) -> int:
    value = body.get(field, default)
    if value is None:
        raise invalid(field, f"“{field}” is missing.")
    # bool is an int to Python, not to the caller.
    if type(value) is not int or not 0 <= value <= high:
        raise invalid(field, f"“{field}” must be a whole number from 0 to {high:,}.")
    return value


def _no_others(body: dict[str, Any], known: frozenset[str]) -> None:
    if not body.keys() <= known:
        field = next(name for name in body if name not in known)
        raise invalid(field, f"There is no member “{field}” here.")
