"""A gate in the test's own process that leaves Valkey all the time that a test leaves anybody.

In production a check gives up after half a second. A test that is not about that would be red
whenever a disk is busy.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from django.conf import settings

from config.reading import in_thread
from gate.decision.check import Gate
from gate.decision.cold import CountUsed, LoadAccounts, LoadCatalogue
from gate.store.connection import HotClient
from quotas.catalogue import partition_snapshot
from quotas.projection import load_accounts
from quotas.usage.so_far import count_used
from tests.patience import LONGEST_SECONDS

_LOAD_ACCOUNTS = in_thread(load_accounts)
_LOAD_CATALOGUE = in_thread(partition_snapshot)
_COUNT_USED = in_thread(count_used)


def patient_client() -> HotClient:
    """A client of the Valkey that the settings name; whoever makes it closes it."""
    return HotClient(settings.REDIS_URL, patience=LONGEST_SECONDS)


def gate_by(
    client: HotClient,
    *,
    load_accounts: LoadAccounts = _LOAD_ACCOUNTS,
    load_catalogue: LoadCatalogue = _LOAD_CATALOGUE,
    count_used: CountUsed = _COUNT_USED,
) -> Gate:
    """A gate that asks by a client; it loads as in production, unless told otherwise."""
    return Gate(
        client=client,
        peppers=settings.KEY_PEPPERS,
        load_accounts=load_accounts,
        load_catalogue=load_catalogue,
        count_used=count_used,
        answer_within=LONGEST_SECONDS,
    )


@asynccontextmanager
async def patient_gate() -> AsyncIterator[Gate]:
    """A gate until the end of the block, which loads as in production."""
    client = patient_client()
    try:
        yield gate_by(client)
    finally:
        await client.aclose()
