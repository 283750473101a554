"""What so many chats a week come to: in whole cents, and never more than another way would."""

from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.estimating import (
    CHATS_AT_MOST,
    BoostOffer,
    CreditOffer,
    Offers,
    PlanOffer,
    Way,
    offers_of,
    ways,
)
from billing.models import Product
from billing.seed import seed_products
from quotas import catalogue

FREE, CORE = PlanOffer("Free", 0, 50), PlanOffer("Core", 900, 500)
PRO = PlanOffer("Pro", 4_900, None)
BOOST = BoostOffer("Weekly Boost", 500, 500, 7)
CREDITS = CreditOffer(500, 500)
SOLD = Offers((FREE, CORE, PRO), (BOOST,), (CREDITS,), credits_per_chat=2)


def best(chats: int, offers: Offers = SOLD) -> Way:
    return ways(chats, offers)[0]


def of(plan: PlanOffer, chats: int, offers: Offers = SOLD) -> Way:
    return next(way for way in ways(chats, offers) if way.plan == plan)


def only(plan: PlanOffer, *, boosts: tuple[BoostOffer, ...] = (), credit: bool = False) -> Offers:
    return Offers((plan,), boosts, (CREDITS,) if credit else (), credits_per_chat=2)


# --- by hand ------------------------------------------------------------------------------------


def test_a_plan_that_is_enough_needs_nothing_on_top() -> None:
    assert (best(50).plan, best(50).cents_a_month, best(50).is_plan_alone) == (FREE, 0, True)
    assert of(CORE, 500).cents_a_month == 900


def test_the_first_chat_beyond_a_cap_is_paid_by_credits_every_week_of_the_year() -> None:
    way = of(FREE, 51)
    # 52 weeks × 2 credits are 104 a year: 8⅔ a month, rounded up.
    assert (way.chats_by_credits, way.credits_a_month, way.cents_a_month) == (1, 9, 9)


def test_boosts_pay_where_they_are_full_and_credits_what_is_left_over() -> None:
    way = of(FREE, 50 + 500 + 10)
    assert (way.boosts, way.chats_by_credits) == (1, 10)
    # 52 boosts of $5 and 52 × 20 credits of one cent: $270.40 a year.
    assert way.cents_a_month == 2254


def test_a_boost_that_is_nearly_full_costs_less_than_the_credits_instead() -> None:
    assert of(FREE, 50 + 240).boosts == 0
    assert of(FREE, 50 + 260).boosts == 1
    assert of(FREE, 50 + 260).chats_by_credits == 0


def test_of_two_ways_that_cost_the_same_the_one_with_less_to_buy_comes_first() -> None:
    # 250 chats by credits and one boost are $5 a week both.
    dear = PlanOffer("Dear", 2_167, None)
    first, second = ways(300, Offers((FREE, dear), (BOOST,), (CREDITS,), credits_per_chat=2))
    assert first.cents_a_month == second.cents_a_month == 2_167
    assert (first.plan, first.is_plan_alone) == (dear, True)


def test_a_boost_of_four_weeks_is_shared_by_four_weeks() -> None:
    month = BoostOffer("Month", 400, 1_000, 28)
    way = best(150, only(PlanOffer("A", 0, 50), boosts=(month,)))
    # 100 chats beyond the cap of each of four weeks: one boost, 13 times a year.
    assert (way.boosts, way.every_weeks, way.cents_a_month) == (1, 4, 434)


def test_a_boost_of_two_days_pays_what_comes_in_two_days() -> None:
    short = BoostOffer("Short", 100, 1_000, 2)
    way = best(700, only(PlanOffer("A", 0, 0), boosts=(short,)))
    assert way.boosts == 4


def test_credits_are_counted_at_the_lowest_price_that_there_is() -> None:
    offers = Offers((FREE,), (), (CreditOffer(500, 500), CreditOffer(4_000, 5_000)), 2)
    # 52 × 200 credits at 0.8 cents.
    assert best(150, offers).cents_a_month == 694


def test_what_is_no_whole_cent_is_rounded_up_and_never_down() -> None:
    offers = Offers((FREE,), (), (CreditOffer(50, 433),), 2)
    # 104 credits a year are 12.009 cents: 13, and so more than one a month.
    assert best(51, offers).cents_a_month == 2


def test_what_nothing_on_sale_pays_for_has_no_way() -> None:
    assert ways(51, only(FREE)) == ()
    assert ways(51, Offers((), (BOOST,), (CREDITS,), credits_per_chat=2)) == ()
    # Without credits the boost is bought for one chat, too.
    assert best(51, only(FREE, boosts=(BOOST,))).boosts == 1


@pytest.mark.django_db
def test_the_first_catalogue_with_its_pack_that_lifts_a_cap(plans: None) -> None:
    seed_products()
    offers = offers_of(
        catalogue.public_plans(),
        Product.objects.all(),
        credits_per_chat=catalogue.policy().credits_per_chat,
    )
    assert [plan.name for plan in offers.plans] == ["Free", "Core", "Plus", "Pro", "Teams"]
    assert best(600, offers).plan.name == "Core"
    plus = best(CHATS_AT_MOST, offers)
    assert (plus.plan.name, plus.plan.pack, plus.cents_a_month) == (
        "Plus",
        "Copilot Pro Pack",
        1_900,
    )


# --- whatever is sold ---------------------------------------------------------------------------

CHATS = st.integers(1, CHATS_AT_MOST)
PLANS = st.builds(
    PlanOffer,
    name=st.sampled_from("ABC"),
    monthly_cents=st.integers(0, 20_000),
    cap=st.none() | st.integers(0, 5_000),
)
WEEKLY = st.builds(
    BoostOffer,
    name=st.just("boost"),
    cents=st.integers(50, 5_000),
    chats=st.integers(1, 2_000),
    days=st.integers(7, 13),
)
ANY_LENGTH = st.builds(
    BoostOffer,
    name=st.just("boost"),
    cents=st.integers(50, 5_000),
    chats=st.integers(1, 2_000),
    days=st.integers(1, 400),
)
PACKS = st.builds(CreditOffer, cents=st.integers(50, 5_000), credits=st.integers(1, 5_000))


def sold(boosts: st.SearchStrategy[BoostOffer]) -> st.SearchStrategy[Offers]:
    return st.builds(
        Offers,
        plans=st.lists(PLANS, max_size=4).map(tuple),
        boosts=st.lists(boosts, max_size=2).map(tuple),
        credits=st.lists(PACKS, max_size=2).map(tuple),
        credits_per_chat=st.integers(1, 20),
    )


# However slow the machine is, the sums are the same.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@unhurried
@given(CHATS, sold(ANY_LENGTH))
def test_every_way_pays_for_all_chats_and_none_costs_less_than_the_first(
    chats: int, offers: Offers
) -> None:
    found = ways(chats, offers)
    assert [way.cents_a_month for way in found] == sorted(way.cents_a_month for way in found)
    for way in found:
        assert way.cents_a_month >= way.plan.monthly_cents
        if way.plan.cap is None:
            assert way.is_plan_alone
            continue
        a_boost = way.boost.chats if way.boost else 0
        bought = way.boosts * a_boost + way.chats_by_credits
        assert bought >= way.every_weeks * max(0, chats - way.plan.cap)


@unhurried
@given(st.integers(1, 20_000), sold(WEEKLY))
def test_no_number_of_boosts_with_credits_for_the_rest_costs_less(
    chats: int, offers: Offers
) -> None:
    cheapest = {id(way.plan): way.cents_a_month for way in ways(chats, offers)}
    for plan, boost, credit in product(offers.plans, offers.boosts, offers.credits):
        if plan.cap is None:
            continue
        beyond = max(0, chats - plan.cap)
        most = -(-beyond // boost.chats)
        # All of them where there are few, otherwise some from the whole range.
        for boosts in range(0, most + 1, max(1, most // 20)):
            rest = 52 * offers.credits_per_chat * max(0, beyond - boosts * boost.chats)
            year = 12 * plan.monthly_cents + 52 * boosts * boost.cents
            year += -(-rest * credit.cents // credit.credits)
            assert cheapest[id(plan)] <= -(-year // 12)


@unhurried
@given(st.integers(1, CHATS_AT_MOST - 1), sold(WEEKLY))
def test_more_chats_never_cost_less(chats: int, offers: Offers) -> None:
    fewer, more = ways(chats, offers), ways(chats + 1, offers)
    if more:
        assert fewer[0].cents_a_month <= more[0].cents_a_month
