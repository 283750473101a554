"""Forward authentication: the decision as nginx, Envoy, Traefik and Caddy ask for it.

The customer's own `Authorization` is judged; everything else comes in headers that the gateway
sets: X-Quota-Service-Token, and optionally X-Quota-Meter, X-Quota-Client-IP and
X-Quota-Request-Id. A gateway must set these itself or remove them from what customers send: whoever
chooses the request id chooses what is charged once. For the same reason `X-Request-Id`, which
customers may send, is only given back and never makes a request free.
"""

from gate import checking
from gate.check import Gate, RequestIdConflict, now_ms
from gate.http import Problem, Scope, Send, bearer_token, header_values, invalid
from gate.rate_headers import rate_headers
from gate.refusals import invalid_key, refusal
from gate.service_tokens import ServiceTokens


async def authorize(
    scope: Scope,
    send: Send,
    *,
    gate: Gate,
    service_tokens: ServiceTokens,
    billing_url: str,
) -> None:
    """Answer 200 with X-Quota-Account, X-Quota-Key and X-Quota-Charge, or raise the refusal."""
    token = _one(scope, "X-Quota-Service-Token")
    if token is None or not await service_tokens.accepts(token):
        raise Problem(
            403,
            "invalid_service_token",
            "The gateway must send a valid service token as X-Quota-Service-Token.",
        )
    key = bearer_token(scope)
    if key is None:
        raise invalid_key()
    request_id = _one(scope, "X-Quota-Request-Id")
    if request_id is not None and not checking.is_request_id(request_id):
        raise invalid("X-Quota-Request-Id", "It must be 1 to 128 printable characters.")
    meter = _one(scope, "X-Quota-Meter") or "chat"
    at_ms = now_ms()
    try:
        decision = await gate.check(
            key=key,
            meter=meter,
            request_id=request_id,
            address=checking.read_address(_one(scope, "X-Quota-Client-IP"), "X-Quota-Client-IP"),
            at_ms=at_ms,
        )
    except RequestIdConflict:
        raise Problem(
            409,
            "request_id_conflict",
            "This X-Quota-Request-Id was used for another request before; nothing was charged.",
            field="X-Quota-Request-Id",
        ) from None
    if decision.reason == "unknown_meter":
        raise invalid("X-Quota-Meter", f"There is no meter “{meter}”.")
    if not decision.allowed:
        raise refusal(decision, billing_url=billing_url, at_ms=at_ms)
    assert decision.answer is not None
    assert decision.charge_id is not None
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-length", b"0"),
                (b"cache-control", b"no-store"),
                (b"x-quota-account", decision.handle.encode()),
                (b"x-quota-key", str(decision.answer.key_id).encode()),
                (b"x-quota-charge", decision.charge_id.encode()),
                *rate_headers(decision, now_ms=at_ms),
            ],
        }
    )
    await send({"type": "http.response.body", "body": b""})


def _one(scope: Scope, name: str) -> str | None:
    """The one value of a header; None when it is missing. Problem 400 when it comes twice."""
    values = header_values(scope, name.lower().encode())
    if not values:
        return None
    if len(values) > 1 or not values[0].isascii():
        raise invalid(name, "This header must be sent once, as plain text.")
    return values[0].decode()
