"""Static files as a running site serves them: pages name them by their content."""

import pytest

from config.static_files import collect_static_files


@pytest.fixture(scope="session", autouse=True)
def collected_static_files() -> None:
    """Collect them once; WhiteNoise and the manifest look for them."""
    collect_static_files()
