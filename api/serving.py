"""What every endpoint of the API has in common: whose key it is, which model, and the answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from api.calls import Call, Calls
from api.delivery import Ask, BrokenOff, Delivery, Form, StreamForm
from api.offer import Model, Offer
from api.problems import problem_response
from api.providers.answers import Busy, CannotAnswer, Outcome, Refused, SetUpWrongly
from gate.decision.check import Decision, Gate
from gate.service.alarms import Alarm, Alarms
from gate.service.http import (
    ClientGone,
    Message,
    Problem,
    Receive,
    Scope,
    Send,
    bearer_token,
    client_address,
    header_values,
    invalid,
    send_json,
    told_request_id,
)
from gate.service.rate_headers import rate_headers
from gate.service.refusals import invalid_key, unavailable
from gate.service.sightings import Sightings
from gate.terms.addresses import known_to_hex

logger = logging.getLogger(__name__)

Piece = TypeVar("Piece")
# The JSON of a whole answer, of its bytes and what is known of it.
Whole = Callable[[bytes, Outcome], Any]


@dataclass(frozen=True, slots=True)
class Proxies:
    """How many trusted proxies add to X-Forwarded-For, by the way in."""

    by_port: int = 0
    by_socket: int = 0


@dataclass(frozen=True, slots=True)
class Customer:
    """Who asks: the key, where it is asked from (32 hex digits or ""), and what it may use.

    decision: of a look, which charged nothing. shown_id: the X-Request-Id of the answer. tag: for
    whom, in the customer's words.
    """

    key: str
    address: str
    decision: Decision
    shown_id: str = ""
    tag: str = ""

    def asking_for(self, tag: str) -> Self:
        """The same, for whom a request says."""
        return replace(self, tag=tag)

    @property
    def plan(self) -> str:
        """The slug of the plan."""
        assert self.decision.answer is not None
        return self.decision.answer.plan

    def may_ask(self, model: str) -> bool:
        """Whether the key may ask a model."""
        assert self.decision.answer is not None
        return self.decision.answer.may_ask(model)


class Serving:
    """What endpoints ask: the gate, the models, and the calls that are under way."""

    def __init__(
        self,
        *,
        gate: Gate,
        offer: Offer,
        billing_url: str,
        proxies: Proxies,
        hold_seconds: int,
        sightings: Sightings,
    ) -> None:
        self.offer = offer
        self.calls = Calls(gate, hold_seconds=hold_seconds)
        self.alarms = Alarms()
        self._gate = gate
        self._billing_url = billing_url
        self._proxies = proxies
        self._sightings = sightings

    async def customer(self, request: Request, *, meter: str) -> Customer:
        """Whose key a request has. Problem for a key that may not ask at all.

        What is used up is not looked at: that is for whoever charges.
        """
        customer = await self.look(request, meter=meter)
        if customer.decision.answer is None or not customer.decision.allowed:
            # A look is not counted for the owner of the key; this is.
            async with self._held(customer, meter=meter, units=1):
                pass
            # It may ask since a moment ago, and what was not delivered is given back.
            raise unavailable()
        return customer

    def _held(
        self, customer: Customer, *, meter: str, units: int, model: str = ""
    ) -> AbstractAsyncContextManager[Call]:
        return self.calls.held(
            key=customer.key,
            meter=meter,
            units=units,
            address=customer.address,
            shown_id=customer.shown_id,
            tag=customer.tag,
            model=model,
            billing_url=self._billing_url,
        )

    async def look(self, request: Request, *, meter: str) -> Customer:
        """The same, also where the decision is a refusal. Problem 401 for what is no key."""
        key = bearer_token(request.headers.raw)
        if key is None:
            raise invalid_key()
        address = known_to_hex(
            client_address(
                request.scope, by_port=self._proxies.by_port, by_socket=self._proxies.by_socket
            )
        )
        decision = await self._gate.check(key=key, meter=meter, units=0, address=address)
        self._sightings.notice(decision, address, request.headers.raw)
        shown_id = told_request_id(request.headers.raw).decode("ascii")
        return Customer(key, address, decision, shown_id)

    async def choose(
        self, customer: Customer, asked: dict[str, Any], *, endpoint: str
    ) -> tuple[Model, bool]:
        """The model that a request means, and whether its answer is to be streamed.

        What is left in `asked` is for the provider, its own name of the model included. Problem
        where there is no such model for the customer.
        """
        model = await self.offer.chosen(
            endpoint=endpoint,
            name=asked.pop("model", None),
            plan=customer.plan,
            may_ask=customer.may_ask,
        )
        asked["model"] = model.name_at_provider
        return model, asked.pop("stream", False)

    def streamed(
        self,
        customer: Customer,
        model: Model,
        ask: "Ask[Piece]",
        form: "StreamForm[Piece]",
        *,
        units: int | None = None,
    ) -> Response:
        """The answer of a model as it is made; charged once it was delivered."""

        async def deliver(call: Call, scope: Scope, receive: Receive, send: Send) -> None:
            delivery = Delivery(ask, call=call, model=model.name, receive=receive, send=send)
            await delivery.stream(
                form, rate_headers(call.decision), trailing=_takes_trailers(scope)
            )

        return _Held(self, customer, model, units or model.units, deliver)

    def whole(
        self,
        customer: Customer,
        model: Model,
        ask: "Ask[Piece]",
        form: "Form[Piece]",
        told: Whole,
        *,
        units: int | None = None,
    ) -> Response:
        """The answer of a model as JSON, once it is made; charged once it was delivered."""

        async def deliver(call: Call, scope: Scope, receive: Receive, send: Send) -> None:
            delivery = Delivery(ask, call=call, model=model.name, receive=receive, send=send)
            body = told(await delivery.whole(form), delivery.outcome)
            await send_json(send, 200, body, rate_headers(call.decision))
            delivery.delivered()

        return _Held(self, customer, model, units or model.units, deliver)

    async def hold_and_deliver(
        self,
        customer: Customer,
        model: Model,
        units: int,
        deliver: "Callable[[Call], Awaitable[None]]",
    ) -> None:
        """Hold, deliver, and keep or give back. Problem while nothing was sent."""
        call: Call | None = None
        try:
            held = self._held(customer, meter=model.endpoint, units=units, model=model.name)
            async with held as call:
                await deliver(call)
        except CannotAnswer as error:
            assert call is not None
            logger.warning("%s: %s", model.name, error)
            raise self._failed(error, model, call) from None
        except asyncio.CancelledError:
            # The server ends, and this took longer than it waits.
            if call is None:
                raise
            raise Stopped(call.what_became) from None

    def _failed(self, error: CannotAnswer, model: Model, call: Call) -> Problem:
        """What a customer is told of a provider that failed, and what the operator is."""
        if isinstance(error, Refused):
            why = error.sentence or "It does not say why."
            return invalid("body", f"The model refused the request. {why} {call.what_became}")
        if isinstance(error, Busy):
            seconds = 5 if error.retry_after is None else error.retry_after
            return Problem(
                503,
                "model_busy",
                f"The model has no room now. {call.what_became} Try again later.",
                headers=[(b"retry-after", b"%d" % seconds)],
            )
        if isinstance(error, SetUpWrongly):
            self.alarms.tell(
                Alarm(f"model {model.name}", f"The model {model.name} is set up wrongly: {error}.")
            )
        return Problem(
            502,
            "model_failed",
            f"The model could not answer. {call.what_became} Try again.",
        )


class Stopped(Exception):
    """The server stops in the middle of an answer; the message says what became of the charge."""


class _Held(Response):
    """An answer that is held while it is made. Only then is anything sent."""

    def __init__(
        self,
        serving: Serving,
        customer: Customer,
        model: Model,
        units: int,
        deliver: "Callable[[Call, Scope, Receive, Send], Awaitable[None]]",
    ) -> None:
        self.background = None
        self._serving = serving
        self._customer = customer
        self._model = model
        self._units = units
        self._deliver = deliver

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def sending(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        async def deliver(call: Call) -> None:
            await self._deliver(call, scope, receive, sending)

        try:
            await self._serving.hold_and_deliver(self._customer, self._model, self._units, deliver)
        except (ClientGone, OSError):
            return
        except Stopped as error:
            if has_begun:
                raise BrokenOff("the server stops") from None
            stopping = problem_response(_stopping(str(error)))
            await stopping(scope, receive, send)


def _stopping(what_became: str) -> Problem:
    return Problem(
        503,
        "stopping",
        f"The server is being restarted. {what_became} Try again.",
        headers=[(b"retry-after", b"2"), (b"connection", b"close")],
    )


def _takes_trailers(scope: Scope) -> bool:
    """Whether the client understands headers behind an answer, and the server can send some."""
    if "http.response.trailers" not in scope.get("extensions", {}):
        return False
    wanted = b",".join(header_values(scope["headers"], b"te"))
    return b"trailers" in [token.strip().lower() for token in wanted.split(b",")]
