"""Reading what a caller of the quota-check service asks, strictly, by its `shapes`."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, TypeVar, get_args

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import FieldInfo

from gate.service import shapes
from gate.service.http import Problem, invalid
from gate.terms import addresses
from gate.terms.redaction import holds_secret

S = TypeVar("S", bound=Struct)


def read_check(body: dict[str, Any]) -> shapes.Check:
    """One check; Problem 400 that names the field."""
    check = _read(body, shapes.Check)
    if check.hold_seconds and not check.units:
        raise invalid("hold_seconds", "“hold_seconds” needs “units” of at least 1.")
    if check.tag is not None:
        require_no_secret("tag", check.tag)
    if check.model is not None:
        require_no_secret("model", check.model)
    return check


def require_no_secret(name: str, value: str) -> None:
    """Problem 400 for a member that would be shown to others and looks like a key."""
    if holds_secret(value):
        raise invalid(name, f"“{name}” looks like a secret, and would be shown on pages.")


def read_batch(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The checks of a batch, each still to be read; Problem 400 when it is no batch."""
    checks = _read(body, shapes.Batch).checks
    for at, check in enumerate(checks):
        if not isinstance(check, dict):
            raise invalid(f"checks[{at}]", f"“checks[{at}]” must be an object.")
    return checks


def read_settlement(body: dict[str, Any]) -> shapes.Settle:
    """What to keep of which hold; Problem 400 that names the field."""
    return _read(body, shapes.Settle)


def read_extension(body: dict[str, Any]) -> shapes.Extend:
    """Which hold goes on, and for how long; Problem 400 that names the field."""
    return _read(body, shapes.Extend)


def read_refund(body: dict[str, Any]) -> shapes.Refund:
    """What to give back; Problem 400 that names the field."""
    return _read(body, shapes.Refund)


def address_of(check: shapes.Check) -> str:
    """Where a check says that its customer is, as 32 hex digits; "" when it does not."""
    if check.ip is None:
        return ""
    try:
        return addresses.to_hex(check.ip)
    except ValueError:
        raise invalid("ip", f"“ip” must be {_must_be(shapes.Address)}.") from None


@cache
def members_of(shape: type[Struct]) -> tuple[FieldInfo, ...]:
    """The members of a shape; msgspec reads the annotations anew each time."""
    return msgspec.structs.fields(shape)


def first_misfit(told: Mapping[str, Any], shape: type[Struct]) -> tuple[str, str] | None:
    """The first member that does not fit its shape, and what it must do instead.

    None where all that the shape knows fit.
    """
    for member in members_of(shape):
        name = member.encode_name
        if name not in told and not member.required:
            continue
        value = told.get(name)
        if name not in told or not _fits(value, member.type):
            return name, "is missing" if value is None else f"must be {_must_be(member.type)}"
    return None


def _read(body: dict[str, Any], shape: type[S]) -> S:
    try:
        return msgspec.convert(body, shape)
    except msgspec.ValidationError:
        raise _wrong(body, shape) from None


def _wrong(body: dict[str, Any], shape: type[Struct]) -> Problem:
    """The answer to a body that has not the shape."""
    misfit = first_misfit(body, shape)
    if misfit is not None:
        name, what = misfit
        return invalid(name, f"“{name}” {what}.")
    known = {member.encode_name for member in members_of(shape)}
    name = next(name for name in body if name not in known)
    return invalid(name, f"There is no member “{name}” here.")


def _fits(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _must_be(kind: Any) -> str:
    """What a value of a type has to be, for people, by its bounds."""
    for meta in _bounds_of(kind):
        if meta.extra is not None:
            return str(meta.extra["must_be"])
        if meta.le is not None:
            return f"a whole number from {meta.ge} to {meta.le:,}"
        if meta.max_length is not None:
            return f"a text of {meta.min_length} to {meta.max_length} characters"
    raise TypeError(f"{kind} has no bounds that could be told")


def _bounds_of(kind: Any) -> Iterator[Meta]:
    yield from getattr(kind, "__metadata__", ())
    for part in get_args(kind):
        yield from _bounds_of(part)
