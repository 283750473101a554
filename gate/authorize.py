"""Forward authentication: the decision as nginx, Envoy, Traefik and Caddy ask for it.

The customer's own `Authorization` is judged; everything else comes in headers that the gateway
sets: X-Quota-Service-Token, and optionally X-Quota-Meter, X-Quota-Client-IP and
X-Quota-Request-Id. A gateway must set these itself or remove them from what customers send: whoever
chooses the request id chooses what is charged once. For the same reason `X-Request-Id`, which
customers may send, is only given back and never makes a request free.
"""

from gate import checking
from gate.check import Decision, Gate
from gate.faces import Asked
from gate.http import Headers, Problem, Request, Response, bearer_token, header_values, invalid
from gate.rate_headers import rate_headers
from gate.refusals import invalid_key, refusal


class AuthorizeFace:
    """200 with X-Quota-Account, X-Quota-Key and X-Quota-Charge, or a refusal to pass on."""

    method = None
    body_limit = 0
    request_id_field = "X-Quota-Request-Id"
    meter_field = "X-Quota-Meter"

    def __init__(self, *, billing_url: str) -> None:
        self._billing_url = billing_url

    def service_token(self, request: Request) -> str | None:
        return _one(request.headers, "X-Quota-Service-Token")

    def stranger(self) -> Problem:
        return Problem(
            403,
            "invalid_service_token",
            "The gateway must send a valid service token as X-Quota-Service-Token.",
        )

    def ask(self, gate: Gate, request: Request) -> Asked:
        headers = request.headers
        key = bearer_token(headers)
        if key is None:
            raise invalid_key()
        request_id = _one(headers, self.request_id_field)
        if request_id is not None and not checking.is_request_id(request_id):
            raise invalid(self.request_id_field, "It must be 1 to 128 printable characters.")
        meter = _one(headers, self.meter_field) or "chat"
        address = _one(headers, "X-Quota-Client-IP")
        pending = gate.begin_check(
            key=key,
            meter=meter,
            units=1,
            request_id=request_id,
            address=checking.read_address(address, "X-Quota-Client-IP"),
            hold_seconds=0,
        )
        return Asked(self, meter, pending)

    def answer(self, decision: Decision) -> Response:
        if not decision.allowed:
            raise refusal(decision, billing_url=self._billing_url)
        assert decision.answer is not None
        assert decision.charge_id is not None
        return Response(
            200,
            [
                (b"content-length", b"0"),
                (b"cache-control", b"no-store"),
                (b"x-quota-account", decision.handle.encode()),
                (b"x-quota-key", b"%d" % decision.answer.key_id),
                (b"x-quota-charge", decision.charge_id.encode()),
                *rate_headers(decision),
            ],
        )


def _one(headers: Headers, name: str) -> str | None:
    """The one value of a header; None when it is missing. Problem 400 when it comes twice."""
    values = header_values(headers, name.lower().encode())
    if not values:
        return None
    if len(values) > 1 or not values[0].isascii():
        raise invalid(name, "This header must be sent once, as plain text.")
    return values[0].decode()
