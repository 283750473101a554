"""The composition root: the only place where gate, api and Django meet."""

import gc
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.exceptions import ImproperlyConfigured  # noqa: E402
from django.core.handlers.asgi import ASGIHandler  # noqa: E402
from redis.exceptions import RedisError  # noqa: E402

from api.asgi import create_app as create_api  # noqa: E402
from api.model import ChatModel, DemoModel, OpenAIModel  # noqa: E402
from config import release  # noqa: E402
from config.reading import in_thread  # noqa: E402
from gate.decision.check import Gate  # noqa: E402
from gate.service.asgi import QuotaApp  # noqa: E402
from gate.service.http import App, Message, Receive, Scope, Send, request_id_of  # noqa: E402
from gate.service.service import QuotaService  # noqa: E402
from gate.service.service_tokens import ServiceTokens  # noqa: E402
from gate.store.connection import HotClient  # noqa: E402
from keys.projection import record_ignored_headers, valid_service_tokens  # noqa: E402
from quotas.catalogue import partition_snapshot  # noqa: E402
from quotas.epochs import CannotTrust, require_durable, verify  # noqa: E402
from quotas.projection import load_accounts  # noqa: E402

if settings.STRIPE_IS_SANDBOX:
    # Production does not even import it.
    from stripe_sandbox.app import create_app as create_sandbox

logger = logging.getLogger(__name__)


async def _look_at_server(run_id: str) -> None:
    """Before a Valkey is asked for the first time since it was started."""
    logger.info("looking at Valkey %s", run_id[:8])
    try:
        await in_thread(verify)()
    except CannotTrust as error:
        logger.critical("%s", error)
        raise


def _refuse_forgetful_server() -> None:
    """Do not start on a Valkey that evicts or does not persist. One that is away may come back."""
    try:
        require_durable()
    except CannotTrust as error:
        raise ImproperlyConfigured(str(error)) from None
    except (RedisError, OSError) as error:
        logger.warning("Valkey is away: %s", type(error).__name__)


def _refuse_newer_data() -> None:
    """Do not start on data that says it is too new for this release."""
    try:
        release.look_at_data()
    except release.CannotUseData as error:
        raise ImproperlyConfigured(str(error)) from None


def _model() -> ChatModel:
    if not settings.MODEL_BASE_URL:
        return DemoModel()
    return OpenAIModel(
        base_url=settings.MODEL_BASE_URL,
        api_key=settings.MODEL_API_KEY,
        model=settings.MODEL_NAME,
    )


def _compose() -> "Application":
    _refuse_forgetful_server()
    _refuse_newer_data()
    gate = Gate(
        client=HotClient(settings.REDIS_URL, new_server=_look_at_server),
        peppers=settings.KEY_PEPPERS,
        load_accounts=in_thread(load_accounts),
        load_catalogue=in_thread(partition_snapshot),
    )
    billing_url = f"{settings.SITE_URL}/account/billing"
    quota_service = QuotaService(
        gate=gate,
        service_tokens=ServiceTokens(
            peppers=settings.KEY_PEPPERS,
            load=in_thread(valid_service_tokens),
            record_ignored=in_thread(record_ignored_headers),
        ),
        billing_url=billing_url,
    )
    api = create_api(
        gate=gate,
        model=_model(),
        billing_url=billing_url,
        trusted_proxies=settings.ALLAUTH_TRUSTED_PROXY_COUNT,
    )
    site = get_asgi_application()
    quota_check = QuotaApp(quota_service)
    mounts: list[tuple[str, App]] = [("/quota/v1/", quota_check), ("/api/v1/", api)]
    sandbox = None
    if settings.STRIPE_IS_SANDBOX:
        sandbox = create_sandbox(
            mount=settings.SANDBOX_MOUNT,
            store_path=Path(settings.DATA_DIR) / "sandbox.sqlite3",
            public_url=settings.SITE_URL,
            webhook_url=f"http://127.0.0.1:{settings.PORT}/stripe/webhook",
            secret_key=settings.STRIPE_SECRET_KEY,
            webhook_secret=settings.STRIPE_WEBHOOK_SECRETS[0],
        )
        mounts.append((settings.SANDBOX_MOUNT + "/", sandbox))

    # The sandbox delivers its webhooks in the background, from start to end.
    background = sandbox or quota_check
    return Application(site, mounts, background=background, quota_service=quota_service)


class Application:
    """The whole site as one ASGI application.

    quota_service: for a server that asks it more directly than by ASGI (`gate.service.shortcut`).
    """

    def __init__(
        self,
        site: ASGIHandler,
        mounts: Sequence[tuple[str, App]],
        *,
        background: App,
        quota_service: QuotaService,
    ) -> None:
        self.quota_service = quota_service
        self._site = site
        self._mounts = tuple(mounts)
        self._background = background

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._background(scope, receive, send)
            return
        send = _with_request_id(scope, send)
        for prefix, mounted in self._mounts:
            if scope["path"].startswith(prefix):
                await mounted(scope, receive, send)
                return
        await self._site(scope, receive, send)  # type: ignore[arg-type]


def _with_request_id(scope: Scope, send: Send) -> Send:
    """Put `X-Request-Id` on the answer."""
    request_id = request_id_of(scope["headers"])

    async def send_with_id(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
        await send(message)

    return send_with_id


application = _compose()

# What was made so far stays for good. Without this the collector walks through all of Django, with
# nothing else going on, every now and then.
gc.collect()
gc.freeze()
