"""Forward authentication: the decision as nginx, Envoy, Traefik and Caddy ask for it.

The customer's own `Authorization` is judged; everything else comes in headers that the gateway
sets. Customers may send the same headers, and gateways forget to strip them: whoever chooses the
request id chooses what is charged once. So most of them count only if the service token was issued
with trust in them (see `trust`). `X-Request-Id`, which customers may send, is only given back and
recorded, for people to find the decision by.

What the gateway says wrongly is its operator's fault: 503 for its customers, and an alarm.
"""

import re
from typing import Any

import msgspec
from msgspec import UNSET

from gate.decision.check import Decision, Gate
from gate.service import checking, shapes
from gate.service.alarms import Alarm, Alarms
from gate.service.faces import Asked
from gate.service.http import (
    Headers,
    Problem,
    Request,
    Response,
    bearer_token,
    forwarded_address,
    problem_response,
)
from gate.service.rate_headers import rate_headers
from gate.service.refusals import invalid_key, refusal
from gate.service.trust import IgnoredHeaders, Trust
from gate.terms import key_text
from gate.terms.addresses import to_hex
from gate.terms.redaction import holds_secret

_PREFIX = b"x-quota-"
_TOKEN, _METER = "X-Quota-Service-Token", "X-Quota-Meter"
_REQUEST_ID, _UNITS, _CLIENT_IP = "X-Quota-Request-Id", "X-Quota-Units", "X-Quota-Client-IP"
_TAG = "X-Quota-Tag"
_RETRY_AFTER_SECONDS = 30
_OF_A_PREFLIGHT = (b"origin", b"access-control-request-method")
# Shorter than any secret, which may stand anywhere by mistake.
_METER_NAME = re.compile(r"[-\w]{1,40}", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,5}")


class AuthorizeFace:
    """200 with X-Quota-Account, X-Quota-Key and X-Quota-Charge, or a refusal to pass on."""

    method = None
    body_limit = 0

    def __init__(self, *, billing_url: str, alarms: Alarms, ignored: IgnoredHeaders) -> None:
        self._billing_url = billing_url
        self._alarms = alarms
        self._ignored = ignored

    def service_token(self, request: Request) -> str | None:
        values = [value for name, value in request.headers if name == b"x-quota-service-token"]
        # Whatever a gateway sends, one that is refused is told what about it is wrong.
        return b" ".join(values).decode("latin-1") if values else None

    def stranger(self, token: str | None) -> Problem:
        if token is None:
            return _gateway_at_fault("no token", f"A gateway sends no {_TOKEN}. Let it set one.")
        try:
            key_text.verify_service_token(token)
        except key_text.MalformedKey:
            return _gateway_at_fault(
                "malformed token",
                f"A gateway sends something as {_TOKEN} that is not one service token. "
                "Let it send exactly what was shown when the token was made.",
            )
        return _gateway_at_fault(
            "unknown token",
            f"A gateway sends the service token svc_…{token[-4:]}, which is unknown or revoked. "
            "Issue another one and give it to the gateway.",
        )

    def unknown_meter(self, meter: str) -> Problem:
        named = f"“{meter}”" if _METER_NAME.fullmatch(meter) else "that cannot be one"
        return _gateway_at_fault(
            "unknown meter",
            f"A gateway asks for a meter {named}, which is not in the catalogue. Correct its "
            f"{_METER}, or add the meter in the admin.",
        )

    def request_id_conflict(self) -> Problem:
        return _gateway_at_fault(
            "request id conflict",
            f"A gateway sends a {_REQUEST_ID} that it used for something else within an hour. "
            "Let it send another one with every request of a customer.",
        )

    def at_once(self, request: Request) -> Response | None:
        """A CORS preflight passes without a key, because browsers send none with it, and is free.

        Only the method of the request itself says so: the gateway passes the same on to the API,
        which does no work for it. A header that names a method could be anybody's.
        """
        names = {name for name, _ in request.headers}
        is_preflight = request.method == "OPTIONS" and names.issuperset(_OF_A_PREFLIGHT)
        if not is_preflight or b"authorization" in names:
            return None
        return Response(200, [(b"content-length", b"0"), (b"cache-control", b"no-store")])

    def ask(self, gate: Gate, request: Request, trust: Trust) -> Asked:
        key = bearer_token(request.headers)
        if key is None:
            raise invalid_key()
        said = _Said(request.headers, trust)
        asked = self._read(said, trust)
        meter = trust.meter or asked.meter
        address = self._address(asked, said, trust)
        pending = gate.send_check(
            key=key,
            meter=meter,
            units=asked.units,
            request_id=None if asked.request_id is UNSET else asked.request_id,
            address=address,
            hold_seconds=0,
            shown_id=request.shown_id,
            tag="" if asked.tag is UNSET else asked.tag,
        )
        return Asked(self, meter, pending, address, request.headers)

    def _read(self, said: "_Said", trust: Trust) -> shapes.Authorize:
        """What the gateway says, as far as it counts."""
        told: dict[str, Any] = {}
        if trust.meter:
            # One that says the same is no attempt at another.
            if said.values(_METER) not in ([], [trust.meter.encode()]):
                self._ignored.count(trust, _METER)
        elif meter := said.one(_METER):
            told[_METER] = meter
        units = self._trusted(said, _UNITS, trust.units, trust)
        if units is not None:
            told[_UNITS] = int(units) if _DIGITS.fullmatch(units) else units
        request_id = self._trusted(said, _REQUEST_ID, trust.request_id, trust)
        if request_id is not None:
            told[_REQUEST_ID] = request_id
        # Who may say what is charged once may say for whom.
        tag = self._trusted(said, _TAG, trust.request_id, trust)
        if tag is not None:
            if holds_secret(tag):
                raise said.wrongly(_TAG, "it looks like a secret")
            told[_TAG] = tag
        address = self._trusted(said, _CLIENT_IP, trust.client_ip, trust)
        if address is not None:
            told[_CLIENT_IP] = address
        try:
            return msgspec.convert(told, shapes.Authorize)
        except msgspec.ValidationError:
            misfit = checking.first_misfit(told, shapes.Authorize)
            assert misfit is not None
            name, what = misfit
            raise said.wrongly(name, f"it {what}") from None

    def _address(self, asked: shapes.Authorize, said: "_Said", trust: Trust) -> str:
        """The customer's address as 32 hex digits, "" when it is not known."""
        told = None if asked.client_ip is UNSET else asked.client_ip
        source = _CLIENT_IP
        if trust.forwarded_hops:
            source = "X-Forwarded-For"
            told = forwarded_address(said.headers, hops=trust.forwarded_hops)
            if told is None:
                self._alarms.tell(said.too_few_hops())
        if told is None:
            return ""
        try:
            return to_hex(told)
        except ValueError:
            raise said.wrongly(source, "not one address") from None

    def _trusted(self, said: "_Said", name: str, is_trusted: bool, trust: Trust) -> str | None:
        """What a header says, if it counts."""
        if is_trusted:
            return said.one(name)
        if said.values(name):
            self._ignored.count(trust, name)
        return None

    def answer(self, decision: Decision) -> Response:
        if not decision.allowed:
            raise refusal(decision, billing_url=self._billing_url)
        assert decision.answer is not None
        headers = [
            (b"content-length", b"0"),
            (b"cache-control", b"no-store"),
            (b"x-quota-account", decision.handle.encode()),
            (b"x-quota-key", b"%d" % decision.answer.key_id),
        ]
        # Of 0 units there is nothing to give back.
        if decision.charge_id is not None:
            headers.append((b"x-quota-charge", decision.charge_id.encode()))
        return Response(200, [*headers, *rate_headers(decision)])

    def refuse(self, problem: Problem) -> Response:
        """A problem whose code and link are in headers, too: some gateways drop bodies."""
        response = problem_response(problem)
        response.headers.append((b"x-quota-reason", problem.code.encode()))
        billing_url = problem.members.get("billing_url")
        if billing_url is not None:
            response.headers.append((b"link", f'<{billing_url}>; rel="payment"'.encode()))
        return response


class _Said:
    """What stands in the headers that a gateway of ours sets."""

    def __init__(self, headers: Headers, trust: Trust) -> None:
        self.headers = headers
        self._trust = trust
        self._values: dict[bytes, list[bytes]] = {}
        for name, value in headers:
            if name.startswith(_PREFIX):
                self._values.setdefault(name, []).append(value)

    def values(self, name: str) -> list[bytes]:
        return self._values.get(name.lower().encode(), [])

    def one(self, name: str) -> str | None:
        """The one value of a header; None when it is missing. Problem 503 for another number."""
        values = self.values(name)
        if not values:
            return None
        if len(values) > 1:
            raise self.wrongly(name, "more than one")
        try:
            return values[0].decode("ascii")
        except UnicodeDecodeError:
            raise self.wrongly(name, "not plain text") from None

    def wrongly(self, name: str, what: str) -> Problem:
        """The answer to a header that says what it cannot."""
        return _gateway_at_fault(
            f"{self._trust.token_id} {name}",
            f"The gateway of the service token “{self._trust.name}” sends a wrong {name}: {what}. "
            "Let it set this header itself, once, whatever its customers send.",
        )

    def too_few_hops(self) -> Alarm:
        return Alarm(
            f"{self._trust.token_id} hops",
            f"X-Forwarded-For has fewer than the {self._trust.forwarded_hops} addresses that the "
            f"service token “{self._trust.name}” was told to expect, so that nobody knows where "
            "customers are. Correct the number in the admin, or let every proxy add its address.",
        )


def _gateway_at_fault(kind: str, text: str) -> Problem:
    """The answer to customers of a gateway that its operator has to mend."""
    return Problem(
        503,
        "gateway_misconfigured",
        "The service is not set up correctly. This is not your fault; its operator was told. "
        "Try again later.",
        headers=[(b"retry-after", b"%d" % _RETRY_AFTER_SECONDS)],
        alarm=Alarm(kind, text),
    )
