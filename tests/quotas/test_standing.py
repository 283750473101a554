"""What pages say of an account is what the gate would decide."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from accounts.models import Account
from gate.terms import week
from quotas import grants
from quotas.models.ledger import Boost, CreditEntry
from quotas.models.plans import Plan
from quotas.standing import Standing, standing_of
from tests import entitled
from tests.quotas.live_gate import LiveGate

Now = Callable[[], Standing]


def grant_boost(account: Account, chats: int, *, days: float) -> Boost:
    now = timezone.now()
    return grants.grant_boost(
        account=account,
        chats=chats,
        at=now,
        expires_at=now + timedelta(days=days),
        source_ref=f"test:{chats}:{days}",
    )


@pytest.mark.django_db(transaction=True)
class TestByTheGate:
    def test_an_account_that_did_nothing_has_its_plan(self, standing: Now) -> None:
        now = standing()
        assert (now.plan_name, now.cap, now.used, now.left) == ("Free", 50, 0, 50)
        assert (now.boosts, now.boost_left, now.credits_left) == ((), 0, 0)
        assert (now.credits_per_chat, now.suspended, now.can_chat) == (2, False, True)

    def test_it_names_the_plan_of_the_gate_whatever_plan_a_page_has_read(
        self, account: Account
    ) -> None:
        for plan in Plan.objects.all():
            standing = standing_of(account, plan=plan)
            assert standing is not None
            assert standing.plan_name == "Free"

    def test_it_resets_on_monday_at_midnight(self, account: Account) -> None:
        for moment in (
            datetime(2031, 3, 3, tzinfo=UTC),
            datetime(2031, 3, 5, 12, tzinfo=UTC),
            datetime(2031, 3, 9, 23, 59, 59, 999_000, tzinfo=UTC),
        ):
            standing = standing_of(account, at=moment)
            assert standing is not None
            assert standing.resets_at == datetime(2031, 3, 10, tzinfo=UTC)

    def test_a_boost_granted_later_that_expires_earlier_is_used_and_listed_first(
        self, account: Account, key: str, gate: LiveGate, standing: Now
    ) -> None:
        late = grant_boost(account, 10, days=7)
        gate.use(key, 53)
        early = grant_boost(account, 4, days=1)
        gate.use(key, 3)
        assert [(b.chats, b.left, b.expires_at) for b in standing().boosts] == [
            (4, 1, early.expires_at),
            (10, 7, late.expires_at),
        ]
        gate.use(key, 2)
        assert [boost.left for boost in standing().boosts] == [0, 6]
        assert standing().boost_left == 6

    def test_a_boost_that_has_expired_is_not_there(self, account: Account) -> None:
        boost = grant_boost(account, 10, days=1)
        just_before = standing_of(account, at=boost.expires_at - timedelta(milliseconds=1))
        assert just_before is not None
        assert just_before.boost_left == 10
        at_the_end = standing_of(account, at=boost.expires_at)
        assert at_the_end is not None
        assert (at_the_end.boosts, at_the_end.boost_left) == ((), 0)

    def test_an_unlimited_plan_has_no_cap_and_nothing_left_to_count(
        self, account: Account, key: str, gate: LiveGate, standing: Now
    ) -> None:
        entitled.move_to_plan(account, "pro")
        gate.check(key, 1000)
        now = standing()
        assert (now.plan_name, now.cap, now.used, now.left) == ("Pro", None, 1000, None)
        assert (now.percent, now.can_chat) == (0, True)

    def test_a_suspended_account_sees_what_it_has_and_cannot_chat(
        self, account: Account, standing: Now
    ) -> None:
        entitled.set_suspended(account, True)
        assert (standing().suspended, standing().left, standing().can_chat) == (True, 50, False)

    def test_credits_below_the_price_of_a_chat_pay_none(
        self, account: Account, key: str, gate: LiveGate, standing: Now
    ) -> None:
        gate.use(key, 50)
        for source, chats in (("test:1", 0), ("test:2", 1)):
            grants.grant_credits(
                account=account,
                credits=1,
                kind=CreditEntry.Kind.GRANT,
                at=timezone.now(),
                source_ref=source,
            )
            assert standing().chats_from_credits == chats
            assert standing().can_chat is bool(chats)

    def test_without_valkey_there_is_no_standing(
        self, account: Account, valkey_away: Callable[[bool], None]
    ) -> None:
        valkey_away(True)
        assert standing_of(account, at=timezone.now()) is None
        valkey_away(False)
        assert standing_of(account, at=timezone.now()) is not None

    def test_looking_charges_nothing(self, key: str, gate: LiveGate, standing: Now) -> None:
        gate.check(key)
        for _ in range(5):
            assert standing().used == 1


@pytest.mark.parametrize(
    ("used", "cap", "percent"),
    [
        (0, 50, 0),
        (1, 1500, 0),
        (25, 50, 50),
        (1499, 1500, 99),
        (50, 50, 100),
        (60, 50, 100),
        (0, 0, 100),
        (5, None, 0),
    ],
)
def test_the_percentage_stays_between_0_and_100_and_is_100_only_when_nothing_is_left(
    used: int, cap: int | None, percent: int
) -> None:
    standing = Standing(
        plan_name="Plan",
        cap=cap,
        used=used,
        left=None if cap is None else max(0, cap - used),
        resets_at=week.ends_at(3000),
        boosts=(),
        boost_left=0,
        credits_left=0,
        credits_per_chat=2,
        suspended=False,
    )
    assert standing.percent == percent
