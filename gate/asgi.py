"""The quota-check service: `/quota/v1/…` for API servers and gateways."""

import logging
from typing import Any

from gate.check import CannotRefund, Decision, Gate, QuotaUnavailable, RequestIdConflict, now_ms
from gate.http import (
    App,
    ClientGone,
    Headers,
    Problem,
    Receive,
    Scope,
    Send,
    bearer_token,
    invalid,
    json_object,
    read_body,
    require_method,
    send_json,
    send_problem,
    utc_text,
)
from gate.rate_headers import rate_headers
from gate.service_tokens import ServiceTokens

logger = logging.getLogger(__name__)

_BODY_LIMIT = 16 * 1024
_MAX_UNITS = 10_000
_MAX_REQUEST_ID = 128
_MAX_TEXT = 256

Answer = tuple[int, dict[str, Any], Headers]


def create_app(*, gate: Gate, service_tokens: ServiceTokens) -> App:
    """The ASGI application of the quota-check service."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            handler = _HANDLERS[_path(scope)]
            await _authenticate(scope, service_tokens)
            body = json_object(scope, await read_body(receive, limit=_BODY_LIMIT))
            status, value, headers = await handler(gate, body)
            await send_json(send, status, value, headers)
        except Problem as problem:
            await send_problem(send, problem)
        except QuotaUnavailable:
            await send_problem(send, unavailable())
        except ClientGone:
            return
        except Exception:
            logger.exception("%s failed", scope["path"])
            await send_problem(
                send, Problem(500, "internal_error", "Something broke on our side; try again.")
            )

    return app


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    if path not in _HANDLERS:
        raise Problem(404, "not_found", "There is nothing at this address.")
    require_method(scope, "POST")
    return path


async def _authenticate(scope: Scope, service_tokens: ServiceTokens) -> None:
    token = bearer_token(scope)
    if token is None or not await service_tokens.accepts(token):
        raise Problem(
            401,
            "invalid_service_token",
            "Send a valid service token as “Authorization: Bearer svc_…”.",
            headers=[(b"www-authenticate", b'Bearer realm="quota"')],
        )


def unavailable() -> Problem:
    """The answer when no decision can be made: never a free pass."""
    return Problem(
        503,
        "quota_unavailable",
        "The quota cannot be checked at the moment. Try again in a few seconds.",
        headers=[(b"retry-after", b"2")],
    )


async def _check(gate: Gate, body: dict[str, Any]) -> Answer:
    key = _text(body, "key", limit=_MAX_TEXT)
    meter = _text(body, "meter", limit=_MAX_TEXT, default="chat")
    units = _units(body)
    request_id = _request_id(body)
    _no_others(body, {"key", "meter", "units", "request_id", "ip"})
    at_ms = now_ms()
    try:
        decision = await gate.check(
            key=key, meter=meter, units=units, request_id=request_id, at_ms=at_ms
        )
    except RequestIdConflict:
        raise Problem(
            409,
            "request_id_conflict",
            "This request_id was used for another check before; nothing was charged.",
            field="request_id",
        ) from None
    if decision.reason == "unknown_meter":
        raise invalid("meter", f"There is no meter “{meter}”.")
    return 200, _decision_body(decision, at_ms=at_ms), rate_headers(decision, now_ms=at_ms)


def _decision_body(decision: Decision, *, at_ms: int) -> dict[str, Any]:
    answer = decision.answer
    if answer is None:
        return {"allowed": False, "reason": decision.reason}
    resets_at = decision.resets_at
    return {
        "allowed": decision.allowed,
        "reason": decision.reason,
        "charge_id": decision.charge_id,
        "account": decision.handle,
        "key_id": answer.key_id,
        "plan": answer.plan,
        "paid_by": {
            "allowance": answer.allowance_taken,
            "boost": answer.boost_taken,
            "credits": answer.credits_taken,
        },
        "remaining": {
            "allowance": answer.allowance_left,
            "boost": answer.boost_left,
            "credits": answer.credits_left,
        },
        "resets_at": utc_text(resets_at) if resets_at else None,
        "retry_after": (
            decision.seconds_to_reset(now_ms=at_ms)
            if decision.reason == "quota_exhausted"
            else None
        ),
    }


async def _refund(gate: Gate, body: dict[str, Any]) -> Answer:
    charge_id = _text(body, "charge_id", limit=2048)
    _no_others(body, {"charge_id"})
    try:
        refunded = await gate.refund(charge_id=charge_id)
    except CannotRefund as error:
        raise invalid("charge_id", _REFUND_REFUSALS[error.reason]) from None
    return 200, {"refunded": True, "already": not refunded}, []


_REFUND_REFUSALS = {
    "unknown_charge": "This is not a charge_id that was given out here.",
    "too_late": "A charge can be given back for 24 hours.",
}

_HANDLERS = {"/quota/v1/check": _check, "/quota/v1/refund": _refund}


# --- input ----------------------------------------------------------------------------------


def _text(body: dict[str, Any], field: str, *, limit: int, default: str | None = None) -> str:
    value = body.get(field, default)
    if value is None:
        raise invalid(field, f"“{field}” is missing.")
    if not isinstance(value, str) or not 1 <= len(value) <= limit:
        raise invalid(field, f"“{field}” must be a text of 1 to {limit} characters.")
    return value


def _units(body: dict[str, Any]) -> int:
    units = body.get("units", 1)
    # bool is an int to Python, not to the caller.
    if type(units) is not int or not 0 <= units <= _MAX_UNITS:
        raise invalid("units", f"“units” must be a whole number from 0 to {_MAX_UNITS:,}.")
    return units


def _request_id(body: dict[str, Any]) -> str | None:
    value = body.get("request_id")
    if value is None:
        return None
    if (
        not isinstance(value, str)
        or not 1 <= len(value) <= _MAX_REQUEST_ID
        or not value.isascii()
        or not value.isprintable()
    ):
        raise invalid(
            "request_id", f"“request_id” must be 1 to {_MAX_REQUEST_ID} printable characters."
        )
    return value


def _no_others(body: dict[str, Any], known: set[str]) -> None:
    for field in body:
        if field not in known:
            raise invalid(field, f"There is no member “{field}” here.")
