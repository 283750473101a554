"""Customers of the fault tests, and what the hot state and PostgreSQL say they used."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone

from accounts.models import Account, User
from gate.store import hot_state
from gate.store.connection import sync_client
from gate.store.hot_state import Entry
from gate.terms import key_text
from keys.models import ApiKey
from quotas import grants
from quotas.models.ledger import Boost, CreditEntry
from quotas.models.used import UsageRollup
from tests import entitled


@dataclass(frozen=True, slots=True)
class Used:
    """What was used, by source."""

    allowance: int = 0
    boost: int = 0
    credits: int = 0


@dataclass(frozen=True, slots=True)
class Customer:
    """An account with the texts of its keys."""

    account: Account
    keys: list[str]

    @property
    def key(self) -> str:
        """The text of its first key."""
        return self.keys[0]

    @property
    def entries(self) -> list[Entry]:
        """Its charges that wait in the stream, in the order in which they were decided."""
        raw = cast(
            list[Any],
            sync_client(settings.REDIS_URL).xrange(
                hot_state.stream_name(self.account.partition_index)
            ),
        )
        entries = [hot_state.read_entry(*entry) for entry in raw]
        return [entry for entry in entries if entry.handle == self.account.handle]

    @property
    def drained(self) -> Used:
        """What PostgreSQL knows of: rollups, checked against boosts and ledger."""
        chats = dict(
            UsageRollup.objects.filter(account=self.account)
            .values_list("source")
            .annotate(total=Sum("chats"))
        )
        spent = -_total(
            CreditEntry.objects.filter(account=self.account, kind=CreditEntry.Kind.SPEND), "credits"
        )
        assert _total(Boost.objects.filter(account=self.account), "spent") == chats.get("boost", 0)
        assert _total(UsageRollup.objects.filter(account=self.account), "credits") == spent
        return Used(allowance=chats.get("allowance", 0), boost=chats.get("boost", 0), credits=spent)

    def buy_boost(self, chats: int = 500, *, days: float = 7) -> Boost:
        """What a paid Weekly Boost does."""
        now = timezone.now()
        return grants.grant_boost(
            account=self.account,
            chats=chats,
            at=now,
            expires_at=now + timedelta(days=days),
            source_ref=f"faults:{uuid4()}",
        )


def customer(
    *, plan: str = "free", boosts: Sequence[tuple[int, float]] = (), credits: int = 0, keys: int = 1
) -> Customer:
    """A new customer. boosts: chats and days that they live."""
    user = User.objects.create_user(f"{uuid4()}@example.com")
    account = user.personal_account
    texts = [key_text.new_api_key(account.handle) for _ in range(keys)]
    pepper = settings.KEY_PEPPERS[0]
    ApiKey.objects.bulk_create(
        ApiKey(
            account=account,
            name=f"key {number}",
            digest=key_text.digest(text, pepper),
            pepper_id=pepper.pepper_id,
            last_four=text[-4:],
            submission=uuid4(),
        )
        for number, text in enumerate(texts)
    )
    new = Customer(account=account, keys=texts)
    for chats, days in boosts:
        new.buy_boost(chats, days=days)
    if credits:
        grants.grant_credits(
            account=account,
            credits=credits,
            kind=CreditEntry.Kind.PURCHASE,
            at=timezone.now(),
            source_ref=f"faults:{uuid4()}",
        )
    # Last, so that the account reaches the gate with its keys.
    entitled.move_to_plan(account, plan)
    return new


def _total(rows: Any, field: str) -> int:
    return int(rows.aggregate(total=Sum(field, default=0))["total"])
