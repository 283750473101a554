"""The composition root: the only place where gate, api and Django meet."""

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from asgiref.sync import sync_to_async  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.exceptions import ImproperlyConfigured  # noqa: E402
from django.db import DatabaseError, connection  # noqa: E402
from redis.exceptions import RedisError  # noqa: E402

from api.asgi import create_app as create_api  # noqa: E402
from api.model import ChatModel, DemoModel, OpenAIModel  # noqa: E402
from billing.sandbox.app import create_app as create_sandbox  # noqa: E402
from gate.asgi import create_app as create_quota_check  # noqa: E402
from gate.check import Gate  # noqa: E402
from gate.connection import HotClient  # noqa: E402
from gate.http import App, Message, Receive, Scope, Send, header_values  # noqa: E402
from gate.service_tokens import ServiceTokens  # noqa: E402
from gate.snapshots import AccountSnapshot, CatalogueSnapshot, PartitionState  # noqa: E402
from keys.projection import valid_service_token_digests  # noqa: E402
from quotas.catalogue import partition_snapshot  # noqa: E402
from quotas.epochs import CannotTrust, verify  # noqa: E402
from quotas.projection import load_account  # noqa: E402

logger = logging.getLogger(__name__)

T = TypeVar("T")
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")


async def _in_thread(read: Callable[..., T], *args: object) -> T:
    """Run a read of PostgreSQL in a thread of its own, and give its connection back."""

    def reading() -> T:
        try:
            return read(*args)
        finally:
            connection.close()

    return await sync_to_async(reading, thread_sensitive=False)()


async def _load_account(handle: str) -> AccountSnapshot | None:
    return await _in_thread(load_account, handle)


async def _load_catalogue(partition: int) -> tuple[PartitionState, CatalogueSnapshot]:
    return await _in_thread(partition_snapshot, partition)


async def _load_service_tokens() -> frozenset[str]:
    return await _in_thread(valid_service_token_digests)


async def _look_at_server(run_id: str) -> None:
    """Before a Valkey is asked for the first time since it was started."""
    logger.info("looking at Valkey %s", run_id[:8])
    try:
        await _in_thread(verify)
    except CannotTrust as error:
        logger.critical("%s", error)
        raise


def _refuse_forgetful_server() -> None:
    """Do not start on a Valkey that evicts or does not persist. One that is away may come back."""
    try:
        verify()
    except CannotTrust as error:
        raise ImproperlyConfigured(str(error)) from None
    except (RedisError, OSError, DatabaseError) as error:
        logger.warning("Valkey or PostgreSQL is away: %s", type(error).__name__)
    finally:
        connection.close()


def _model() -> ChatModel:
    if not settings.MODEL_BASE_URL:
        return DemoModel()
    return OpenAIModel(
        base_url=settings.MODEL_BASE_URL,
        api_key=settings.MODEL_API_KEY,
        model=settings.MODEL_NAME,
    )


def _compose() -> App:
    _refuse_forgetful_server()
    gate = Gate(
        client=HotClient(settings.REDIS_URL, new_server=_look_at_server),
        peppers=settings.KEY_PEPPERS,
        load_account=_load_account,
        load_catalogue=_load_catalogue,
    )
    billing_url = f"{settings.SITE_URL}/account/billing"
    quota_check = create_quota_check(
        gate=gate,
        service_tokens=ServiceTokens(peppers=settings.KEY_PEPPERS, load=_load_service_tokens),
        billing_url=billing_url,
    )
    api = create_api(
        gate=gate,
        model=_model(),
        billing_url=billing_url,
        trusted_proxies=settings.ALLAUTH_TRUSTED_PROXY_COUNT,
    )
    site = get_asgi_application()
    mounts: list[tuple[str, App]] = [("/quota/v1/", quota_check), ("/api/v1/", api)]
    sandbox = None
    if settings.STRIPE_IS_SANDBOX:
        sandbox = create_sandbox(
            mount=settings.SANDBOX_MOUNT,
            store_path=Path(settings.DATA_DIR) / "sandbox.sqlite3",
            public_url=settings.SITE_URL,
            webhook_url=f"http://127.0.0.1:{settings.PORT}/stripe/webhook",
            secret_key=settings.STRIPE_SECRET_KEY,
            webhook_secret=settings.STRIPE_WEBHOOK_SECRET,
        )
        mounts.append((settings.SANDBOX_MOUNT + "/", sandbox))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            # The sandbox delivers its webhooks in the background, from start to end.
            await (sandbox or _lifespan)(scope, receive, send)
            return
        for prefix, mounted in mounts:
            if scope["path"].startswith(prefix):
                await mounted(scope, receive, _with_request_id(scope, send))
                return
        await site(scope, receive, _with_request_id(scope, send))  # type: ignore[arg-type]

    return app


async def _lifespan(_: Scope, receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _with_request_id(scope: Scope, send: Send) -> Send:
    """Put `X-Request-Id` on the answer: the caller's own if it sent a fair one."""
    given = header_values(scope, b"x-request-id")
    if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]):
        request_id = given[0]
    else:
        request_id = os.urandom(16).hex().encode()

    async def send_with_id(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
        await send(message)

    return send_with_id


application = _compose()
