"""The composition root of the gate: the only place where gate, api and Django meet.

The quota service, the public API and two probes. Pages are another process (`config.wsgi`).
"""

import logging
import os
from concurrent.futures import ThreadPoolExecutor

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "config.gate_settings"
django.setup()

from django.conf import settings  # noqa: E402

from api.asgi import create_app as create_api  # noqa: E402
from api.serving import Proxies  # noqa: E402
from config import readiness, signs_of_life, starting  # noqa: E402
from config.offer import Providers, limits  # noqa: E402
from config.reading import in_thread  # noqa: E402
from gate.decision.check import Gate  # noqa: E402
from gate.service.asgi import QuotaApp  # noqa: E402
from gate.service.http import (  # noqa: E402
    App,
    Message,
    Problem,
    Receive,
    Scope,
    Send,
    request_id_of,
    require_method,
    send_json,
    send_problem,
)
from gate.service.service import QuotaService  # noqa: E402
from gate.service.service_tokens import ServiceTokens  # noqa: E402
from gate.service.sightings import Sightings  # noqa: E402
from gate.store.connection import HotClient  # noqa: E402
from keys.projection import record_ignored_headers, valid_service_tokens  # noqa: E402
from keys.renew import renew_digests  # noqa: E402
from keys.sightings import record_sightings  # noqa: E402
from quotas.catalogue import partition_snapshot  # noqa: E402
from quotas.epochs import CannotTrust, verify  # noqa: E402
from quotas.projection import load_accounts  # noqa: E402
from quotas.usage.so_far import count_used  # noqa: E402

logger = logging.getLogger(__name__)


async def _look_at_server(run_id: str) -> None:
    """Before a Valkey is asked for the first time since it was started."""
    logger.info("looking at Valkey %s", run_id[:8])
    try:
        await in_thread(verify)()
    except CannotTrust as error:
        logger.critical("%s", error)
        raise


async def _probes(scope: Scope, receive: Receive, send: Send) -> None:
    """`/healthz`: the process answers. `/readyz`: it can work, and what else is lost is named."""
    try:
        require_method("GET" if scope["method"] == "HEAD" else scope["method"], "GET")
    except Problem as problem:
        await send_problem(send, problem)
        return
    if scope["path"] == "/healthz":
        await send_json(send, 200, {"status": "ok"})
        return
    state = readiness.State(await in_thread(readiness.look)())
    await send_json(send, state.http_status, state.said)


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    await send_problem(send, Problem(404, "not_found", "There is nothing at this address."))


class Application:
    """The gate as one ASGI application.

    quota_service: for a server that asks it more directly than by ASGI (`gate.service.shortcut`).
    """

    def __init__(self, quota_service: QuotaService, api: App) -> None:
        self.quota_service = quota_service
        self._api = api
        self._quota = QuotaApp(quota_service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            # The API has to end its calls; nothing else begins or ends.
            await self._api(scope, receive, send)
            return
        request_id = request_id_of(scope["headers"])
        sending = _with_request_id(request_id, send)
        await self._app_of(scope["path"])(_told(request_id, scope), receive, sending)

    def _app_of(self, path: str) -> App:
        if path.startswith("/quota/v1/"):
            return self._quota
        if path.startswith("/api/v1/"):
            return self._api
        return _probes if path in {"/healthz", "/readyz"} else _nothing


def _told(request_id: bytes, scope: Scope) -> Scope:
    """The request with the id that its answer bears, so that the same is recorded."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"x-request-id"]
    return {**scope, "headers": [*headers, (b"x-request-id", request_id)]}


def _with_request_id(request_id: bytes, send: Send) -> Send:
    """Put `X-Request-Id` on the answer."""

    async def send_with_id(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
        await send(message)

    return send_with_id


def _compose() -> Application:
    # A server with several processes reads us while its loop runs already, where Django lets
    # nobody wait for a database.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(starting.require_servers_and_data).result()
    gate = Gate(
        client=HotClient(settings.REDIS_URL, new_server=_look_at_server),
        peppers=settings.KEY_PEPPERS,
        load_accounts=in_thread(load_accounts),
        load_catalogue=in_thread(partition_snapshot),
        count_used=in_thread(count_used),
    )
    billing_url = f"{settings.SITE_URL}/account/billing"
    sightings = Sightings(record=in_thread(record_sightings), renew=in_thread(renew_digests))
    quota_service = QuotaService(
        gate=gate,
        service_tokens=ServiceTokens(
            peppers=settings.KEY_PEPPERS,
            load=in_thread(valid_service_tokens),
            record_ignored=in_thread(record_ignored_headers),
        ),
        billing_url=billing_url,
        sightings=sightings,
    )
    api = create_api(
        gate=gate,
        load_models=Providers(limits()).models,
        billing_url=billing_url,
        proxies=Proxies(by_port=settings.GATE_TRUSTED_PROXIES, by_socket=settings.TRUSTED_PROXIES),
        cors_origins=settings.API_CORS_ORIGINS,
        hold_seconds=settings.API_HOLD_SECONDS,
        sightings=sightings,
    )
    return Application(quota_service, api)


application = _compose()
signs_of_life.keep_giving(signs_of_life.GATE)
starting.keep_what_was_made()
