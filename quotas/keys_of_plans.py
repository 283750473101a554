"""How many keys come with the plan of an account."""

from django.utils import timezone

from accounts.models import Account
from keys.bounds import Bound
from quotas.entitlements import plan_of


def bound_by_plan(account: Account) -> Bound | None:
    """So many as the plan that counts now says; None where it says nothing."""
    plan = plan_of(account, at=timezone.now())
    return None if plan.keys_at_most is None else Bound(plan.keys_at_most, plan.name)
