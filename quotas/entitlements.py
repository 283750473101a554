"""Which plan counts when, and what else an account has with it.

An account has a list of dated plans. While any but the default is live, the best of those counts;
otherwise the default, which never ends. The best is the one that stands last on the pricing page.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import BigIntegerField, Case, Exists, F, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import Coalesce

from accounts.models import Account
from gate.terms.spending import NO_LIMITS, Spending
from quotas import catalogue
from quotas.models.entitlements import PackSwitch, PlanGrant, SpendingChoice, Suspension
from quotas.models.plans import Pack, Plan


@dataclass(frozen=True, slots=True)
class Span:
    """A plan that counts until `ends_at`, when the next span begins; None is for good."""

    plan: Plan
    ends_at: datetime | None


def spans_of(accounts: Collection[Account], *, since: datetime) -> dict[int, list[Span]]:
    """What counts from a moment on, in the order of time, by account; one query for all.

    The default plan alone for an account that was never looked at.
    """
    lasts = Q(ends_at=None) | Q(ends_at__gt=since)
    granted: dict[int, list[PlanGrant]] = defaultdict(list)
    rows = PlanGrant.objects.filter(lasts, account__in=accounts, ended_at=None)
    for row in rows.select_related("plan"):
        granted[row.account_id].append(row)
    spans = {pk: _in_turn(grants, since=since) for pk, grants in granted.items()}
    if lacking := [account.pk for account in accounts if account.pk not in spans]:
        default = Span(catalogue.default_plan(), None)
        spans |= {pk: [default] for pk in lacking}
    return spans


def span_at(spans: Iterable[Span], at: datetime) -> Span:
    """The span that counts at a moment."""
    return next(span for span in spans if span.ends_at is None or span.ends_at > at)


def plan_of(account: Account, *, at: datetime) -> Plan:
    """The plan that counts at a moment."""
    return spans_of([account], since=at)[account.pk][0].plan


def seats_of(account: Account, *, at: datetime) -> int | None:
    """How many people the plan is for that counts at a moment; None is any number."""
    lasts = Q(ends_at=None) | Q(ends_at__gt=at)
    rows = PlanGrant.objects.filter(lasts, account=account, ended_at=None).select_related("plan")
    live = [grant for grant in rows if _is_live(grant, at)]
    if not live:
        return None
    counting = max(live, key=_rank).plan
    return _highest([grant.seats for grant in live if grant.plan == counting])


def packs_on(account: Account) -> QuerySet[Pack]:
    """The packs that the account switched on, whether or not its plan includes them now."""
    return Pack.objects.filter(switches__account=account, switches__ended_at=None)


def packs_of(plan: Plan, *, account: Account) -> QuerySet[Pack]:
    """The packs that come with a plan; `is_on` of each: whether the account switched it on."""
    is_on = PackSwitch.objects.filter(pack=OuterRef("pk"), account=account, ended_at=None)
    return plan.packs.annotate(is_on=Exists(is_on))


def caps_in_turn(
    account: Account, spans: Sequence[Span], *, of_first: Iterable[Pack] | None = None
) -> list[int | None]:
    """The weekly cap in each span, by its plan and the packs that are on; None is unlimited.

    of_first: what `packs_of` said of the first plan, if it was asked: its packs are not looked for.
    """
    lifted: dict[int, list[int | None]] = defaultdict(list)
    for pack in of_first or ():
        if pack.is_on:  # type: ignore[attr-defined]
            lifted[spans[0].plan.pk].append(pack.weekly_cap)
    if unknown := {span.plan.pk for span in (spans if of_first is None else spans[1:])}:
        on = packs_on(account).filter(plans__in=unknown)
        for plan_pk, cap in on.values_list("plans", "weekly_cap"):
            lifted[plan_pk].append(cap)
    return [_highest([span.plan.weekly_cap, *lifted[span.plan.pk]]) for span in spans]


def _highest(caps: Sequence[int | None]) -> int | None:
    return None if None in caps else max(cap for cap in caps if cap is not None)


def suspension_of(account: Account) -> Suspension | None:
    """What refuses every request of the account now, with the reason; None when nothing does."""
    suspensions = Suspension.objects.filter(account=account, ended_at=None)
    return suspensions.select_related("by").first()


def spending_of(account: Account) -> Spending:
    """What the account may spend past the allowance, as it was chosen last."""
    chosen = SpendingChoice.objects.filter(account=account, key=None, ended_at=None).first()
    return NO_LIMITS if chosen is None else chosen.spending


def suspensions_now(*, at_most: int) -> list[Suspension]:
    """The newest suspensions that last, with their accounts."""
    # What is closed waits for nobody.
    lasting = Suspension.objects.filter(ended_at=None, account__closed_at=None)
    lasting = lasting.select_related("account", "by")
    return list(lasting.order_by("-created_at", "-pk")[:at_most])


def plan_counting(at: datetime) -> Coalesce:
    """The id of the plan that counts, for a query of accounts that lists or filters by it."""
    live = PlanGrant.objects.filter(
        Q(ends_at=None) | Q(ends_at__gt=at),
        Q(starts_at__lte=at) | Q(starts_at__lte=F("created_at")),
        account=OuterRef("pk"),
        ended_at=None,
    )
    default_last = Case(When(source=PlanGrant.Source.DEFAULT, then=1), default=0)
    best = live.order_by(default_last, "-plan__position", "-plan").values("plan")[:1]
    default = Plan.objects.filter(is_default=True).values("pk")[:1]
    return Coalesce(Subquery(best), Subquery(default), output_field=BigIntegerField())


def may_count(plan_pk: int) -> Q:
    """A condition on accounts, before each is asked for its `plan_counting`: who holds the plan."""
    if Plan.objects.filter(pk=plan_pk, is_default=True).exists():
        return Q()
    return Q(pk__in=PlanGrant.objects.filter(plan=plan_pk, ended_at=None).values("account"))


def is_suspended() -> Exists:
    """The same for accounts whose every request is refused."""
    return Exists(Suspension.objects.filter(account=OuterRef("pk"), ended_at=None))


def _in_turn(grants: Sequence[PlanGrant], *, since: datetime) -> list[Span]:
    """The best of them in each stretch of time; stretches of one plan are joined."""
    moments = {moment for grant in grants for moment in (_begins_at(grant), grant.ends_at)}
    borders = sorted(moment for moment in moments if moment is not None and moment > since)
    spans: list[Span] = []
    for begins, ends in zip([since, *borders], [*borders, None], strict=True):
        plan = max((grant for grant in grants if _is_live(grant, begins)), key=_rank).plan
        if spans and spans[-1].plan == plan:
            spans.pop()
        spans.append(Span(plan, ends))
    return spans


def _is_live(grant: PlanGrant, at: datetime) -> bool:
    begins_at = _begins_at(grant)
    return (begins_at is None or begins_at <= at) and (grant.ends_at is None or grant.ends_at > at)


def _begins_at(grant: PlanGrant) -> datetime | None:
    """None for what was given at once: it counts as soon as it is written, by any clock."""
    return None if grant.starts_at <= grant.created_at else grant.starts_at


def _rank(grant: PlanGrant) -> tuple[bool, int, int]:
    return grant.source != PlanGrant.Source.DEFAULT, grant.plan.position, grant.plan.pk
