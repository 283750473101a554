"""The quota check without the site: the gate and whatever Valkey the environment names.

Every account is in that Valkey already, so PostgreSQL is not needed.
"""

import os
from collections.abc import Mapping, Sequence

from benchmark.hot_accounts import PEPPER
from gate.decision.check import Gate
from gate.service.asgi import QuotaApp
from gate.service.service import QuotaService
from gate.service.service_tokens import ServiceTokens
from gate.service.trust import Trust
from gate.store.connection import HotClient
from gate.store.snapshots import (
    AccountSnapshot,
    CatalogueSnapshot,
    PartitionState,
)
from gate.terms import key_text
from gate.terms.reasons import Outcome


async def _no_accounts(handles: Sequence[str]) -> Mapping[str, AccountSnapshot]:
    raise LookupError(handles)


async def _count_nothing(handle: str) -> Sequence[Outcome]:
    raise LookupError(handle)


async def _no_catalogue(partition: int) -> tuple[PartitionState, CatalogueSnapshot]:
    raise LookupError(partition)


async def _service_tokens() -> Mapping[str, Trust]:
    return {key_text.digest(os.environ["SERVICE_TOKEN"], PEPPER): Trust()}


application = QuotaApp(
    QuotaService(
        gate=Gate(
            client=HotClient(os.environ["REDIS_URL"]),
            peppers=[PEPPER],
            load_accounts=_no_accounts,
            load_catalogue=_no_catalogue,
            count_used=_count_nothing,
        ),
        service_tokens=ServiceTokens(peppers=[PEPPER], load=_service_tokens),
        billing_url="https://account.example/billing",
    )
)
