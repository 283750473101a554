"""The quota-check service as an ASGI application."""

from functools import partial

from gate.service.http import (
    ClientGone,
    Receive,
    Request,
    Scope,
    Send,
    lifespan,
    read_body,
    send_response,
    told_request_id,
)
from gate.service.service import QuotaService


class QuotaApp:
    """The service for any ASGI server; ours asks `quota_service` itself (see `shortcut`)."""

    def __init__(self, quota_service: QuotaService) -> None:
        self.quota_service = quota_service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        headers = list(scope["headers"])
        shown_id = told_request_id(headers).decode("ascii")
        request = Request(scope["method"], scope["path"], headers, shown_id=shown_id)
        try:
            response = await self.quota_service.answer(request, partial(read_body, receive))
        except ClientGone:
            return
        await send_response(send, response)
