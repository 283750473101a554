"""What a key may do, for nothing: GET /api/v1/quota and GET /api/v1/models."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from api.offer import CHAT, Model, unknown_model
from api.serving import Customer, Serving
from gate.decision.check import Decision
from gate.service.http import json_response
from gate.service.rate_headers import rate_headers
from gate.service.refusals import refusal
from gate.store.charges import Answer
from gate.terms import week
from gate.terms.reasons import Reason
from gate.terms.spending import PastAllowance

_PAST_ALLOWANCE = {
    PastAllowance.ALL: "boosts_and_credits",
    PastAllowance.BOOSTS: "boosts",
    PastAllowance.NOTHING: "nothing",
}


class Looking:
    """The endpoints."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    async def quota(self, request: Request) -> Response:
        """What the key may still do. Costs nothing, also when everything is used up."""
        decision = (await self._serving.look(request, meter=CHAT)).decision
        if decision.answer is None:
            raise refusal(decision, billing_url="")
        answer = decision.answer
        body = {
            "account": decision.handle,
            "plan": answer.plan,
            "suspended": decision.reason is Reason.SUSPENDED,
            "week": {
                "starts_at": week.utc_text(week.starts_at(answer.week)),
                "resets_at": week.ends_at_text(answer.week),
                "cap": answer.cap,
                "used": answer.used,
            },
            "remaining": {
                "allowance": answer.allowance_left,
                "boost": answer.boost_open,
                "credits": answer.credits_open,
                "chats": answer.chats_left,
            },
            "credits": answer.credits_left,
            "credits_per_chat": answer.credits_per_chat,
            "spending": {
                "past_allowance": _PAST_ALLOWANCE[PastAllowance(answer.past_allowance)],
                "credits": answer.credit_room,
                "units_a_request": answer.units_a_request,
            },
            "requests": _requests(answer),
        }
        return _json(body, decision)

    async def models(self, request: Request) -> Response:
        """The models that the key may use, in the OpenAI shape."""
        customer, models = await self._usable(request)
        body = {"object": "list", "data": [_told(model) for model in models]}
        return _json(body, customer.decision)

    async def model(self, request: Request) -> Response:
        """One of them by its name. Problem 404 for what is not among them."""
        customer, models = await self._usable(request)
        name = request.path_params["name"]
        for model in models:
            if model.name == name:
                return _json(_told(model), customer.decision)
        raise unknown_model(name, [model.name for model in models])

    async def _usable(self, request: Request) -> tuple[Customer, list[Model]]:
        customer = await self._serving.customer(request, meter=CHAT)
        assert customer.decision.answer is not None
        return customer, [
            model
            for model in await self._serving.offer.models()
            if customer.decision.answer.may_use(model.endpoint)
            and customer.decision.answer.may_ask(model.name)
            and model.is_for(customer.plan)
        ]


def _json(body: dict[str, Any], decision: Decision) -> Response:
    answer = json_response(200, body, rate_headers(decision))
    response = Response(answer.body, answer.status)
    response.raw_headers = answer.headers
    return response


def _requests(answer: Answer) -> dict[str, int | None]:
    """How quickly the key may ask; nulls where nothing limits that."""
    room = answer.room_left
    a_minute, at_once = (None, None) if room is None else (room.a_minute, room.at_once)
    return {
        "a_minute": a_minute,
        "left": room.left if room is not None and a_minute is not None else None,
        "at_once": at_once,
        "open": room.open if room is not None and at_once is not None else None,
    }


def _told(model: Model) -> dict[str, Any]:
    return {
        "id": model.name,
        "object": "model",
        "created": model.created_at,
        "owned_by": "sansxel",
        "endpoint": model.endpoint,
        "chats": model.chats,
        "description": model.description,
    }
