"""Budgets of key, member and account: exact under a crowd, over several processes."""

import asyncio
from collections import Counter
from uuid import uuid4

import pytest

from accounts.models import Membership, User
from gate.terms.budget import Budget
from keys.issue import issue_api_key
from keys.limits import KeyLimits
from quotas import catalogue, member_budgets
from quotas.models.plans import Plan
from quotas.usage import drain
from tests.faults.conftest import Service
from tests.faults.customers import customer

pytestmark = pytest.mark.slow

CALLERS = 1_000
OF_KEY, OF_MEMBER, OF_ACCOUNT = 120, 250, 400


def told(service: Service, key: str, *, callers: int) -> Counter[str]:
    """What so many callers are told who ask once each, all at once."""

    async def story() -> list[str]:
        async with service.callers(callers) as all_of_them:
            replies = await asyncio.gather(
                *(one.check_until_decided(key, request_id=uuid4().hex) for one in all_of_them)
            )
        # What got no answer in time is asked again under its id, and counted once.
        return [str(answers[-1].body.get("reason", answers[-1].status)) for answers in replies]

    return Counter(asyncio.run(story()))


def test_a_thousand_callers_pass_exactly_as_often_as_every_budget_lets_them(
    service: Service,
) -> None:
    Plan.objects.filter(slug="free").update(weekly_cap=OF_ACCOUNT)
    catalogue.changed()
    buyer = customer(plan="free", keys=1)
    member = Membership.objects.select_related("user").get(account=buyer.account)
    friend = User.objects.create_user(f"{uuid4().hex}@example.com", "correct horse battery")
    Membership.objects.create(account=buyer.account, user=friend, role="developer")
    capped, other, of_friend = (
        issue_api_key(
            account=buyer.account,
            name="one",
            submission=uuid4(),
            by=by,
            limits=KeyLimits(daily_cap=cap),
        )[1]
        for by, cap in ((member.user, OF_KEY), (member.user, None), (friend, None))
    )
    # Of what was used before there is a budget some is drained, and some not.
    assert told(service, other, callers=20) == {"ok": 20}
    drain.move_all()
    assert told(service, other, callers=10) == {"ok": 10}
    member_budgets.change(
        account=buyer.account,
        user_id=member.user_id,
        budget=Budget(a_day=OF_MEMBER),
        by=member.user,
    )

    refused = CALLERS - OF_KEY
    assert told(service, capped, callers=CALLERS) == {"ok": OF_KEY, "key_budget_reached": refused}
    left = OF_MEMBER - OF_KEY - 30
    assert told(service, other, callers=300) == {"ok": left, "member_budget_reached": 300 - left}
    left = OF_ACCOUNT - OF_MEMBER
    assert told(service, of_friend, callers=300) == {"ok": left, "quota_exhausted": 300 - left}
