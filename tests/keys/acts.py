"""What a browser and an API server do with keys."""

import asyncio
import re
from typing import Any
from uuid import UUID, uuid4

from django.test import Client
from django.urls import reverse

from gate.decision.check import Decision
from tests.patient_gate import patient_gate
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
        async with patient_gate() as gate:
            return await gate.check(key=key, units=units, address=address)

    return asyncio.run(asking())
