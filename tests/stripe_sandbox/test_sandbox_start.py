"""What a sandbox refuses to start with, and how it starts."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from stripe_sandbox import CannotStartSandbox, create_app
from stripe_sandbox.background import Background
from stripe_sandbox.cards import passes_luhn
from stripe_sandbox.configuration import Configuration
from stripe_sandbox.store import Store
from tests.patience import LONGEST_SECONDS
from tests.stripe_sandbox.running_sandbox import KEY, MOUNT, WEBHOOK_SECRET, Receiver

FLAT_BOOST = {
    "mode": "payment",
    "success_url": "http://127.0.0.1:9/thanks",
    "line_items[0][price_data][currency]": "usd",
    "line_items[0][price_data][unit_amount]": "500",
    "line_items[0][price_data][product_data][name]": "Weekly Boost",
    "line_items[0][quantity]": "1",
}


@pytest.mark.parametrize(
    "change",
    [
        {"secret_key": "sk_live_1"},
        {"secret_key": "sk_test_1"},
        {"webhook_secret": ""},
        {"mount": "sandbox"},
        {"public_url": "example.com"},
    ],
)
def test_it_refuses_to_start_with_a_real_key_or_without_a_secret(
    tmp_path: Path, change: dict[str, str]
) -> None:
    arguments: dict[str, Any] = {
        "mount": MOUNT,
        "store_path": tmp_path / "s.sqlite3",
        "public_url": "http://127.0.0.1:8000",
        "webhook_url": "http://127.0.0.1:8000/stripe/webhook",
        "secret_key": KEY,
        "webhook_secret": WEBHOOK_SECRET,
    }
    create_app(**arguments)
    with pytest.raises(CannotStartSandbox):
        create_app(**{**arguments, **change})


def test_the_test_numbers_of_our_own_pass_the_checksum() -> None:
    assert passes_luhn("9000000000000001")
    assert passes_luhn("9000000000000019")
    assert not passes_luhn("9000000000000002")


async def test_it_stops_although_something_new_comes_at_that_moment(tmp_path: Path) -> None:
    """An order that comes in the very round of the loop in which it is to end."""
    configuration = Configuration(
        mount=MOUNT,
        public_url="http://127.0.0.1:8000",
        webhook_url="http://127.0.0.1:9/webhook",
        secret_key=KEY,
        webhook_secret=WEBHOOK_SECRET,
    )
    for rounds_between in range(4):
        background = Background(Store(tmp_path / "s.sqlite3"), configuration)
        work = asyncio.create_task(background.run())
        await asyncio.sleep(0.1)
        background.wake()
        for _ in range(rounds_between):
            await asyncio.sleep(0)
        work.cancel()
        ended, _ = await asyncio.wait([work], timeout=LONGEST_SECONDS)
        assert ended
        assert work.cancelled()


async def test_it_starts_at_the_first_request_where_no_lifespan_is_sent(
    tmp_path: Path, receiver: Receiver
) -> None:
    app = create_app(
        mount=MOUNT,
        store_path=tmp_path / "s.sqlite3",
        public_url="http://127.0.0.1:8000",
        webhook_url=receiver.url,
        secret_key=KEY,
        webhook_secret=WEBHOOK_SECRET,
    )
    transport = httpx.ASGITransport(app=app)
    headers = {"Authorization": f"Bearer {KEY}"}
    base = f"http://sandbox{MOUNT}/v1/checkout/sessions"
    async with httpx.AsyncClient(transport=transport, headers=headers) as client:
        made = await client.post(base, data=FLAT_BOOST)
        ended = await client.post(f"{base}/{json.loads(made.content)['id']}/expire")
        await asyncio.to_thread(receiver.wait_for, "checkout.session.expired")
    await app.stop()
    assert [made.status_code, ended.status_code] == [200, 200]
    assert receiver.types() == ["checkout.session.expired"]
