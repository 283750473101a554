"""Whatever a model does: what was delivered is charged, and nothing else is."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.delivery import BrokenOff
from api.providers.calls import Limits
from api.providers.openai import OpenAIProvider
from tests.api.behaving.behaviour import Act, Behaviour, Leads
from tests.api.behaving.behaviours import BEHAVIOURS
from tests.api.behaving.server import BehavingServer
from tests.api.conftest import Api, offered

pytestmark = pytest.mark.slow

# Where silence must be over some time; so long that a slow machine is not taken for it.
QUICK = Limits(between_seconds=1.5, total_seconds=3, end_seconds=1)
SILENT = {Act.HANG, Act.HEARTBEAT}
STATUS = {
    # To a form that cannot tell it.
    Leads.WHOLE: 502,
    Leads.REFUSED: 400,
    Leads.BUSY: 503,
    Leads.ALARM: 502,
    Leads.BROKEN_BEFORE: 502,
    Leads.BROKEN_AFTER: 502,
}
FORMS = [
    ("/api/v1/chat", False),
    ("/api/v1/chat", True),
    ("/api/v1/chat/completions", False),
    ("/api/v1/chat/completions", True),
]


@pytest.fixture
def server() -> Iterator[BehavingServer]:
    with BehavingServer().running() as running:
        yield running


async def ask(client: httpx.AsyncClient, api: Api, behaviour: Behaviour, **more: Any) -> str | int:
    """The text of an answer, or the status of an error; "cut" where it broke off."""
    path, stream = more["path"], more["stream"]
    body = {"messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    if behaviour.choices > 1 and "completions" in path:
        body["n"] = behaviour.choices
    try:
        answer = await client.post(
            path, json=body, headers={"Authorization": f"Bearer {api.world.key}"}
        )
    except BrokenOff:
        return "cut"
    if answer.status_code != 200:
        return answer.status_code
    return "cut" if '"code":"model_failed"' in answer.text else answer.text


@pytest.mark.parametrize("name", BEHAVIOURS)
async def test_only_what_was_delivered_is_charged(
    api: Api, server: BehavingServer, name: str
) -> None:
    behaviour = server.behaviour = BEHAVIOURS[name]
    is_silent = bool(SILENT & {step for step in behaviour.steps if isinstance(step, Act)})
    limits = QUICK if is_silent else api.limits
    api.models = [offered("m", provider=OpenAIProvider(server.url, "model-key", limits=limits))]
    used = 0
    async with api.client() as client:
        for path, stream in FORMS:
            came = await ask(client, api, behaviour, path=path, stream=stream)
            is_text = path == "/api/v1/chat"
            # A text cannot tell of calls of tools, nor of other choices than the first.
            is_whole = behaviour.leads_to is Leads.WHOLE and bool(behaviour.text or not is_text)
            if is_whole:
                assert isinstance(came, str)
                assert came != "cut"
                used += 1 if is_text else behaviour.choices
            else:
                failed = STATUS[behaviour.leads_to]
                assert came in ({failed, "cut"} if stream and failed == 502 else {failed})
            if is_whole and is_text and stream:
                assert came == behaviour.text
    assert await api.count_used() == used
