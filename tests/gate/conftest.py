"""A gate on the real Valkey, and the service in front of it, reached in both ways."""

import pytest

from tests.gate.quota_service import QuotaService
from tests.gate.world import World


@pytest.fixture
def world() -> World:
    """One account on Free with one key."""
    return World()


@pytest.fixture(params=["asgi", "shortcut"])
def service(world: World, request: pytest.FixtureRequest) -> QuotaService:
    """The service with one account on Free, by ASGI and over our web server's shortcut."""
    return QuotaService(world, by_shortcut=request.param == "shortcut")
