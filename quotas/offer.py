"""Which models customers may name now, and where each of them is asked.

The rows are the admin's; what they leave empty, the environment says. Keys are not read here: only
the name of the variable that has one leaves.
"""

from dataclasses import dataclass

from django.conf import settings
from django.db.models import OuterRef, Subquery
from django.utils.translation import gettext

from quotas.models.offer import AIModel, Provider
from quotas.models.plans import Meter

_HOUSE_KEY = "MODEL_API_KEY"
# By endpoint: the setting that has what the house's provider calls its model.
_HOUSE_NAMES = {
    AIModel.Endpoint.CHAT: "MODEL_NAME",
    AIModel.Endpoint.IMAGES: "MODEL_IMAGE_NAME",
    AIModel.Endpoint.VOICE: "MODEL_VOICE_NAME",
}


@dataclass(frozen=True)
class OfferedModel:
    """A model that customers may name.

    endpoint: chat, images or voice, which is the meter's slug as well; units: times what the meter
    costs in chats; chats: what a call costs so; plans: the slugs of those that may use it, or None
    for every plan, and with no slug in it nobody may; plan_names: of those plans the public ones,
    for people; base_url: without a slash at its end, empty of the built-in demo; key_variable:
    where the key is, empty without one; created: seconds since 1970.
    """

    name: str
    endpoint: str
    units: int
    chats: int
    plans: frozenset[str] | None
    plan_names: str
    base_url: str
    key_variable: str
    name_at_provider: str
    is_demo: bool
    description: str
    created: int


def offered() -> list[OfferedModel]:
    """All of them by endpoint, and of each endpoint the one to be asked first before the others."""
    cost = Meter.objects.filter(slug=OuterRef("endpoint")).values("chats")
    models = (
        AIModel.objects.annotate(meter_chats=Subquery(cost))
        .filter(meter_chats__isnull=False, is_offered=True)
        .select_related("provider")
        .prefetch_related("plans")
    )
    return [
        _offered(model, chats=model.units * model.meter_chats)
        for model in models
        if not why_unanswered(model)
    ]


def base_url_of(provider: Provider) -> str:
    """Where a provider is asked, without a slash at its end; empty is the built-in demo."""
    return (provider.base_url or settings.MODEL_BASE_URL).rstrip("/")


def key_variable_of(provider: Provider) -> str:
    """Which variable of the environment has the provider's key; empty when none is sent."""
    if not base_url_of(provider):
        return ""
    return provider.key_variable or ("" if provider.base_url else _HOUSE_KEY)


def name_at_provider_of(model: AIModel) -> str:
    """What the provider is asked for; empty where nobody says it."""
    house_name: str = getattr(settings, _HOUSE_NAMES[AIModel.Endpoint(model.endpoint)])
    return model.name_at_provider or house_name


def why_unanswered(model: AIModel) -> str:
    """Why no provider could be asked for the model; empty when one can."""
    if not base_url_of(model.provider) or name_at_provider_of(model):
        return ""
    setting = _HOUSE_NAMES[AIModel.Endpoint(model.endpoint)]
    return gettext("no name at the provider, and %(setting)s is not set") % {"setting": setting}


def _plan_names(model: AIModel) -> str:
    if model.for_all_plans:
        return gettext("All")
    return ", ".join(plan.name for plan in model.plans.all() if plan.is_public)


def _offered(model: AIModel, *, chats: int) -> OfferedModel:
    base_url = base_url_of(model.provider)
    return OfferedModel(
        name=model.name,
        endpoint=model.endpoint,
        units=model.units,
        chats=chats,
        plan_names=_plan_names(model),
        plans=None if model.for_all_plans else frozenset(plan.slug for plan in model.plans.all()),
        base_url=base_url,
        key_variable=key_variable_of(model.provider),
        name_at_provider=name_at_provider_of(model),
        is_demo=not base_url,
        description=model.description,
        created=int(model.created_at.timestamp()),
    )
