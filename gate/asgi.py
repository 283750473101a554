"""The quota-check service: `/quota/v1/…` for API servers and gateways."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from gate import checking
from gate.authorize import authorize
from gate.check import (
    CannotRefund,
    CannotSettle,
    Decision,
    Gate,
    PendingCheck,
    QuotaUnavailable,
    RequestIdConflict,
    TooManyHolds,
    now_ms,
)
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
from gate.openapi import DOCUMENT
from gate.rate_headers import rate_headers
from gate.refusals import unavailable
from gate.service_tokens import ServiceTokens

logger = logging.getLogger(__name__)

_BODY_LIMIT = 16 * 1024
_BATCH_BODY_LIMIT = 256 * 1024
_AUTHORIZE = "/quota/v1/authorize"

Answer = tuple[int, dict[str, Any], Headers]
Handler = Callable[[Gate, dict[str, Any]], Awaitable[Answer]]


def create_app(*, gate: Gate, service_tokens: ServiceTokens, billing_url: str) -> App:
    """The quota-check service as an ASGI application; a 429 sends people to `billing_url`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        try:
            if path == _AUTHORIZE or path.startswith(_AUTHORIZE + "/"):
                await authorize(
                    scope, send, gate=gate, service_tokens=service_tokens, billing_url=billing_url
                )
            elif path == "/quota/v1/openapi.json":
                require_method(scope, "GET")
                await send_json(send, 200, DOCUMENT)
            else:
                await _decide(scope, receive, send, gate=gate, service_tokens=service_tokens)
        except Problem as problem:
            await send_problem(send, problem)
        except QuotaUnavailable:
            await send_problem(send, unavailable())
        except ClientGone:
            return
        except Exception:
            logger.exception("%s failed", path)
            await send_problem(
                send, Problem(500, "internal_error", "Something broke on our side; try again.")
            )

    return app


async def _decide(
    scope: Scope, receive: Receive, send: Send, *, gate: Gate, service_tokens: ServiceTokens
) -> None:
    handler = _HANDLERS.get(scope["path"])
    if handler is None:
        raise Problem(404, "not_found", "There is nothing at this address.")
    require_method(scope, "POST")
    token = bearer_token(scope)
    if token is None or not await service_tokens.accepts(token):
        raise Problem(
            401,
            "invalid_service_token",
            "Send a valid service token as “Authorization: Bearer svc_…”.",
            headers=[(b"www-authenticate", b'Bearer realm="quota"')],
        )
    limit = _BATCH_BODY_LIMIT if handler is _batch else _BODY_LIMIT
    body = json_object(scope, await read_body(receive, limit=limit))
    status, value, headers = await handler(gate, body)
    await send_json(send, status, value, headers)


async def _check(gate: Gate, body: dict[str, Any]) -> Answer:
    asked = _begin(gate, body)
    decision = await _finish(gate, asked)
    headers = rate_headers(decision, now_ms=asked.at_ms)
    return 200, _decision_body(decision, at_ms=asked.at_ms), headers


async def _batch(gate: Gate, body: dict[str, Any]) -> Answer:
    """Independent decisions: what is wrong with one says nothing about the others."""
    # All of them are sent before the first answer is waited for.
    batch = [_begin_or_problem(gate, check) for check in checking.read_batch(body)]
    decisions = []
    for asked in batch:
        try:
            if isinstance(asked, Problem):
                raise asked
            decisions.append(_decision_body(await _finish(gate, asked), at_ms=asked.at_ms))
        except Problem as problem:
            decisions.append({"problem": problem.body()})
        except QuotaUnavailable:
            decisions.append({"problem": unavailable().body()})
    return 200, {"decisions": decisions}, []


@dataclass(slots=True)
class _Asked:
    """A check that was asked for and is under way."""

    meter: str
    at_ms: int
    pending: PendingCheck | None


def _begin(gate: Gate, body: dict[str, Any]) -> _Asked:
    request = checking.read_check(body)
    at_ms = now_ms()
    pending = gate.begin_check(
        key=request.key,
        meter=request.meter,
        units=request.units,
        request_id=request.request_id,
        address=request.address,
        hold_seconds=request.hold_seconds,
        at_ms=at_ms,
    )
    return _Asked(request.meter, at_ms, pending)


def _begin_or_problem(gate: Gate, body: dict[str, Any]) -> _Asked | Problem:
    try:
        return _begin(gate, body)
    except Problem as problem:
        return problem


async def _finish(gate: Gate, asked: _Asked) -> Decision:
    try:
        decision = await gate.finish_check(asked.pending)
    except RequestIdConflict:
        raise Problem(
            409,
            "request_id_conflict",
            "This request_id was used for another check before; nothing was charged.",
            field="request_id",
        ) from None
    except TooManyHolds:
        raise Problem(
            409,
            "too_many_holds",
            "The account has 1,000 open holds. Settle some, or wait until they run out.",
            field="hold_seconds",
        ) from None
    if decision.reason == "unknown_meter":
        raise invalid("meter", f"There is no meter “{asked.meter}”.")
    return decision


def _decision_body(decision: Decision, *, at_ms: int) -> dict[str, Any]:
    answer = decision.answer
    if answer is None:
        return {"allowed": False, "reason": decision.reason}
    resets_at = decision.resets_at
    waits = decision.reason in {"quota_exhausted", "key_cap_reached"}
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
        "retry_after": decision.seconds_to_reset(now_ms=at_ms) if waits else None,
    }


async def _refund(gate: Gate, body: dict[str, Any]) -> Answer:
    try:
        kept = await gate.refund(charge_id=checking.read_refund(body))
    except CannotRefund as error:
        raise invalid("charge_id", _REFUSALS[error.reason]) from None
    return (
        200,
        {
            "refunded": True,
            "already": kept.status == "already",
            "returned": {
                "allowance": kept.allowance,
                "boost": kept.boost,
                "credits": kept.credits,
            },
        },
        [],
    )


async def _settle(gate: Gate, body: dict[str, Any]) -> Answer:
    charge_id, units = checking.read_settlement(body)
    try:
        kept = await gate.settle(charge_id=charge_id, units=units)
    except CannotSettle as error:
        if error.reason in {"hold_expired", "settled_otherwise"}:
            raise Problem(409, error.reason, _REFUSALS[error.reason]) from None
        field = "units" if error.reason == "too_much" else "charge_id"
        raise invalid(field, _REFUSALS[error.reason]) from None
    return (
        200,
        {
            "settled": True,
            "already": kept.status == "already",
            "kept": {"allowance": kept.allowance, "boost": kept.boost, "credits": kept.credits},
        },
        [],
    )


_REFUSALS = {
    "unknown_charge": "This is not a charge_id that was given out here.",
    "too_late": "A charge can be given back for 24 hours.",
    "not_a_hold": "This charge was not made with hold_seconds: there is nothing to settle.",
    "hold_expired": "The hold has run out and was released; nothing was charged.",
    "settled_otherwise": "The hold was settled with other units before, or given back.",
    "too_much": "More than was held cannot be kept.",
}

_HANDLERS: dict[str, Handler] = {
    "/quota/v1/check": _check,
    "/quota/v1/check/batch": _batch,
    "/quota/v1/refund": _refund,
    "/quota/v1/settle": _settle,
}
