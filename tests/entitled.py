"""The seam's acts on plans, packs and suspensions, now and each for a reason of its own."""

from datetime import datetime
from typing import Any
from uuid import uuid4

from django.utils import timezone

from accounts.models import Account
from gate.terms.spending import Spending
from keys.models import ApiKey
from quotas import grants
from quotas.models.plans import Pack, Plan


def move_to_plan(account: Account, plan: Plan | str, *, ends_at: datetime | None = None) -> None:
    """Put an account on a plan, as an admin does."""
    grants.move_to_plan(
        account=account,
        plan=Plan.objects.get(slug=plan) if isinstance(plan, str) else plan,
        at=timezone.now(),
        ends_at=ends_at,
        source_ref=f"test:{uuid4()}",
    )


def switch_pack(account: Account, pack: Pack, *, on: bool) -> None:
    """Switch a pack on or off. Raises CannotSwitchPack."""
    grants.switch_pack(account=account, pack=pack, on=on, at=timezone.now())


def set_suspended(account: Account, suspended: bool) -> None:
    """Suspend an account, or let it work again."""
    act = grants.suspend if suspended else grants.reinstate
    act(account=account, at=timezone.now())


def choose_spending(account: Account, key: ApiKey | None = None, **chosen: Any) -> bool:
    """Say what an account, or one key of it, may spend past the allowance."""
    spending = Spending(**chosen)
    return grants.choose_spending(account=account, key=key, spending=spending, at=timezone.now())
