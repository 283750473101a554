"""How many keys come with the plan of an account, and what they may be used for."""

from dataclasses import replace

from django.utils import timezone

from accounts.models import Account
from keys import scopes
from keys.allowed import ALL_ALLOWED, Allowed
from keys.bounds import Bound
from quotas import catalogue
from quotas.entitlements import plan_of
from quotas.models.plans import Plan
from quotas.offer import offered


def bound_by_plan(account: Account) -> Bound | None:
    """So many as the plan that counts now says; None where it says nothing."""
    plan = plan_of(account, at=timezone.now())
    return None if plan.keys_at_most is None else Bound(plan.keys_at_most, plan.name)


def allowed_by_plan(account: Account) -> Allowed:
    """What the plan that counts now lets keys be used for, and which plan adds what it lacks."""
    plan = plan_of(account, at=timezone.now())
    allowed = _of(plan)
    has_all = allowed == ALL_ALLOWED
    models = tuple(
        model.name
        for model in offered()
        if allowed.has(model.endpoint) and (model.plans is None or plan.slug in model.plans)
    )
    if has_all:
        return replace(allowed, models=models)
    more: dict[str, str] = {}
    for other in Plan.objects.filter(is_public=True):
        if catalogue.is_better(other, plan):
            of_other = _of(other)
            for scope in allowed.lacking(scopes.ALL):
                if of_other.has(scope):
                    more.setdefault(scope, other.name)
    return replace(allowed, plan=plan.name, more=more, models=models)


def _of(plan: Plan) -> Allowed:
    meters = frozenset(plan.meters) if plan.meters else None
    return Allowed(meters=meters, manages=plan.keys_manage)
