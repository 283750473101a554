"""What tags of an account used: counted like keys, bounded in number, told and exported."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from accounts.models import Account
from gate.store.hot_state import Entry
from quotas.models.used import Cut, Grain, TagRollup, UsageTag, UsageTotal
from quotas.usage import drain, live, rollups, spans, totals
from quotas.usage.asked import By, Only
from tests.quotas.conftest import WEDNESDAY
from tests.quotas.live_gate import LiveGate
from tests.quotas.usage.test_drain import fund
from tests.quotas.usage.test_report import INDIA, UTC_ZONE

pytestmark = pytest.mark.django_db(transaction=True)


def entry(account: Account, tag: str, *, at: datetime = WEDNESDAY, chats: int = 1) -> Entry:
    return Entry(
        entry_id="1-1",
        handle=account.handle,
        key_id=1,
        meter="chat",
        at_ms=int(at.timestamp() * 1000),
        week=0,
        allowance=chats,
        boosts=(),
        credit_chats=0,
        credits=0,
        mark=None,
        tag=tag,
    )


def tags_of(account: Account, only: Only | None = None) -> dict[int | str, int]:
    span = spans.quota_weeks(1, zone=INDIA, at=datetime.now(UTC))
    report = live.look(account, span, by=By.TAG, only=only or Only()).report
    return {tag: amount.chats for tag, amount in report.parts.items()}


def test_tags_are_told_apart_before_and_after_the_drain_and_in_totals(
    account: Account, key: str, gate: LiveGate
) -> None:
    fund(account)
    for tag, units in (("anna", 40), ("ben", 15), ("anna", 2), ("", 4)):
        assert gate.check(key, units, tag=tag).allowed
    told = {"anna": 42, "ben": 15}
    assert tags_of(account) == told
    drain.move_all()
    assert tags_of(account) == told
    totals.catch_up(at=datetime.now(UTC) + timedelta(hours=2))
    assert tags_of(account) == told
    anna = UsageTag.objects.get(name="anna")
    span = spans.quota_weeks(1, zone=UTC_ZONE, at=datetime.now(UTC))
    alone = live.look(account, span, by=By.SOURCE, only=Only(tag="anna", tag_id=anna.pk)).report
    assert alone.total == 42
    assert sum(alone.by_source.values()) == 42


def test_an_account_has_so_many_tags_and_the_rest_is_other(account: Account) -> None:
    ids = {account.handle: account.pk}
    rollups.add_tags([(entry(account, f"user {n:03d}"), 2) for n in range(300)], ids)
    rollups.add_tags([(entry(account, f"user {n:03d}"), 1) for n in range(200, 700)], ids)
    assert UsageTag.objects.filter(account=account).count() == 500
    assert TagRollup.objects.get(tag_id=0).chats == 200
    assert TagRollup.objects.count() == 501
    # One that has a row keeps it.
    rollups.add_tags([(entry(account, "user 250"), 1)], ids)
    tag = UsageTag.objects.get(name="user 250")
    assert TagRollup.objects.get(tag_id=tag.pk).chats == 4


def test_the_page_lists_tags_and_shows_one_alone(
    account: Account, key: str, gate: LiveGate, owner_client: Client
) -> None:
    gate.check(key, 3, tag="anna & co <b>")
    drain.move_all()
    (line,) = owner_client.get("/account/usage?by=tag").context["lines"].lines
    assert (line.name, line.chats) == ("anna & co <b>", 3)
    alone = owner_client.get("/account/usage" + line.address)
    assert alone.status_code == 200
    assert alone.context["report"].total == 3
    assert "anna &amp; co &lt;b&gt;" in alone.text


def test_others_are_listed_and_shown_alone(account: Account, owner_client: Client) -> None:
    now = datetime.now(UTC)
    UsageTag.objects.bulk_create(UsageTag(account=account, name=f"u{n}") for n in range(500))
    late = entry(account, "one too many", at=now, chats=5)
    rollups.add_tags([(late, 1)], {account.handle: account.pk})
    (line,) = owner_client.get("/account/usage?by=tag").context["lines"].lines
    assert (line.name, line.chats) == ("Other tags", 5)
    assert owner_client.get("/account/usage" + line.address).context["report"].total == 5


def test_tags_are_totalled_late_or_not(account: Account) -> None:
    ids = {account.handle: account.pk}
    rollups.add_tags([(entry(account, "anna"), 2)], ids)
    totals.catch_up(at=WEDNESDAY + timedelta(hours=3))
    rollups.add_tags([(entry(account, "anna"), 3)], ids)
    assert list(
        UsageTotal.objects.filter(cut=Cut.TAG).order_by("grain").values_list("grain", "chats")
    ) == [(grain, 5) for grain in sorted(Grain)]
