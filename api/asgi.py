"""The public REST API as an ASGI application."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.calls import HOLD_SECONDS
from api.chat import Chat
from api.completions import Completions
from api.looking import Looking
from api.media import Images, Voice
from api.offer import LoadModels, Offer
from api.openapi import DOCUMENT
from api.problems import problem_response
from api.serving import Proxies, Serving
from gate.decision.check import Gate, QuotaUnavailable
from gate.service.http import ClientGone, Problem
from gate.service.refusals import unavailable
from gate.service.sightings import Sightings
from gate.service.strict_json import dumps

logger = logging.getLogger(__name__)

# What is still open when the server ends is given back within this.
_ENDED_WITHIN_SECONDS = 3.0
_SHOWN_TO_BROWSERS = (
    *("RateLimit", "RateLimit-Policy", "Retry-After", "X-RateLimit-Limit"),
    *("X-RateLimit-Remaining", "X-RateLimit-Reset", "X-Request-Id"),
)


def create_app(
    *,
    gate: Gate,
    load_models: LoadModels,
    billing_url: str,
    proxies: Proxies | None = None,
    cors_origins: Sequence[str] = (),
    hold_seconds: int = HOLD_SECONDS,
    sightings: Sightings | None = None,
) -> Starlette:
    """The API over a gate and models; `billing_url` is where a 429 sends people.

    cors_origins: of pages whose scripts may ask; browsers refuse all others.
    hold_seconds: how long a call's cost stays away when this process is killed.
    sightings: is told where keys are used from.
    """
    offer = Offer(load_models)
    serving = Serving(
        gate=gate,
        offer=offer,
        billing_url=billing_url,
        proxies=proxies or Proxies(),
        hold_seconds=hold_seconds,
        sightings=sightings or Sightings(),
    )
    looking = Looking(serving)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await serving.calls.all_ended(within_seconds=_ENDED_WITHIN_SECONDS)
        await offer.aclose()

    async def refuse(_: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        if error.alarm is not None:
            serving.alarms.tell(error.alarm)
        return problem_response(error)

    app = Starlette(
        routes=[
            Route("/api/v1/chat", Chat(serving).answer, methods=["POST"]),
            Route("/api/v1/chat/completions", Completions(serving).answer, methods=["POST"]),
            Route("/api/v1/images", Images(serving).answer, methods=["POST"]),
            Route("/api/v1/voice", Voice(serving).answer, methods=["POST"]),
            Route("/api/v1/quota", looking.quota),
            Route("/api/v1/models", looking.models),
            Route("/api/v1/models/{name:path}", looking.model),
            Route("/api/v1/openapi.json", _document),
        ],
        middleware=_cors(cors_origins),
        exception_handlers={
            Problem: refuse,
            QuotaUnavailable: _unavailable,
            ClientGone: _gone,
            HTTPException: _of_http,
            Exception: _broken,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def _cors(origins: Sequence[str]) -> list[Middleware]:
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=list(_SHOWN_TO_BROWSERS),
            max_age=600,
        )
    ]


async def _document(_: Request) -> Response:
    return Response(dumps(DOCUMENT), media_type="application/json")


async def _unavailable(_: Request, __: Exception) -> Response:
    return problem_response(unavailable())


async def _gone(_: Request, __: Exception) -> Response:
    # Nobody reads it.
    return Response(status_code=400)


async def _of_http(request: Request, error: Exception) -> Response:
    """What the router finds wrong: the address, or the method."""
    assert isinstance(error, HTTPException)
    if error.status_code != 405:
        return problem_response(Problem(404, "not_found", "There is nothing at this address."))
    allowed = (error.headers or {}).get("Allow", "")
    if request.method == "OPTIONS":
        # Nobody pays for asking what may be asked.
        return Response(status_code=204, headers={"Allow": f"{allowed}, OPTIONS"})
    return problem_response(
        Problem(
            405,
            "method_not_allowed",
            f"Use {allowed.split(',')[0]}.",
            headers=[(b"allow", allowed.encode("ascii"))],
        )
    )


async def _broken(request: Request, error: Exception) -> Response:
    logger.error("%s failed: %s", request.url.path, type(error).__name__)
    return problem_response(
        Problem(500, "internal_error", "Something broke on our side; try again.")
    )
