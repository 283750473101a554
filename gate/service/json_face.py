"""The JSON face of the quota check: `POST /quota/v1/check`, for API servers."""

from typing import Any

from gate.decision.check import Decision, Gate
from gate.service import checking, shapes
from gate.service.faces import Asked
from gate.service.http import (
    Problem,
    Request,
    Response,
    bearer_token,
    invalid,
    json_object,
    json_response,
    problem_response,
)
from gate.service.rate_headers import rate_headers
from gate.service.refusals import resets_at
from gate.service.trust import Trust


class JsonFace:
    """Always 200 for a decision, allowed or not; only what is no decision is a problem.

    The API server writes the body itself, so what stands in it counts without further trust.
    """

    method = "POST"
    body_limit = 16 * 1024

    def service_token(self, request: Request) -> str | None:
        return bearer_token(request.headers)

    def stranger(self, token: str | None) -> Problem:
        return Problem(
            401,
            "invalid_service_token",
            "Send a valid service token as “Authorization: Bearer svc_…”.",
            headers=[(b"www-authenticate", b'Bearer realm="quota"')],
        )

    def unknown_meter(self, meter: str) -> Problem:
        return invalid("meter", f"There is no meter “{meter}”.")

    def request_id_conflict(self) -> Problem:
        return Problem(
            409,
            "request_id_conflict",
            "This request_id was used for something else before; nothing was charged.",
            field="request_id",
        )

    def at_once(self, request: Request) -> Response | None:
        return None

    def ask(self, gate: Gate, request: Request, trust: Trust) -> Asked:
        check = json_object(request.headers, request.body)
        return self.ask_for(gate, check, shown_id=request.shown_id)

    def ask_for(self, gate: Gate, check: dict[str, Any], *, shown_id: str) -> Asked:
        """Send one check, as it stands in a body or in a batch.

        shown_id: the X-Request-Id of the answer.
        """
        wanted = checking.read_check(check)
        address = checking.address_of(wanted)
        pending = gate.send_check(
            key=wanted.key,
            meter=wanted.meter,
            units=wanted.units,
            request_id=wanted.request_id,
            address=address,
            hold_seconds=wanted.hold_seconds,
            shown_id=shown_id,
            tag=wanted.tag or "",
            model=wanted.model or "",
        )
        # The headers are the API server's own.
        return Asked(self, wanted.meter, pending, address)

    def answer(self, decision: Decision) -> Response:
        return json_response(200, decision_body(decision), rate_headers(decision))

    def refuse(self, problem: Problem) -> Response:
        return problem_response(problem)


def decision_body(decision: Decision) -> shapes.Decision:
    """A decision as the service tells it."""
    answer = decision.answer
    if answer is None:
        return shapes.Decision(allowed=False, reason=decision.reason)
    return shapes.Decision(
        allowed=decision.allowed,
        reason=decision.reason,
        charge_id=decision.charge_id,
        account=decision.handle,
        key_id=answer.key_id,
        plan=answer.plan,
        paid_by=shapes.BySource(
            allowance=answer.allowance_taken,
            boost=answer.boost_taken,
            credits=answer.credits_taken,
        ),
        remaining=shapes.Remaining(
            allowance=answer.allowance_left,
            boost=answer.boost_open,
            credits=answer.credits_open,
        ),
        resets_at=resets_at(decision),
        retry_after=decision.retry_after,
    )
