"""The public REST API as an ASGI application."""

import logging

from api import chat
from api.model import ChatModel
from gate.decision.check import Gate, QuotaUnavailable
from gate.service.alarms import Alarms
from gate.service.http import (
    App,
    ClientGone,
    Message,
    Problem,
    Receive,
    Scope,
    Send,
    bearer_token,
    client_address,
    json_object,
    read_body,
    require_method,
    send_json,
    send_problem,
)
from gate.service.rate_headers import rate_headers
from gate.service.refusals import invalid_key, refusal, unavailable
from gate.terms import week
from gate.terms.addresses import known_to_hex
from gate.terms.reasons import Reason

logger = logging.getLogger(__name__)

_BODY_LIMIT = 2 * 1024 * 1024
_METHODS = {"/api/v1/chat": "POST", "/api/v1/quota": "GET"}


def create_app(
    *,
    gate: Gate,
    model: ChatModel,
    billing_url: str,
    proxies_by_port: int = 0,
    proxies_by_socket: int = 0,
) -> App:
    """The API over a gate and a model; `billing_url` is where a 429 sends people.

    proxies_by_port, proxies_by_socket: how many trusted proxies add the address they were asked
    from to X-Forwarded-For, by the way in.
    """

    alarms = Alarms()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def sending(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        asked_from = known_to_hex(
            client_address(scope, by_port=proxies_by_port, by_socket=proxies_by_socket)
        )
        try:
            if _endpoint(scope) == "quota":
                await _quota(scope, sending, gate=gate, address=asked_from)
            else:
                await _chat(
                    scope,
                    receive,
                    sending,
                    gate=gate,
                    model=model,
                    billing_url=billing_url,
                    address=asked_from,
                )
        except Problem as problem:
            if problem.alarm is not None:
                alarms.tell(problem.alarm)
            await send_problem(send, problem)
        except QuotaUnavailable:
            await send_problem(send, unavailable())
        except (ClientGone, OSError):
            return
        except chat.BrokenOff:
            # The server cuts a connection whose answer ends in an exception.
            raise
        except Exception:
            logger.exception("%s failed", scope["path"])
            if has_begun:
                raise
            await send_problem(
                send, Problem(500, "internal_error", "Something broke on our side; try again.")
            )

    return app


def _endpoint(scope: Scope) -> str:
    """Which endpoint is asked for; Problem 404 or 405 when it is none."""
    method = _METHODS.get(scope["path"])
    if method is None:
        raise Problem(404, "not_found", "There is nothing at this address.")
    require_method(scope["method"], method)
    return str(scope["path"].rpartition("/")[2])


async def _quota(scope: Scope, send: Send, *, gate: Gate, address: str) -> None:
    """What the key may still do. Costs nothing, also when everything is used up."""
    key = bearer_token(scope["headers"])
    if key is None:
        raise invalid_key()
    decision = await gate.check(key=key, units=0, address=address)
    answer = decision.answer
    if answer is None:
        raise refusal(decision, billing_url="")
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
            "boost": answer.boost_left,
            "credits": answer.credits_left,
            "chats": answer.chats_left,
        },
        "credits_per_chat": answer.credits_per_chat,
    }
    await send_json(send, 200, body, rate_headers(decision))


async def _chat(
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    gate: Gate,
    model: ChatModel,
    billing_url: str,
    address: str,
) -> None:
    key = bearer_token(scope["headers"])
    if key is None:
        raise invalid_key()
    raw = await read_body(receive, _BODY_LIMIT)
    try:
        body = chat.read_request(json_object(scope["headers"], raw))
    except Problem:
        # What is wrong with a request is for customers: a stranger learns only 401.
        look = await gate.check(key=key, units=0, address=address)
        if look.reason is Reason.INVALID_KEY:
            raise invalid_key() from None
        raise
    # A request id of the client is not used for replay: it would make chats free.
    decision = await gate.check(key=key, meter="chat", address=address)
    if not decision.allowed:
        raise refusal(decision, billing_url=billing_url)
    assert decision.charge_id is not None
    await chat.answer(
        gate=gate,
        model=model,
        charge_id=decision.charge_id,
        body=body,
        headers=rate_headers(decision),
        receive=receive,
        send=send,
    )
