"""What so many chats a week would cost: by every plan, with boosts and credits on top.

Whole numbers only, and nothing is read here. A year has 52 weeks, and a month is its twelfth.
Chats are taken to come evenly: a boost that is bought where the allowance ends serves to the same
place of a later week.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from billing.models import Product
from quotas.models.plans import Plan

CHATS_AT_MOST = 1_000_000
_WEEKS, _MONTHS = 52, 12


@dataclass(frozen=True, slots=True)
class PlanOffer:
    """A plan that has a price. cap: None is unlimited; pack: what lifts it so far, or empty.

    slug: where it is chosen.
    """

    name: str
    monthly_cents: int
    cap: int | None
    pack: str = ""
    slug: str = ""


@dataclass(frozen=True, slots=True)
class BoostOffer:
    """A boost on sale."""

    name: str
    cents: int
    chats: int
    days: int


@dataclass(frozen=True, slots=True)
class CreditOffer:
    """Credits on sale. What is not used stays, so that only what is used counts."""

    cents: int
    credits: int


@dataclass(frozen=True, slots=True)
class Offers:
    """All that is on sale. Plans in the order of the pricing page."""

    plans: tuple[PlanOffer, ...]
    boosts: tuple[BoostOffer, ...]
    credits: tuple[CreditOffer, ...]
    credits_per_chat: int

    @property
    def cheapest_credits(self) -> CreditOffer | None:
        """Those that cost least each."""
        # Compared without a fraction: nothing is rounded.
        best: CreditOffer | None = None
        for one in self.credits:
            if best is None or one.cents * best.credits < best.cents * one.credits:
                best = one
        return best


@dataclass(frozen=True, slots=True)
class Way:
    """One way to pay for them: a plan, and what is bought on top.

    boosts: so many of one kind, every so many weeks. chats_by_credits: in as many weeks.
    credits_a_month and cents_a_month are rounded up.
    """

    plan: PlanOffer
    boost: BoostOffer | None
    boosts: int
    every_weeks: int
    chats_by_credits: int
    credits_a_month: int
    cents_a_month: int

    @property
    def is_plan_alone(self) -> bool:
        """Whether nothing is bought on top."""
        return not self.boosts and not self.chats_by_credits


def offers_of(
    plans: Iterable[Plan], products: Iterable[Product], *, credits_per_chat: int
) -> Offers:
    """What of the catalogue can be compared: plans with a price (with `packs`), and products."""
    products = list(products)
    return Offers(
        plans=tuple(
            _plan_offer(plan, plan.monthly_price_cents)
            for plan in plans
            if plan.monthly_price_cents is not None
        ),
        boosts=tuple(
            BoostOffer(one.name, one.price_cents, one.chats, one.valid_days)
            for one in products
            if one.kind == Product.Kind.BOOST
        ),
        credits=tuple(
            CreditOffer(one.price_cents, one.credits)
            for one in products
            if one.kind == Product.Kind.CREDITS
        ),
        credits_per_chat=credits_per_chat,
    )


def _plan_offer(plan: Plan, cents: int) -> PlanOffer:
    """The plan with that of its packs on that lifts its cap most: packs cost nothing."""
    cap, lifted_by = plan.weekly_cap, ""
    for pack in plan.included_packs:
        if cap is not None and (pack.weekly_cap is None or pack.weekly_cap > cap):
            cap, lifted_by = pack.weekly_cap, pack.name
    return PlanOffer(plan.name, cents, cap, lifted_by, plan.slug)


def ways(chats: int, offers: Offers) -> tuple[Way, ...]:
    """The cheapest way with each plan that can pay so many chats a week, the cheapest first.

    Of two that cost the same, what needs fewer purchases comes first, then the earlier plan.
    """
    found = (_cheapest(chats, plan, offers) for plan in offers.plans)
    return tuple(sorted((way for way in found if way is not None), key=_order))


def _order(way: Way) -> tuple[int, bool, bool]:
    return way.cents_a_month, not way.is_plan_alone, bool(way.boosts and way.chats_by_credits)


def _cheapest(chats: int, plan: PlanOffer, offers: Offers) -> Way | None:
    beyond = 0 if plan.cap is None else max(0, chats - plan.cap)
    return min(_on_top(chats, beyond, plan, offers), key=_order, default=None)


def _on_top(chats: int, beyond: int, plan: PlanOffer, offers: Offers) -> Iterator[Way]:
    """The ways that may be the cheapest: without boosts, and with as many as are of use."""
    credit = offers.cheapest_credits
    if not beyond or credit is not None:
        yield _way(plan, offers, chats_by_credits=beyond)
    for boost in offers.boosts if beyond else ():
        weeks = min(_WEEKS, max(1, boost.days // 7))
        # One that ends within the week pays no more than what comes until then.
        each = min(boost.chats, chats * boost.days // 7 if boost.days < 7 else boost.chats)
        if not each:
            continue
        # Between these two the cost goes along a line, so that neither lies in between.
        full, rest = divmod(beyond * weeks, each)
        if full and (not rest or credit is not None):
            yield _way(plan, offers, boost=boost, boosts=full, weeks=weeks, chats_by_credits=rest)
        if rest:
            yield _way(plan, offers, boost=boost, boosts=full + 1, weeks=weeks)


def _way(
    plan: PlanOffer,
    offers: Offers,
    *,
    boost: BoostOffer | None = None,
    boosts: int = 0,
    weeks: int = 1,
    chats_by_credits: int = 0,
) -> Way:
    boosts_a_year = _up(_WEEKS * boosts, weeks)
    credits_a_year = _up(_WEEKS * chats_by_credits, weeks) * offers.credits_per_chat
    cents = _MONTHS * plan.monthly_cents
    if boost is not None:
        cents += boosts_a_year * boost.cents
    credit = offers.cheapest_credits
    if credit is not None:
        cents += _up(credits_a_year * credit.cents, credit.credits)
    return Way(
        plan=plan,
        boost=boost,
        boosts=boosts,
        every_weeks=weeks,
        chats_by_credits=chats_by_credits,
        credits_a_month=_up(credits_a_year, _MONTHS),
        cents_a_month=_up(cents, _MONTHS),
    )


def _up(whole: int, by: int) -> int:
    return -(-whole // by)
