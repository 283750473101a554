"""Django answers requests only; our server also says when it begins and ends."""

from django.core.handlers.asgi import ASGIHandler

from gate.service.http import App, Receive, Scope, Send, lifespan


def with_lifespan(django: ASGIHandler) -> App:
    """Django behind a server that wants an answer to that."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
        else:
            await django(scope, receive, send)  # type: ignore[arg-type]

    return application
