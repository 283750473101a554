"""The plans, packs, meters and models of a first start. What exists is the admin's and stays.

Their texts are kept in English; pages say them in other languages while an admin leaves them.
"""

from typing import Any

from django.db import transaction
from django.utils.translation import gettext_noop as _

from gate.store.hot_state import PARTITIONS
from partitions.models import Partition
from quotas import catalogue
from quotas.models.offer import AIModel, Provider
from quotas.models.plans import Meter, Pack, Plan, QuotaPolicy

COPILOT_PRO_PACK = "copilot-pro"

# slug, name, weekly cap, demo price in cents, summary, features
_PLANS: tuple[tuple[str, str, int | None, int | None, str, list[str]], ...] = (
    (
        "free",
        "Free",
        50,
        0,
        _("Try the API, build a first tool."),
        [
            _("As many keys as you need"),
            _("Usage by key, model and tag"),
            _("Boosts and credits on top"),
        ],
    ),
    (
        "core",
        "Core",
        500,
        900,
        _("For a tool that you use every day."),
        [_("Everything in Free")],
    ),
    (
        "plus",
        "Plus",
        1_500,
        1_900,
        _("For people who build with it."),
        [_("Everything in Core")],
    ),
    (
        "pro",
        "Pro",
        None,
        4_900,
        _("No weekly cap at all."),
        [
            _("Everything in Plus"),
            _("No cap to think of, no pack to switch on"),
            _("For one person"),
        ],
    ),
    (
        "teams",
        "Teams",
        None,
        5_900,
        _("No weekly cap, for a team."),
        [_("Everything in Pro"), _("For a team that shares one account"), _("Usage by member")],
    ),
    (
        "enterprise",
        "Enterprise",
        None,
        None,
        _("For your own terms."),
        [_("Everything in Teams"), _("Terms to suit you")],
    ),
)

# endpoint, name, description
_MODELS = (
    (AIModel.Endpoint.CHAT, "sansxel-chat", _("Answers in words.")),
    (AIModel.Endpoint.IMAGES, "sansxel-image", _("Makes a picture of a prompt.")),
    (AIModel.Endpoint.VOICE, "sansxel-voice", _("Reads a text aloud.")),
)


def seed_catalogue(*, with_demo_prices: bool) -> None:
    """Create plans, packs, meters and models that are missing, and what nothing works without."""
    with transaction.atomic():
        QuotaPolicy.objects.get_or_create(pk=1)
        Partition.objects.bulk_create(
            [Partition(index=index) for index in range(PARTITIONS)], ignore_conflicts=True
        )
        created = [
            Meter.objects.get_or_create(slug=slug, defaults={"name": name})[1]
            for slug, name in (("chat", "Chat"), ("images", "Images"), ("voice", "Voice"))
        ]
        pack, is_new_pack = Pack.objects.get_or_create(
            slug=COPILOT_PRO_PACK,
            defaults={
                "name": "Copilot Pro Pack",
                "summary": _("Lifts the weekly cap while it is on."),
            },
        )
        is_first = not Plan.objects.exists()
        for position, (slug, name, cap, price, summary, features) in enumerate(_PLANS):
            defaults: dict[str, Any] = {
                "name": name,
                "weekly_cap": cap,
                "monthly_price_cents": price if with_demo_prices else None,
                # Two months less.
                "yearly_price_cents": 10 * price if with_demo_prices and price else None,
                "summary": summary,
                "features": features,
                "is_per_seat": slug == "teams",
                "position": position,
                "is_default": is_first and slug == "free",
            }
            # Only a first start makes plans: one that an admin deleted does not come back.
            if is_first:
                plan = Plan.objects.create(slug=slug, **defaults)
                if slug == "plus":
                    plan.packs.add(pack)
        catalogue.ensure_default_plan()
        if any(created) or is_new_pack or is_first:
            catalogue.changed()
        _seed_models()


def _seed_models() -> None:
    """The first models, once in the life of an installation: a mark says that they were made."""
    # Of two that prepare at once, the second waits for the first and finds the mark.
    is_first = QuotaPolicy.objects.filter(has_first_models=False).update(has_first_models=True)
    if not is_first or Provider.objects.exists():
        return
    house = Provider.objects.create(name="House")
    AIModel.objects.bulk_create(
        AIModel(endpoint=endpoint, name=name, description=description, provider=house)
        for endpoint, name, description in _MODELS
    )
