"""Which models there are, and which of them a customer may ask."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from api.providers.answers import Provider
from api.reading import did_you_mean
from gate.service.http import Problem
from gate.service.refusals import unavailable
from gate.terms.redaction import shown

logger = logging.getLogger(__name__)

_FRESH_SECONDS = 2.0

# The endpoints, each with the meter that counts it.
CHAT, IMAGES, VOICE = "chat", "images", "voice"


@dataclass(frozen=True, slots=True)
class Model:
    """One model that customers may name.

    endpoint: "chat", "images" or "voice", which is the meter, too. units: what a call takes of the
    meter. plans: slugs; None is every plan. name_at_provider: how the provider calls it. chats:
    what a call costs. created_at: seconds since 1970.
    """

    name: str
    endpoint: str
    units: int
    chats: int
    plans: frozenset[str] | None
    provider: Provider
    name_at_provider: str
    description: str = ""
    created_at: int = 0

    def is_for(self, plan: str) -> bool:
        """Whether a plan may use it."""
        return self.plans is None or plan in self.plans


# Reads the models in their order, from PostgreSQL.
LoadModels = Callable[[], Awaitable[Sequence[Model]]]


class Offer:
    """The models of this moment, read again at the most every two seconds.

    While PostgreSQL is away those that were known stay.
    """

    def __init__(self, load: LoadModels) -> None:
        self._load = load
        self._models: Sequence[Model] | None = None
        self._fresh_until = 0.0
        self._loading: asyncio.Task[None] | None = None

    async def models(self) -> Sequence[Model]:
        """Every model that is offered. Problem 503 while none is known."""
        if time.monotonic() >= self._fresh_until:
            # All who ask at once wait for one reading, and who goes away does not end it.
            if self._loading is None or self._loading.done():
                self._loading = asyncio.create_task(self._read())
            await asyncio.shield(self._loading)
        if self._models is None:
            raise unavailable()
        return self._models

    async def aclose(self) -> None:
        """Close every connection to a provider."""
        providers = {id(model.provider): model.provider for model in self._models or ()}
        for provider in providers.values():
            await provider.aclose()

    async def _read(self) -> None:
        try:
            self._models = await self._load()
        except Exception as error:  # noqa: BLE001 - whatever database and driver raise
            logger.error("the models could not be read: %s", type(error).__name__)
        self._fresh_until = time.monotonic() + _FRESH_SECONDS

    async def chosen(
        self,
        *,
        endpoint: str,
        name: str | None,
        plan: str,
        may_ask: Callable[[str], bool] = lambda _name: True,
    ) -> Model:
        """The model that a request means; without a name the first that plan and key may use.

        may_ask: whether the key may ask a model. What is named decides the gate, before it charges.

        Problem 404 for a name that there is not, 403 for one that the plan may not use.
        """
        models = [model for model in await self.models() if model.endpoint == endpoint]
        allowed = [model for model in models if model.is_for(plan)]
        if name is None:
            if not allowed:
                raise _nothing_for(endpoint, is_offered=bool(models))
            return next((model for model in allowed if may_ask(model.name)), allowed[0])
        for model in models:
            if model.name == name:
                if not model.is_for(plan):
                    raise _not_for_plan(name)
                return model
        raise unknown_model(name, [model.name for model in allowed])


def unknown_model(name: str, known: Sequence[str]) -> Problem:
    """The answer to a name that there is not, with the one that may have been meant."""
    hint = did_you_mean(name, known) or " GET /api/v1/models lists those there are."
    return Problem(
        404, "model_not_found", f"There is no model “{shown(name)}”.{hint}", field="model"
    )


def _not_for_plan(name: str) -> Problem:
    return Problem(
        403,
        "not_permitted",
        f"The model “{name}” is not part of your plan. GET /api/v1/models lists those that are.",
        field="model",
    )


def _nothing_for(endpoint: str, *, is_offered: bool) -> Problem:
    if is_offered:
        return Problem(403, "not_permitted", f"Your plan has no model for {endpoint}.")
    return Problem(404, "model_not_found", f"No model for {endpoint} is offered here.")
