"""One running site for all journeys, and a real browser."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.running_site import RunningSite

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """A whole site with servers of its own, ready."""
    running = RunningSite(tmp_path_factory.mktemp("site") / "data", WEBHOOKS_MAY_STAY_HERE="yes")
    try:
        running.until_ready()
        yield running
    finally:
        if running.process.poll() is None:
            running.end()


# Not for the whole session: Playwright keeps an event loop running in this thread while it is open.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Chromium, where it is installed."""
    program = os.environ.get("CHROMIUM")
    if not program:
        pytest.skip("there is no Chromium here (set CHROMIUM to the program)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


# For journeys that people must be able to make either way.
with_and_without_scripts = pytest.mark.parametrize(
    "scripts", [True, False], ids=["scripts", "no scripts"]
)


@pytest.fixture
def scripts() -> bool:
    """Whether the browser runs scripts."""
    return True


@pytest.fixture
def page(chromium: Browser, scripts: bool) -> Iterator[Page]:
    """A fresh browser window that complains about errors of scripts and policies."""
    context = chromium.new_context(java_script_enabled=scripts)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: (
            complaints.append(message.text) if "Content Security Policy" in message.text else None
        ),
    )
    yield page
    context.close()
    assert complaints == []
