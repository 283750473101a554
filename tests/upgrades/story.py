"""What a small installation lives through before it is kept as the data of a release.

It uses the product's own functions, so that the data is what they write. Everybody and everything
in it is made up; the keys, tokens and passwords open nothing.
"""

from collections import defaultdict
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import time_machine
from django.db.models import Sum

from accounts.models import Account, Membership, User
from billing.models import Product, Purchase, StripeEvent
from billing.seed import seed_products
from gate.decision.check import Decision
from gate.store import hot_state
from keys.issue import issue_api_key, issue_service_token
from keys.limits import KeyLimits
from keys.models import ApiKey
from keys.revoke import revoke_api_key
from partitions.models import Partition
from quotas import catalogue, grants
from quotas.models.ledger import CreditEntry
from quotas.models.plans import Pack
from quotas.models.used import UsageRollup, WeekClose
from quotas.seed import seed_catalogue
from quotas.standing import standing_of
from quotas.usage import closing, drain, refusals, stream
from tests import entitled
from tests.quotas.live_gate import LiveGate, live_gate

PASSWORD = "correct horse battery staple"
FAR_AWAY = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class KeyFacts:
    """One key, and what the gate says of it to a request that only looks."""

    text: str
    reason: str
    address: str | None = None
    meter: str = "chat"


@dataclass(frozen=True, kw_only=True)
class AccountFacts:
    """Where an account stands; the last two once everything is drained."""

    handle: str
    plan_name: str
    cap: int | None
    used: int
    boost_left: int
    credits_left: int
    suspended: bool
    chats_ever: int
    ledger: int


@dataclass(kw_only=True)
class Facts:
    """What must be true of the data, under whatever release it is looked at."""

    made_at: str
    password: str = PASSWORD
    people: dict[str, str] = field(default_factory=dict)
    service_token: str = ""
    keys: list[KeyFacts] = field(default_factory=list)
    accounts: list[AccountFacts] = field(default_factory=list)
    closed_weeks: int = 0
    undrained: int = 0
    # Charges that may be given back, settled, or asked for again.
    refundable: str = ""
    refunded: str = ""
    hold: str = ""
    request_id: str = ""
    first_answer: str = ""

    def as_json(self) -> dict[str, Any]:
        """Facts for a file."""
        return asdict(self)


def live(at: datetime) -> Facts:
    """Live through it, in an empty database and an empty Valkey; answers what is true then."""
    seed_catalogue(with_demo_prices=True)
    seed_products()
    catalogue.push()
    facts = Facts(made_at=at.isoformat())
    with live_gate() as gate:
        _live(gate, facts, at=at)
    return facts


def _live(gate: LiveGate, facts: Facts, *, at: datetime) -> None:
    olga = User.objects.create_user("olga@example.com", PASSWORD, name="Olga Owner")
    tim = User.objects.create_user("tim@example.com", PASSWORD, name="Tim Mate")
    otto = User.objects.create_user("otto@example.com", PASSWORD, name="Otto Outsider")
    admin = User.objects.create_superuser("admin@example.com", PASSWORD, name="Administrator")
    facts.people = {
        "owner": olga.email,
        "team_mate": tim.email,
        "outsider": otto.email,
        "admin": admin.email,
    }
    facts.service_token = issue_service_token(name="gateway")[1]
    _of_olga(gate, facts, olga, tim, at=at)
    _of_tim(gate, facts, tim, at=at)
    _of_otto(gate, facts, otto, at=at)
    _of_a_team(facts, olga, tim, at=at)
    _tell(facts, at=at)


def _of_olga(gate: LiveGate, facts: Facts, olga: User, tim: User, *, at: datetime) -> None:
    """An account with a past: two weeks, every source, keys of every kind."""
    account = olga.personal_account
    Membership.objects.create(account=account, user=tim, role=Membership.Role.DEVELOPER)
    # The week before, closed since.
    with time_machine.travel(at - timedelta(days=7)):
        plain = _key(facts, account, olga, "laptop", "ok")
        gate.use(plain, 20)
    closing.close_ended_weeks(at=at)
    facts.closed_weeks = WeekClose.objects.count()
    _key(
        facts,
        account,
        olga,
        "server",
        "ok",
        limits=KeyLimits(addresses=("198.51.100.0/24",), scopes=("images",)),
        address="198.51.100.7",
        meter="images",
    )
    capped = _key(facts, account, olga, "intern", "key_cap_reached", limits=KeyLimits(weekly_cap=3))
    _key(
        facts,
        account,
        olga,
        "ended",
        "invalid_key",
        limits=KeyLimits(expires_at=at - timedelta(days=1)),
    )
    _key(facts, account, olga, "lost", "invalid_key")
    lost = ApiKey.objects.get(account=account, name="lost")
    revoke_api_key(key=lost, by=olga, at=at)

    _bought(account, olga, "weekly-boost", "00000000-0000-4000-8000-000000000001", at=at)
    _bought(account, olga, "credits-5", "00000000-0000-4000-8000-000000000002", at=at)
    _pending(account, olga, "credits-20", "00000000-0000-4000-8000-000000000003", at=at)
    grants.grant_boost(
        account=account,
        chats=40,
        at=at,
        expires_at=FAR_AWAY,
        source_ref="admin:welcome",
        note="Welcome",
    )
    gate.use(capped, 3, at=at)
    # 47 of the allowance, the rest of it and 13 of a boost: then back one of them.
    decisions = gate.use(plain, 60, at=at)
    gate.refund(decisions[0], at=at)
    facts.refunded = _charge_of(decisions[0])
    facts.refundable = _charge_of(decisions[-1])
    gate.check(capped, at=at)
    drain.move_all()
    refusals.move_all()
    # From here on nothing is drained: it waits in Valkey for the next release.
    gate.use(plain, 7, at=at)
    facts.request_id = "order-1"
    first = gate.check(plain, at=at, request_id=facts.request_id)
    facts.first_answer = _charge_of(first)
    held = gate.check(plain, 5, at=at, hold_seconds=3600)
    facts.hold = _charge_of(held)


def _of_tim(gate: LiveGate, facts: Facts, tim: User, *, at: datetime) -> None:
    """Past the allowance, on credits: some spending is in the ledger, some on its way."""
    account = Account.objects.get(
        memberships__user=tim, memberships__role=Membership.Role.OWNER, is_personal=True
    )
    grants.grant_credits(
        account=account,
        credits=100,
        kind=CreditEntry.Kind.GRANT,
        at=at,
        source_ref="admin:tim",
    )
    key = _key(facts, account, tim, "credits", "ok")
    gate.use(key, 55, at=at)
    drain.move_some_of(account.partition_index)
    gate.use(key, 3, at=at)


def _of_otto(gate: LiveGate, facts: Facts, otto: User, *, at: datetime) -> None:
    """Credits that nothing needs: the plan has a pack that lifts its cap."""
    account = otto.personal_account
    entitled.move_to_plan(account, "plus")
    entitled.switch_pack(account, Pack.objects.get(slug="copilot-pro"), on=True)
    grants.grant_credits(
        account=account,
        credits=250,
        kind=CreditEntry.Kind.GRANT,
        at=at,
        source_ref="admin:sorry",
        note="Sorry",
    )
    key = _key(facts, account, otto, "tool", "ok")
    gate.use(key, 12, at=at)


def _of_a_team(facts: Facts, olga: User, tim: User, *, at: datetime) -> None:
    """A team's account, suspended, and events of Stripe in every state."""
    team = Account.objects.create(name="Team")
    Membership.objects.create(account=team, user=olga, role=Membership.Role.OWNER)
    Membership.objects.create(account=team, user=tim, role=Membership.Role.ADMIN)
    entitled.set_suspended(team, True)
    _key(facts, team, tim, "team", "suspended")
    handled = _event("evt_handled", at=at)
    handled.mark_handled(at=at)
    failed = _event("evt_failed", at=at)
    failed.mark_failed(error="StripeUnavailable", at=FAR_AWAY)


def _key(
    facts: Facts,
    account: Account,
    by: User,
    name: str,
    reason: str,
    *,
    limits: KeyLimits | None = None,
    address: str | None = None,
    meter: str = "chat",
) -> str:
    number = len(facts.keys) + 1
    _, text = issue_api_key(
        account=account,
        name=name,
        submission=UUID(int=number),
        by=by,
        limits=limits or KeyLimits(),
    )
    facts.keys.append(KeyFacts(text=text, reason=reason, address=address, meter=meter))
    return text


def _order(account: Account, user: User, slug: str, number: str, *, at: datetime) -> Purchase:
    product = Product.objects.get(slug=slug)
    return Purchase.objects.create(
        id=UUID(number),
        account=account,
        user=user,
        product=product,
        product_name=product.name,
        kind=product.kind,
        amount_cents=product.price_cents,
        chats=product.chats,
        valid_days=product.valid_days,
        credits=product.credits,
        submission=UUID(number),
        stripe_session_id=f"cs_test_{number}",
        created_at=at,
    )


def _pending(account: Account, user: User, slug: str, number: str, *, at: datetime) -> None:
    _order(account, user, slug, number, at=at)


def _bought(account: Account, user: User, slug: str, number: str, *, at: datetime) -> None:
    purchase = _order(account, user, slug, number, at=at)
    if purchase.kind == Product.Kind.BOOST:
        grants.grant_boost(
            account=account,
            chats=purchase.chats,
            at=at,
            expires_at=purchase.expires_at(at=at),
            source_ref=purchase.source_ref,
        )
    else:
        grants.grant_credits(
            account=account,
            credits=purchase.credits,
            kind=CreditEntry.Kind.PURCHASE,
            at=at,
            source_ref=purchase.source_ref,
        )
    purchase.mark(Purchase.Status.PAID, at=at)


def _event(event_id: str, *, at: datetime) -> StripeEvent:
    return StripeEvent.objects.create(
        event_id=event_id,
        type="checkout.session.expired",
        payload={"id": event_id, "data": {"object": {"id": "cs_test_of_somebody_else"}}},
        received_at=at,
    )


def _charge_of(decision: Decision) -> str:
    assert decision.charge_id is not None, decision
    return decision.charge_id


def _tell(facts: Facts, *, at: datetime) -> None:
    """Where everybody stands, what waits in Valkey counted as drained."""
    waiting: dict[str, list[hot_state.Entry]] = defaultdict(list)
    for index in range(hot_state.PARTITIONS):
        drained_id = Partition.objects.get(pk=index).drained_id
        for entry in stream.entries_after(drained_id, index=index, at_most=1_000):
            waiting[entry.handle].append(entry)
    facts.undrained = sum(len(entries) for entries in waiting.values())
    for account in Account.objects.order_by("pk"):
        standing = standing_of(account, at=at)
        assert standing is not None, account
        entries = waiting[account.handle]
        facts.accounts.append(
            AccountFacts(
                handle=account.handle,
                plan_name=standing.plan_name,
                cap=standing.cap,
                used=standing.used,
                boost_left=standing.boost_left,
                credits_left=standing.credits_left,
                suspended=standing.suspended,
                chats_ever=chats_in_rollups(account) + sum(map(_chats, entries)),
                ledger=sum_of_ledger(account) - sum(entry.credits for entry in entries),
            )
        )


def chats_in_rollups(account: Account) -> int:
    """All chats that PostgreSQL counted of an account."""
    counted = UsageRollup.objects.filter(account=account).aggregate(all=Sum("chats", default=0))
    return int(counted["all"])


def sum_of_ledger(account: Account) -> int:
    """The credits that PostgreSQL knows an account to have."""
    summed = CreditEntry.objects.filter(account=account).aggregate(all=Sum("credits", default=0))
    return int(summed["all"])


def _chats(entry: hot_state.Entry) -> int:
    return entry.allowance + entry.boost_chats + entry.credit_chats
