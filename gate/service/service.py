"""The quota-check service: what is answered under `/quota/v1/`, whatever server it runs in."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from gate.decision.check import (
    CannotExtend,
    CannotRefund,
    CannotSettle,
    Decision,
    Gate,
    QuotaUnavailable,
    RequestIdConflict,
    TooManyHolds,
)
from gate.service import checking, shapes
from gate.service.authorize import AuthorizeFace
from gate.service.faces import Asked, Face
from gate.service.http import (
    ClientGone,
    Problem,
    Request,
    Response,
    invalid,
    json_object,
    json_response,
    problem_response,
    require_method,
    require_size,
)
from gate.service.json_face import JsonFace, decision_body
from gate.service.openapi import DOCUMENT
from gate.service.refusals import unavailable
from gate.service.service_tokens import ServiceTokens
from gate.service.sightings import Sightings
from gate.service.trust import Trust
from gate.store.charges import Kept
from gate.store.hot_state import Tokens
from gate.terms.reasons import Outcome, Reason

logger = logging.getLogger(__name__)

_CHECK = "/quota/v1/check"
_AUTHORIZE = "/quota/v1/authorize"
_OPENAPI = "/quota/v1/openapi.json"
_BATCH = "/quota/v1/check/batch"
_BATCH_BODY_LIMIT = 256 * 1024

# Reads the body of a request, so many bytes at the most.
ReadBody = Callable[[int], Awaitable[bytes]]
OneOfBatch = shapes.Decision | shapes.Undecided


class QuotaService:
    """Answers requests about quota. A 429 sends people to `billing_url`.

    sightings: is told where keys are used from.
    """

    def __init__(
        self,
        *,
        gate: Gate,
        service_tokens: ServiceTokens,
        billing_url: str,
        sightings: Sightings | None = None,
    ) -> None:
        self._gate = gate
        self._sightings = sightings or Sightings()
        self._tokens = service_tokens
        self._json = JsonFace()
        self._forward = AuthorizeFace(
            billing_url=billing_url, alarms=service_tokens.alarms, ignored=service_tokens.ignored
        )
        self._calls = {
            "/quota/v1/refund": (self._refund, self._json.body_limit),
            "/quota/v1/settle": (self._settle, self._json.body_limit),
            "/quota/v1/extend": (self._extend, self._json.body_limit),
        }

    async def answer(self, request: Request, read_body: ReadBody) -> Response:
        """The answer to any request, however long it takes.

        `request` comes without its body. Raises ClientGone when `read_body` does.
        """
        face = self._face(request.path)
        try:
            if request.path == _OPENAPI:
                require_method(request.method, "GET")
                return json_response(200, DOCUMENT)
            if face is None:
                return await self._call(request, read_body)
            await self._tokens.refresh_if_due()
            trust = self._admit(face, request)
            answer = face.at_once(request)
            if answer is not None:
                return answer
            if face.body_limit:
                request.body = await read_body(face.body_limit)
            asked = face.ask(self._gate, request, trust)
        except ClientGone:
            raise
        except Exception as error:
            return self._refusal(error, face)
        return await self.await_answer(asked)

    def send(self, request: Request) -> Asked | Response | None:
        """Send the check that a whole request asks for to Valkey; nothing is waited for.

        A response where the request is refused at once. None where `answer` has to see to it,
        because it asks for something else, or because something else must be waited for.
        """
        face = self._face(request.path)
        if face is None or not self._tokens.are_fresh():
            return None
        try:
            trust = self._admit(face, request)
            if face.body_limit:
                require_size(len(request.body), face.body_limit)
            asked = face.ask(self._gate, request, trust)
            if asked.pending is None:
                return self._worded(asked, Decision(allowed=False, reason=Reason.INVALID_KEY))
        except Exception as error:
            return self._refusal(error, face)
        # Without an open connection nothing was sent, and `answer` may ask again.
        return None if asked.pending.reply is None else asked

    def answer_by_reply(self, asked: Asked) -> Response | None:
        """The answer to a check that was sent, now that Valkey has replied.

        None where more must be waited for: `await_answer` does that.
        """
        assert asked.pending is not None
        try:
            decision = self._gate.decision_by_reply(asked.pending)
            return None if decision is None else self._worded(asked, decision)
        except Exception as error:
            return self._refusal(error, asked.face)

    async def await_answer(self, asked: Asked) -> Response:
        """The answer to a check that was sent, however long it takes."""
        try:
            return self._worded(asked, await self._gate.await_decision(asked.pending))
        except Exception as error:
            return self._refusal(error, asked.face)

    def _refusal(self, error: Exception, face: Face | None) -> Response:
        """What went wrong, as a face says it; the operator learns what is theirs to mend."""
        problem = _problem(error, face)
        if problem.alarm is not None:
            self._tokens.alarms.tell(problem.alarm)
        return problem_response(problem) if face is None else face.refuse(problem)

    def _face(self, path: str) -> Face | None:
        if path == _CHECK:
            return self._json
        # Envoy appends the path of the request that it asks about.
        if path == _AUTHORIZE or path.startswith(_AUTHORIZE + "/"):
            return self._forward
        return None

    def _admit(self, face: Face, request: Request) -> Trust:
        """Refuse another method than the face's, and callers without a valid service token.

        Answers what the caller is trusted with.
        """
        if face.method is not None:
            require_method(request.method, face.method)
        token = face.service_token(request)
        trust = None if token is None else self._tokens.trust_of(token)
        if trust is None:
            raise face.stranger(token)
        return trust

    async def _call(self, request: Request, read_body: ReadBody) -> Response:
        call, body_limit = self._calls.get(request.path, (None, _BATCH_BODY_LIMIT))
        if call is None and request.path != _BATCH:
            raise Problem(404, "not_found", "There is nothing at this address.")
        require_method(request.method, "POST")
        await self._tokens.refresh_if_due()
        self._admit(self._json, request)
        body = json_object(request.headers, await read_body(body_limit))
        if call is None:
            return json_response(200, await self._batch(body, shown_id=request.shown_id))
        return json_response(200, await call(body))

    async def _batch(self, body: dict[str, Any], *, shown_id: str) -> shapes.Decisions:
        """Independent decisions: what is wrong with one says nothing about the others."""
        # All of them are sent before the first reply is waited for.
        sent = [self._send_one(check, shown_id) for check in checking.read_batch(body)]
        said = [await self._await_reply(one) if isinstance(one, Asked) else one for one in sent]
        # What has to be loaded first is loaded together, too.
        cold = [self._await_decision(one) for one in said if isinstance(one, Asked)]
        loaded = iter(await asyncio.gather(*cold))
        return shapes.Decisions([next(loaded) if isinstance(one, Asked) else one for one in said])

    def _send_one(self, check: dict[str, Any], shown_id: str) -> Asked | shapes.Undecided:
        try:
            return self._json.ask_for(self._gate, check, shown_id=shown_id)
        except Exception as error:
            return self._problem_of_one(error)

    async def _await_reply(self, asked: Asked) -> Asked | OneOfBatch:
        """The decision, or what was asked where more must be waited for than Valkey's reply."""
        pending = asked.pending
        if pending is None or pending.reply is None:
            return asked
        if not pending.reply.done():
            await asyncio.wait([pending.reply])
        try:
            decision = self._gate.decision_by_reply(pending)
            return asked if decision is None else self._decided(asked, decision)
        except Exception as error:
            return self._problem_of_one(error)

    async def _await_decision(self, asked: Asked) -> OneOfBatch:
        try:
            return self._decided(asked, await self._gate.await_decision(asked.pending))
        except Exception as error:
            return self._problem_of_one(error)

    def _decided(self, asked: Asked, decision: Decision) -> shapes.Decision:
        self._sightings.notice(decision, asked.address, asked.headers)
        return decision_body(_known(decision, asked))

    def _worded(self, asked: Asked, decision: Decision) -> Response:
        self._sightings.notice(decision, asked.address, asked.headers)
        return asked.face.answer(_known(decision, asked))

    def _problem_of_one(self, error: Exception) -> shapes.Undecided:
        return shapes.Undecided(_problem(error, self._json).body())

    async def _refund(self, body: dict[str, Any]) -> shapes.Refunded:
        asked = checking.read_refund(body)
        try:
            kept = await self._gate.refund(charge_id=asked.charge_id)
        except CannotRefund as error:
            raise invalid("charge_id", _REFUSALS[error.reason]) from None
        return shapes.Refunded(
            refunded=True, already=kept.status == Outcome.ALREADY, returned=_by_source(kept)
        )

    async def _extend(self, body: dict[str, Any]) -> shapes.Extended:
        asked = checking.read_extension(body)
        try:
            await self._gate.extend(charge_id=asked.charge_id, hold_seconds=asked.hold_seconds)
        except CannotExtend as error:
            if error.reason == "hold_expired":
                raise Problem(409, error.reason, _IS_OVER) from None
            raise invalid("charge_id", _REFUSALS[error.reason]) from None
        return shapes.Extended(extended=True)

    async def _settle(self, body: dict[str, Any]) -> shapes.Settled:
        asked = checking.read_settlement(body)
        try:
            kept = await self._gate.settle(
                charge_id=asked.charge_id, units=asked.units, tokens=_tokens(asked)
            )
        except CannotSettle as error:
            if error.reason in {"hold_expired", "settled_otherwise"}:
                raise Problem(409, error.reason, _REFUSALS[error.reason]) from None
            field = "units" if error.reason == "too_much" else "charge_id"
            raise invalid(field, _REFUSALS[error.reason]) from None
        return shapes.Settled(
            settled=True, already=kept.status == Outcome.ALREADY, kept=_by_source(kept)
        )


def _known(decision: Decision, asked: Asked) -> Decision:
    if decision.reason is Reason.UNKNOWN_METER:
        raise asked.face.unknown_meter(asked.meter)
    return decision


def _tokens(asked: shapes.Settle) -> Tokens | None:
    if asked.model is None and not asked.tokens_in and not asked.tokens_out:
        return None
    return Tokens(model=asked.model or "", tokens_in=asked.tokens_in, tokens_out=asked.tokens_out)


def _by_source(kept: Kept) -> shapes.BySource:
    return shapes.BySource(allowance=kept.allowance, boost=kept.boost, credits=kept.credits)


def _problem(error: Exception, face: Face | None) -> Problem:
    """What went wrong, in the words of a face."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, QuotaUnavailable):
        return unavailable()
    if isinstance(error, RequestIdConflict) and face is not None:
        return face.request_id_conflict()
    if isinstance(error, TooManyHolds):
        return Problem(
            409,
            "too_many_holds",
            "The account has 1,000 open holds. Settle some, or wait until they run out.",
            field="hold_seconds",
        )
    logger.error("a request about quota failed", exc_info=error)
    return Problem(500, "internal_error", "Something broke on our side; try again.")


_IS_OVER = "The hold has run out, or was settled or given back: there is nothing to extend."
_REFUSALS = {
    "unknown_charge": "This is not a charge_id that was given out here.",
    "too_late": "A charge can be given back for 24 hours.",
    "not_a_hold": "This charge was not made with hold_seconds: there is nothing to settle.",
    "hold_expired": "The hold has run out and was released; nothing was charged.",
    "settled_otherwise": "The hold was settled with other units before, or given back.",
    "too_much": "More than was held cannot be kept.",
}
