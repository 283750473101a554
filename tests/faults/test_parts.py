"""Each part of a site may die, or be slow, while everything that does not need it goes on."""

import asyncio
import json
import os
import re
import resource
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.faults.caller import Caller, Reply
from tests.running_site import RunningSite

pytestmark = pytest.mark.slow

CALLERS = 4
PAUSE_SECONDS = 0.01
BEFORE_SECONDS = 0.5
BACK_WITHIN_SECONDS = 30.0
# Longer than the slow pages here, and shorter than what the front is told in production.
SITE_ANSWERS_IN_SECONDS = 14.0
STALLED = 1_000
# Hours of keys that an export has a row for.
EXPORTED_KEYS, EXPORTED_DAYS = 200, 30
# Bodies that stall are held by the front: the site never hears of them. The webhook is what reads
# whatever anybody sends.
HALF_A_BODY = (
    b"POST /stripe/webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
    b"Content-Type: application/json\r\n\r\n{"
)


class Site:
    """A running site with somebody who asks and somebody who is signed in."""

    def __init__(self, running: RunningSite) -> None:
        self.running = running
        self.token = running.manage("issue_service_token", "parts").splitlines()[-1]
        self.key = running.rich_key("parts")
        self.cookies = self._signed_in()

    def _signed_in(self) -> dict[str, str]:
        with httpx.Client(base_url=self.running.address, timeout=30) as browser:
            page = browser.get("/auth/login/").text
            found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
            assert found
            answer = browser.post(
                "/auth/login/",
                data={
                    "login": "parts@example.com",
                    "password": "correct horse battery staple",
                    "csrfmiddlewaretoken": found[1],
                },
                headers={"Referer": self.running.address},
            )
            assert answer.status_code == 302, answer.text
            return dict(browser.cookies)

    def kill(self, name: str) -> None:
        """End all processes of a part without asking."""
        os.killpg(self.running.pid(name), signal.SIGKILL)


class Watched:
    """What checks at the gate's door, and pages by the front, were answered meanwhile."""

    def __init__(self) -> None:
        self.checks: list[Reply | None] = []
        self.pages: list[tuple[int, float]] = []

    @property
    def slowest_check_ms(self) -> float:
        """Of those that were answered."""
        return max((one.seconds for one in self.checks if one), default=0.0) * 1000

    def forget(self) -> None:
        """Begin anew."""
        self.checks.clear()
        self.pages.clear()

    def require_checks(self) -> None:
        """Every check was granted."""
        refused = [one for one in self.checks if one is None or not one.is_granted]
        assert self.checks, "nothing was asked"
        assert not refused, refused[:3]

    def require_pages(self) -> None:
        """Every page was shown."""
        assert self.pages, "no page was asked for"
        assert {status for status, _ in self.pages} == {200}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Everything that scripts/run starts."""
    running = RunningSite(
        tmp_path_factory.mktemp("parts") / "data",
        SITE_ANSWERS_IN=f"{SITE_ANSWERS_IN_SECONDS:.0f}s",
    )
    try:
        running.until_ready()
        yield Site(running)
    finally:
        if running.process.poll() is None:
            running.end()


@asynccontextmanager
async def watching(site: Site) -> AsyncIterator[Watched]:
    """Checks and pages without pause, until the end of the block."""
    watched = Watched()
    is_over = asyncio.Event()

    async def ask() -> None:
        async with Caller(site.running.gate_port, site.token) as caller:
            while not is_over.is_set():
                reply: Reply | None = None
                with suppress(OSError):
                    reply = await caller.check(site.key)
                watched.checks.append(reply)
                await asyncio.sleep(PAUSE_SECONDS)

    async def look() -> None:
        paths = ("/pricing", "/account/keys", "/account/billing")
        async with httpx.AsyncClient(
            base_url=site.running.address, cookies=site.cookies, timeout=20
        ) as browser:
            turn = 0
            while not is_over.is_set():
                began, status = time.monotonic(), 0
                with suppress(httpx.HTTPError):
                    status = (await browser.get(paths[turn % len(paths)])).status_code
                watched.pages.append((status, time.monotonic() - began))
                turn += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(ask())
        group.create_task(look())
        await asyncio.sleep(BEFORE_SECONDS)
        yield watched
        is_over.set()


async def _until_back(site: Site, name: str, before: int) -> float:
    """Seconds until a part that was killed runs again."""
    began = time.monotonic()
    while site.running.pid(name) in {0, before}:
        assert time.monotonic() < began + BACK_WITHIN_SECONDS, f"{name} does not come back"
        await asyncio.sleep(0.02)
    return time.monotonic() - began


async def _until_ready(site: Site) -> None:
    """Until gate and pages answer again, by the door and by the front."""
    deadline = time.monotonic() + BACK_WITHIN_SECONDS
    async with httpx.AsyncClient(timeout=10) as client:
        for address in (
            f"http://127.0.0.1:{site.running.gate_port}/healthz",
            f"{site.running.address}/quota/v1/openapi.json",
            f"{site.running.address}/pricing",
        ):
            while True:
                with suppress(httpx.HTTPError):
                    if (await client.get(address)).status_code == 200:
                        break
                assert time.monotonic() < deadline, f"{address} does not come back"
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("name", ["worker", "worker-waiting", "beat", "sandbox"])
def test_neither_checks_nor_pages_notice_that_it_dies(
    site: Site, name: str, figures: Callable[[str], None]
) -> None:
    async def story() -> None:
        async with watching(site) as watched:
            before = site.running.pid(name)
            site.kill(name)
            back = await _until_back(site, name, before)
            await asyncio.sleep(1)
            watched.require_checks()
            watched.require_pages()
            figures(
                f"{len(watched.checks)} checks, the slowest {watched.slowest_check_ms:.0f} ms, and "
                f"{len(watched.pages)} pages while {name} was away for {back:.1f} s"
            )

    asyncio.run(story())


def test_checks_do_not_notice_that_the_pages_die(
    site: Site, figures: Callable[[str], None]
) -> None:
    async def story() -> None:
        async with watching(site) as watched:
            before = site.running.pid("site")
            site.kill("site")
            await _until_back(site, "site", before)
            await _until_ready(site)
            watched.require_checks()
            # The front waits for it a while, and says in a page of its own that it is away.
            assert {status for status, _ in watched.pages} <= {200, 503}
            figures(
                f"{len(watched.checks)} checks, the slowest {watched.slowest_check_ms:.0f} ms, "
                f"while the pages were away"
            )
            watched.forget()
            await asyncio.sleep(1)
            watched.require_pages()

    asyncio.run(story())


def test_a_site_that_hangs_is_waited_for_so_long_and_no_check_notices(
    site: Site, figures: Callable[[str], None]
) -> None:
    async def story() -> None:
        server = site.running.pid("site")
        processes = [server, *_children(server)]
        async with httpx.AsyncClient(
            base_url=site.running.address, cookies=site.cookies, timeout=60
        ) as browser:
            for process in processes:
                os.kill(process, signal.SIGSTOP)
            try:
                began = time.monotonic()
                page = asyncio.create_task(browser.get("/account/keys"))
                watched = Watched()
                async with Caller(site.running.gate_port, site.token) as caller:
                    while not page.done() and time.monotonic() < began + 50:
                        watched.checks.append(await caller.check(site.key))
                        await asyncio.sleep(PAUSE_SECONDS)
                answer, waited = await page, time.monotonic() - began
            finally:
                for process in reversed(processes):
                    os.kill(process, signal.SIGCONT)
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "10"
            assert "Back in a moment" in answer.text
            assert SITE_ANSWERS_IN_SECONDS <= waited < SITE_ANSWERS_IN_SECONDS + 5
            watched.require_checks()
            figures(
                f"{len(watched.checks)} checks, the slowest {watched.slowest_check_ms:.0f} ms, "
                f"while the pages hung; the front gave them up after {waited:.1f} s"
            )
            await _until_ready(site)
            assert (await browser.get("/account/keys")).status_code == 200
        assert site.running.pid("site") == server

    asyncio.run(story())


def test_a_page_s_process_that_dies_is_replaced_and_nothing_else_notices(site: Site) -> None:
    async def story() -> None:
        async with watching(site) as watched:
            server = site.running.pid("site")
            workers = _children(server)
            os.kill(workers[0], signal.SIGKILL)
            deadline = time.monotonic() + BACK_WITHIN_SECONDS
            while len(set(_children(server)) - {workers[0]}) < len(workers):
                assert time.monotonic() < deadline, "it was not replaced"
                await asyncio.sleep(0.05)
            assert site.running.pid("site") == server
            await asyncio.sleep(1)
            watched.require_checks()
            # What that very process was at may be lost; the front does not ask twice.
            assert [status for status, _ in watched.pages].count(200) >= len(watched.pages) - 1

    asyncio.run(story())


def test_pages_do_not_notice_that_the_gate_dies(site: Site, figures: Callable[[str], None]) -> None:
    async def story() -> None:
        async with watching(site) as watched, httpx.AsyncClient(timeout=10) as client:
            before = site.running.pid("gate")
            site.kill("gate")
            answer = await client.get(f"{site.running.address}/quota/v1/openapi.json")
            if answer.status_code != 200:
                assert answer.status_code == 503
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.headers["retry-after"] == "2"
                assert answer.json()["code"] == "quota_unavailable"
                assert answer.elapsed.total_seconds() < 1
            back = await _until_back(site, "gate", before)
            await _until_ready(site)
            watched.require_pages()
            figures(f"{len(watched.pages)} pages while the gate was away for {back:.1f} s")
            watched.forget()
            await asyncio.sleep(1)
            watched.require_checks()

    asyncio.run(story())


def test_checks_do_not_notice_that_the_front_dies(site: Site) -> None:
    async def story() -> None:
        async with watching(site) as watched:
            before = site.running.pid("front")
            site.kill("front")
            await _until_back(site, "front", before)
            await _until_ready(site)
            watched.require_checks()
            watched.forget()
            await asyncio.sleep(1)
            watched.require_pages()

    asyncio.run(story())


@pytest.mark.parametrize("name", ["front", "sandbox", "beat"])
def test_readiness_names_the_part_that_is_missing(site: Site, name: str) -> None:
    """Asked at the gate, which asks some, and knows of others by signs that are kept for 30 s."""
    before = site.running.pid(name)
    # It stands still, so that nobody starts it again.
    os.kill(before, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + 60
        found: list[str] = []
        while name not in found:
            assert time.monotonic() < deadline, found
            answer = httpx.get(f"http://127.0.0.1:{site.running.gate_port}/readyz", timeout=10)
            assert answer.status_code == 200
            found = answer.json()["problems"]
            time.sleep(0.5)
    finally:
        os.kill(before, signal.SIGCONT)


def test_a_page_that_waits_for_the_database_keeps_nobody_else(
    site: Site, figures: Callable[[str], None]
) -> None:
    url = _services(site)["database_url"]

    async def story() -> None:
        async with httpx.AsyncClient(
            base_url=site.running.address, cookies=site.cookies, timeout=60
        ) as browser:
            with psycopg.connect(url) as holding:
                holding.execute("LOCK TABLE billing_purchase IN ACCESS EXCLUSIVE MODE")
                slow = [asyncio.create_task(browser.get("/account/billing")) for _ in range(4)]
                await asyncio.sleep(1)
                watched = Watched()
                async with (
                    Caller(site.running.gate_port, site.token) as caller,
                    httpx.AsyncClient(
                        base_url=site.running.address, cookies=site.cookies, timeout=20
                    ) as other,
                ):
                    ends_at = time.monotonic() + 9
                    while time.monotonic() < ends_at:
                        watched.checks.append(await caller.check(site.key))
                        began = time.monotonic()
                        status = (await other.get("/account/keys")).status_code
                        watched.pages.append((status, time.monotonic() - began))
                        await asyncio.sleep(0.02)
                assert not any(one.done() for one in slow)
                holding.rollback()
            answers = await asyncio.gather(*slow)
        watched.require_checks()
        watched.require_pages()
        assert {answer.status_code for answer in answers} == {200}
        slowest = max(seconds for _, seconds in watched.pages)
        figures(
            f"beside 4 pages of 10 s: {len(watched.checks)} checks, the slowest "
            f"{watched.slowest_check_ms:.0f} ms; {len(watched.pages)} pages, the slowest "
            f"{slowest:.2f} s"
        )
        assert slowest < 3

    asyncio.run(story())


def test_a_thousand_bodies_that_stall_keep_neither_checks_nor_pages(
    site: Site, figures: Callable[[str], None]
) -> None:
    stalled: list[socket.socket] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * STALLED if hard == resource.RLIM_INFINITY else min(hard, 2 * STALLED)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        for _ in range(STALLED):
            one = socket.create_connection(("127.0.0.1", site.running.port), timeout=10)
            stalled.append(one)
            one.sendall(HALF_A_BODY)

        async def story() -> Watched:
            async with watching(site) as watched:
                await asyncio.sleep(3)
                return watched

        watched = asyncio.run(story())
        watched.require_checks()
        watched.require_pages()
        slowest = max(seconds for _, seconds in watched.pages)
        figures(
            f"beside {STALLED:,} bodies that stalled: {len(watched.checks)} checks, the slowest "
            f"{watched.slowest_check_ms:.0f} ms; {len(watched.pages)} pages, the slowest "
            f"{slowest:.2f} s"
        )
        assert slowest < 3
    finally:
        for one in stalled:
            one.close()


def test_a_large_export_keeps_neither_checks_nor_pages(
    site: Site, figures: Callable[[str], None]
) -> None:
    site.running.manage(
        *("seed_usage", "parts@example.com"),
        *("--keys", str(EXPORTED_KEYS), "--days", str(EXPORTED_DAYS)),
    )

    async def export() -> int:
        """Rows of the longest span, as quickly as they come."""
        lines = 0
        async with (
            httpx.AsyncClient(
                base_url=site.running.address, cookies=site.cookies, timeout=60
            ) as browser,
            browser.stream("GET", "/account/usage/export.csv?span=90days") as answer,
        ):
            assert answer.status_code == 200
            async for part in answer.aiter_bytes():
                lines += part.count(b"\n")
        return lines - 1

    async def story() -> None:
        async with watching(site) as watched:
            began = time.monotonic()
            rows = await export()
            seconds = time.monotonic() - began
        watched.require_checks()
        watched.require_pages()
        slowest = max(taken for _, taken in watched.pages)
        figures(
            f"beside an export of {rows:,} rows in {seconds:.1f} s: {len(watched.checks)} checks, "
            f"the slowest {watched.slowest_check_ms:.0f} ms; {len(watched.pages)} pages, the "
            f"slowest {slowest:.2f} s"
        )
        assert rows >= EXPORTED_KEYS * EXPORTED_DAYS * 24
        assert slowest < 3

    asyncio.run(story())


def _children(parent: int) -> list[int]:
    text = ""
    with suppress(OSError):
        text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(word) for word in text.split()]


def _services(site: Site) -> dict[str, str]:
    services: dict[str, str] = json.loads((site.running.data_dir / "services.json").read_text())
    return services
