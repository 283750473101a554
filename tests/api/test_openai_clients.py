"""The official clients of the OpenAI API, for Python and JavaScript, against this API as it is."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from gate.terms.week import week_of
from tests.api.conftest import Api, offered
from tests.api.javascript.packages import PACKAGE
from tests.gate.world import now_ms
from tests.patience import LONGEST_SECONDS

HELLO: Any = [{"role": "user", "content": "Hello!"}]
WEATHER: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}


def used_up(api: Api) -> None:
    api.world.grant(used=50, week=week_of(now_ms()))


async def client_of(address: str, api: Api, **more: Any) -> AsyncOpenAI:
    return AsyncOpenAI(
        base_url=f"{address}/api/v1",
        **{"api_key": api.world.key, "timeout": LONGEST_SECONDS, **more},
    )


# --- Python -----------------------------------------------------------------------------------


async def test_python_reads_a_whole_answer_and_a_streamed_one(api: Api) -> None:
    async with api.server() as address, await client_of(address, api) as client:
        (model, *_) = (await client.models.list()).data
        assert model.id == "house"
        assert (await client.models.retrieve("house")).id == "house"
        whole = await client.chat.completions.create(model="house", messages=HELLO)
        assert whole.choices[0].message.content == "Hello, wörld"
        assert whole.choices[0].finish_reason == "stop"
        assert whole.usage is not None
        assert whole.usage.total_tokens == 7
        stream = await client.chat.completions.create(
            model="house", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    text = "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices)
    assert text == "Hello, wörld"
    assert chunks[-1].usage is not None
    assert await api.count_used() == 2


async def test_python_calls_tools(api: Api) -> None:
    api.model_server.calls = [("weather", '{"city": ', '"Oslo"}')]
    async with api.server() as address, await client_of(address, api) as client:
        whole = await client.chat.completions.create(model="house", messages=HELLO, tools=[WEATHER])
        (call,) = whole.choices[0].message.tool_calls or []
        assert call.type == "function"
        assert (call.function.name, call.function.arguments) == ("weather", '{"city": "Oslo"}')
        assert whole.choices[0].finish_reason == "tool_calls"
        async with client.chat.completions.stream(
            model="house", messages=HELLO, tools=[WEATHER]
        ) as stream:
            completion = await stream.get_final_completion()
    (streamed,) = completion.choices[0].message.tool_calls or []
    assert streamed.function.arguments == '{"city": "Oslo"}'


async def test_python_shows_our_sentences(api: Api) -> None:
    async with api.server() as address:
        async with await client_of(address, api, api_key="sk_nonsense") as stranger:
            with pytest.raises(openai.AuthenticationError, match="Send a valid API key"):
                await stranger.chat.completions.create(model="house", messages=HELLO)
        async with await client_of(address, api) as client:
            with pytest.raises(openai.NotFoundError, match="There is no model “horse”"):
                await client.chat.completions.create(model="horse", messages=HELLO)
            with pytest.raises(openai.BadRequestError, match="“temperature” must be"):
                await client.chat.completions.create(model="house", messages=HELLO, temperature=9)


async def test_python_shows_why_a_key_or_plan_is_not_enough(api: Api) -> None:
    api.models = [offered("of-plus", plans=frozenset({"plus"}))]
    async with api.server() as address, await client_of(address, api) as client:
        with pytest.raises(openai.PermissionDeniedError, match="not part of your plan"):
            await client.chat.completions.create(model="of-plus", messages=HELLO)


async def test_python_does_not_try_a_used_up_week_again(api: Api) -> None:
    used_up(api)
    async with api.server() as address, await client_of(address, api, max_retries=5) as client:
        with pytest.raises(openai.RateLimitError, match="Buy a Weekly Boost") as refused:
            await client.chat.completions.create(model="house", messages=HELLO)
    assert int(refused.value.response.headers["retry-after"]) > 0
    # Asked once: a second question would say how often it is.
    assert "x-stainless-retry-count" in refused.value.request.headers
    assert refused.value.request.headers["x-stainless-retry-count"] == "0"


async def test_python_sees_that_a_stream_broke_off(api: Api) -> None:
    api.model_server.ending = "cut"
    async with api.server() as address, await client_of(address, api) as client:
        stream = await client.chat.completions.create(model="house", messages=HELLO, stream=True)
        with pytest.raises(openai.APIError, match="broke off"):
            async for _ in stream:
                pass
    assert await api.count_used() == 0


# --- JavaScript -------------------------------------------------------------------------------


async def javascript(modules: Path, address: str, api: Api, what: str) -> dict[str, Any]:
    """What a short program found, as JSON."""
    program = modules.parent / "ask.mjs"
    program.write_bytes((PACKAGE / "ask.mjs").read_bytes())
    running = await asyncio.create_subprocess_exec(
        "node",
        str(program),
        what,
        env={**os.environ, "BASE_URL": f"{address}/api/v1", "SANSXEL_KEY": api.world.key},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(LONGEST_SECONDS):
        printed, failed = await running.communicate()
    assert running.returncode == 0, failed.decode()
    found: dict[str, Any] = json.loads(printed)
    return found


async def test_javascript_reads_a_whole_answer_and_a_streamed_one(
    api: Api, openai_modules: Path
) -> None:
    async with api.server() as address:
        found = await javascript(openai_modules, address, api, "chats")
    assert found == {
        "models": ["house", "picture", "speech"],
        "whole": "Hello, wörld",
        "streamed": "Hello, wörld",
        "tokens": 7,
    }
    assert await api.count_used() == 2


async def test_javascript_calls_tools(api: Api, openai_modules: Path) -> None:
    api.model_server.calls = [("weather", '{"city": ', '"Oslo"}')]
    async with api.server() as address:
        found = await javascript(openai_modules, address, api, "tools")
    assert found == {"name": "weather", "arguments": '{"city": "Oslo"}', "reason": "tool_calls"}


async def test_javascript_shows_our_sentences(api: Api, openai_modules: Path) -> None:
    async with api.server() as address:
        found = await javascript(openai_modules, address, api, "refusals")
    assert found["stranger"]["status"] == 401
    assert "Send a valid API key" in found["stranger"]["message"]
    assert found["unknown"]["status"] == 404
    assert "There is no model “horse”" in found["unknown"]["message"]


async def test_javascript_shows_why_a_plan_is_not_enough(api: Api, openai_modules: Path) -> None:
    api.models = [offered("house", plans=frozenset({"plus"}))]
    async with api.server() as address:
        found = await javascript(openai_modules, address, api, "used-up")
    assert (found["status"], found["asked"]) == (403, 1)
    assert "not part of your plan" in found["message"]


async def test_javascript_does_not_try_a_used_up_week_again(api: Api, openai_modules: Path) -> None:
    used_up(api)
    async with api.server() as address:
        found = await javascript(openai_modules, address, api, "used-up")
    assert found["status"] == 429
    assert "Buy a Weekly Boost" in found["message"]
    assert found["asked"] == 1
