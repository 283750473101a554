"""What happens without a request: sessions expire, timers run out, webhooks go out.

Every web process runs this. Work is claimed in the store, so each piece is done by one of them, and
it survives a restart: a claim that was never finished falls due again when its lease ends.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass

from stripe_sandbox import webhooks
from stripe_sandbox.acts import timekeeping
from stripe_sandbox.books import Json
from stripe_sandbox.configuration import Configuration
from stripe_sandbox.sendings import CONFIGURED, Sending
from stripe_sandbox.store import Store

logger = logging.getLogger(__name__)

# How often to look for what other processes left to do.
LOOK_SECONDS = 0.5
AT_ONCE = 8
LEASE_SECONDS = 3 * webhooks.ATTEMPT_SECONDS


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A sending that this process has claimed, with what it takes to make it."""

    sending: Sending
    event: Json
    url: str


class Background:
    """The loop of one process; `wake` makes it look at once."""

    def __init__(self, store: Store, configuration: Configuration) -> None:
        self._store = store
        self._configuration = configuration
        self._client = webhooks.sender()
        self._something_new = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Look for work now instead of at the next round."""
        self._something_new.set()

    async def run(self) -> None:
        """Work until cancelled; a round that fails is logged and the next one tries again."""
        async with self._client:
            try:
                await self._work()
            finally:
                sending = tuple(self._sending)
                for task in sending:
                    task.cancel()
                await asyncio.gather(*sending, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            self._something_new.clear()
            try:
                if await asyncio.to_thread(self._seconds_to_work) <= 0:
                    await self._round()
                rest = await asyncio.to_thread(self._seconds_to_work)
            except Exception:
                logger.exception("a round of the sandbox's background work failed")
                rest = LOOK_SECONDS
            await self._rest(rest)

    async def _round(self) -> None:
        await asyncio.to_thread(self._keep_time)
        while len(self._sending) < AT_ONCE:
            delivery = await asyncio.to_thread(self._claim)
            if delivery is None:
                return
            task = asyncio.create_task(self._deliver(delivery))
            self._sending.add(task)
            task.add_done_callback(self._sent)

    async def _rest(self, seconds: float) -> None:
        # Work that is due but out of reach (all senders busy) wakes us when one is done.
        wait = seconds if 0 < seconds < LOOK_SECONDS else LOOK_SECONDS
        # Not `wait_for`: before Python 3.12 it forgets to be cancelled when both come at once.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._something_new.wait()

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a webhook could not be recorded", exc_info=task.exception())
        self.wake()

    def _seconds_to_work(self) -> float:
        with self._store.read(self._configuration) as books:
            due_at = books.next_due_at()
            return LOOK_SECONDS if due_at is None else due_at - books.now

    def _keep_time(self) -> None:
        with self._store.write(self._configuration) as books:
            timekeeping.catch_up(books)

    def _claim(self) -> Delivery | None:
        with self._store.write(self._configuration) as books:
            while sending := books.sendings.claim(lease_seconds=LEASE_SECONDS):
                event = books.get("event", sending.event_id)
                endpoint = books.get("webhook_endpoint", sending.endpoint_id)
                if sending.endpoint_id == CONFIGURED:
                    endpoint = {"url": self._configuration.webhook_url}
                if event is not None and endpoint is not None:
                    return Delivery(sending=sending, event=event, url=endpoint["url"])
                books.sendings.give_up(sending)
        return None

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            status = await webhooks.send(
                delivery.event,
                url=delivery.url,
                secret=webhooks.secret_of(
                    delivery.sending.endpoint_id, configuration=self._configuration
                ),
                client=self._client,
            )
        except asyncio.CancelledError:
            # We are stopping: give the claim up now, not when its lease ends.
            self._record(delivery, None)
            raise
        await asyncio.to_thread(self._record, delivery, status)

    def _record(self, delivery: Delivery, status: int | None) -> None:
        sending = delivery.sending
        with self._store.write(self._configuration) as books:
            if status is not None and 200 <= status < 300:
                books.sendings.delivered(sending)
                return
            wait = webhooks.wait_before_retry(
                sending.attempts, first_seconds=self._configuration.retry_after_seconds
            )
            due_at = books.now + wait
            given_up = due_at > sending.begun_at + webhooks.GIVE_UP_SECONDS
            if given_up:
                books.sendings.give_up(sending)
            else:
                books.sendings.put_off(sending, due_at=due_at)
        logger.warning(
            "webhook %s (%s), attempt %d: %s; %s",
            sending.event_id,
            delivery.event["type"],
            sending.attempts,
            "no answer" if status is None else f"HTTP {status}",
            "given up" if given_up else f"again in {wait:.1f} s",
        )
