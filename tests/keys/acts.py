"""What a browser and an API server do with keys."""

import asyncio
import re
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.test import Client
from django.urls import reverse

from config.reading import in_thread
from gate.decision.check import Decision, Gate
from gate.store.connection import HotClient
from quotas.catalogue import partition_snapshot
from quotas.projection import load_accounts
from tests.patience import LONGEST_SECONDS
from tests.site.answer import Answer

KEY = re.compile(r"sk_[0-9A-Za-z]{46}")
TOKEN = re.compile(r"svc_[0-9A-Za-z]{38}")
UNREACHABLE = "unix:///nonexistent/valkey.sock"


def submit_key(
    client: Client, name: str = "laptop", *, submission: UUID | str | None = None, **more: Any
) -> Answer:
    """Submit the form for a new key, as a browser does."""
    fields = {"name": name, "submission": str(submission or uuid4()), **more}
    return client.post(reverse("key_create"), fields)


def shown_key(response: Answer) -> str:
    """The one key that a page shows."""
    shown = set(KEY.findall(response.content.decode()))
    assert len(shown) == 1, response.content.decode()
    return str(shown.pop())


def ask_gate(key: str, *, units: int = 1, address: str = "") -> Decision:
    """The decision of a gate process; the test must commit what it does."""

    async def asking() -> Decision:
        client = HotClient(settings.REDIS_URL, patience=LONGEST_SECONDS)
        gate = Gate(
            client=client,
            peppers=settings.KEY_PEPPERS,
            load_accounts=in_thread(load_accounts),
            load_catalogue=in_thread(partition_snapshot),
            answer_within=LONGEST_SECONDS,
        )
        try:
            return await gate.check(key=key, units=units, address=address)
        finally:
            await client.aclose()

    return asyncio.run(asking())
