"""The models of the admin beside those who answer. Only here are keys read."""

import logging
import os

from django.conf import settings

from api.offer import Model
from api.providers.answers import Provider
from api.providers.calls import Limits
from api.providers.demo import DemoProvider
from api.providers.openai import OpenAIProvider
from config.reading import in_thread
from quotas.offer import OfferedModel, offered

logger = logging.getLogger(__name__)


class Providers:
    """One for each address and key, so that all calls to it share its connections."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._demo = DemoProvider()
        self._known: dict[tuple[str, str], OpenAIProvider] = {}
        self._missing: set[str] = set()

    async def models(self) -> list[Model]:
        """Every model that is offered, in its order."""
        return [self._model(row) for row in await in_thread(offered)()]

    def _model(self, row: OfferedModel) -> Model:
        return Model(
            name=row.name,
            endpoint=row.endpoint,
            units=row.units,
            chats=row.chats,
            plans=row.plans,
            provider=self._demo if row.is_demo else self._of(row.base_url, row.key_variable),
            name_at_provider=row.name_at_provider,
            description=row.description,
            created_at=row.created,
        )

    def _of(self, base_url: str, key_variable: str) -> Provider:
        key = os.environ.get(key_variable, "") if key_variable else ""
        if key_variable and not key and key_variable not in self._missing:
            self._missing.add(key_variable)
            logger.error("%s is not set: the provider is asked without a key", key_variable)
        if (base_url, key) not in self._known:
            self._known[base_url, key] = OpenAIProvider(base_url, key, limits=self._limits)
        return self._known[base_url, key]


def limits() -> Limits:
    """How long providers are waited for, and how many calls there are at once."""
    return Limits(
        first_seconds=settings.MODEL_FIRST_SECONDS,
        between_seconds=settings.MODEL_BETWEEN_SECONDS,
        total_seconds=settings.MODEL_TOTAL_SECONDS,
        connections=settings.MODEL_CONNECTIONS,
        wait_seconds=settings.MODEL_WAIT_SECONDS,
    )
