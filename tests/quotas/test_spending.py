"""What people choose to spend: from the form to the gate, and back to every page that promises."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from redis import Redis

from accounts.models import Account, User
from accounts.spending import in_words
from gate.store import hot_state
from gate.store.snapshots import Paid
from gate.terms import month, week
from gate.terms.spending import NO_LIMITS, PastAllowance, Spending
from keys import projection as key_projection
from keys.models import ApiKey
from quotas import entitlements, epochs, grants, projection
from quotas.models.entitlements import Entitlement, SpendingChoice
from quotas.models.ledger import CreditEntry
from quotas.models.used import UsageRollup
from quotas.standing import Outlook, Standing, outlook_of, paid_of, standing_of
from tests import entitled
from tests.quotas.live_gate import LiveGate

pytestmark = pytest.mark.django_db(transaction=True)

Now = Callable[[], Standing]
NOTHING, BOOSTS = PastAllowance.NOTHING, PastAllowance.BOOSTS


def give(account: Account, *, credits: int = 0, boost: int = 0) -> None:
    now = timezone.now()
    if credits:
        grants.grant_credits(
            account=account,
            credits=credits,
            kind=CreditEntry.Kind.GRANT,
            at=now,
            source_ref=f"test:{credits}",
        )
    if boost:
        grants.grant_boost(
            account=account,
            chats=boost,
            at=now,
            expires_at=now + timedelta(days=30),
            source_ref=f"test:boost:{boost}",
        )


def key_of(account: Account) -> ApiKey:
    return ApiKey.objects.select_related("account").get(account=account)


def send(client: Client, name: str, *arguments: object, **fields: object) -> Any:
    fields.setdefault("past_allowance", "all")
    return client.post(reverse(name, args=arguments), fields)


def read(client: Client, name: str, *arguments: object) -> str:
    """A page as text, without markup."""
    page = client.get(reverse(name, args=arguments)).content.decode()
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


# --- the seam ---------------------------------------------------------------------------------


def test_a_choice_counts_for_the_very_next_check(
    account: Account, key: str, gate: LiveGate
) -> None:
    give(account, credits=10)
    assert gate.check(key, 51).allowed
    assert entitled.choose_spending(account, past_allowance=BOOSTS)
    assert gate.check(key).reason == "credits_switched_off"
    assert entitled.choose_spending(account)
    assert gate.check(key).allowed


def test_a_choice_of_a_key_counts_for_that_key_alone(
    account: Account, key: str, gate: LiveGate
) -> None:
    give(account, credits=10)
    assert gate.check(key, 50).allowed
    entitled.choose_spending(account, key_of(account), past_allowance=NOTHING)
    assert gate.check(key).reason == "spending_stopped"
    assert entitlements.spending_of(account) == NO_LIMITS
    entitled.choose_spending(account, key_of(account))
    assert gate.check(key).allowed


def test_the_same_again_changes_nothing(account: Account, key: str) -> None:
    assert not entitled.choose_spending(account)
    assert entitled.choose_spending(account, credits_a_week=5)
    version = Entitlement.objects.get(account=account).version
    assert not entitled.choose_spending(account, credits_a_week=5)
    assert Entitlement.objects.get(account=account).version == version
    assert not entitled.choose_spending(account, key_of(account))
    assert key_of(account).version == 1


def test_who_chose_what_and_until_when_stays(account: Account, owner: User) -> None:
    at = timezone.now()
    for credits in (5, None):
        grants.choose_spending(
            account=account, spending=Spending(credits_a_week=credits), at=at, by=owner
        )
    chosen = SpendingChoice.objects.get()
    assert (chosen.credits_a_week, chosen.by, chosen.ended_at, chosen.ended_by) == (
        5,
        owner,
        at,
        owner,
    )
    for change in ({"credits_a_week": 9}, {"key": None, "note": "mine"}, {"ended_at": None}):
        with pytest.raises(IntegrityError, match="is a history"), transaction.atomic():
            SpendingChoice.objects.update(**change)


def test_what_did_not_reach_the_gate_is_repeated(
    account: Account, key: str, gate: LiveGate, valkey_away: Callable[[bool], None]
) -> None:
    gate.check(key, 50)
    valkey_away(True)
    entitled.choose_spending(account, credits_a_week=0)
    entitled.choose_spending(account, key_of(account), past_allowance=NOTHING)
    valkey_away(False)
    assert projection.push_pending_accounts() == 1
    give(account, credits=10)
    assert gate.check(key).allowed is False
    assert key_projection.push_pending_keys() == 1
    assert gate.check(key).reason == "spending_stopped"


# --- after a loss -----------------------------------------------------------------------------


@pytest.mark.parametrize("loses", ["the account", "its epoch"])
def test_what_was_spent_of_ceilings_is_known_again(
    account: Account, key: str, gate: LiveGate, valkey: Redis, loses: str
) -> None:
    give(account, credits=100)
    entitled.choose_spending(account, credits_a_week=20, credits_a_month=40)
    entitled.choose_spending(account, key_of(account), credits_a_week=14)
    assert gate.check(key, 54).answer.credits_taken == 8  # type: ignore[union-attr]
    refunded = gate.check(key, 2)
    gate.refund(refunded)
    if loses == "the account":
        valkey.delete(hot_state.keys_of(account.handle).account)
    else:
        epochs.raise_epoch(account.partition_index)
    assert gate.check(key, 4).reason == "credit_ceiling_week"
    assert gate.check(key, 3).allowed
    assert gate.check(key, 1).answer.chosen_by == "key"  # type: ignore[union-attr]
    paid, of_key = paid_of(account), paid_of(account, key_of(account))
    assert paid is not None
    assert (paid.in_week, paid.in_month) == (14, 14)
    assert of_key == paid


def test_a_rebuild_counts_this_month_and_this_week_and_nothing_before(
    account: Account, key: str
) -> None:
    now = timezone.now()
    this_week = week.starts_at(week.week_of(week.to_ms(now)))
    this_month = month.starts_at(month.month_of(week.to_ms(now)))
    hours = {
        1: min(this_week, this_month) - timedelta(hours=1),
        10: this_week - timedelta(hours=1),
        100: this_month - timedelta(hours=1),
        1_000: now.replace(minute=0, second=0, microsecond=0),
    }
    for credits, hour in hours.items():
        UsageRollup.objects.create(
            account=account,
            key_id=key_of(account).pk,
            meter="chat",
            hour=hour + timedelta(seconds=credits),
            source="credits",
            chats=credits,
            credits=credits,
        )
    of_week = sum(credits for credits, hour in hours.items() if hour >= this_week)
    of_month = sum(credits for credits, hour in hours.items() if hour >= this_month)
    standing_of(account)
    assert paid_of(account) == Paid(in_week=of_week, in_month=of_month)
    assert paid_of(account, key_of(account)) == paid_of(account)


def test_a_cold_account_is_read_with_as_many_queries_with_choices_as_without(
    account: Account, key: str
) -> None:
    projection.load_accounts([account.handle])

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            projection.load_accounts([account.handle])
        return len(queries)

    before = asked()
    entitled.choose_spending(account, credits_a_week=5)
    entitled.choose_spending(account, key_of(account), credits_a_month=5)
    assert asked() == before


# --- what pages promise -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "all_left"),
    [
        ({}, 8),
        ({"past_allowance": BOOSTS}, 3),
        ({"past_allowance": NOTHING}, 0),
        ({"credits_a_week": 5}, 5),
        ({"credits_a_month": 1}, 3),
    ],
)
def test_standing_promises_what_the_gate_keeps(
    account: Account, key: str, gate: LiveGate, chosen: dict[str, Any], all_left: int
) -> None:
    give(account, credits=10, boost=3)
    gate.check(key, 50)
    entitled.choose_spending(account, **chosen)
    now = standing_of(account)
    assert now is not None
    assert (now.pays_next, now.all_left) == ("boost" if all_left else "", all_left)
    assert outlook_of(now) is (Outlook.ACCEPTED if all_left else Outlook.HELD_BACK)
    # What there is stays told as it is.
    assert (now.boost_left, now.credits_left) == (3, 10)
    assert not gate.check(key, all_left + 1).allowed
    assert not all_left or gate.check(key, all_left).allowed


def test_what_is_used_up_is_not_called_held_back(
    account: Account, key: str, gate: LiveGate, standing: Now
) -> None:
    gate.check(key, 50)
    assert outlook_of(standing()) is Outlook.USED_UP
    entitled.choose_spending(account, credits_a_week=5)
    assert outlook_of(standing()) is Outlook.USED_UP
    entitled.choose_spending(account, credits_a_week=1)
    assert outlook_of(standing()) is Outlook.HELD_BACK


def test_pages_say_that_it_is_a_choice_and_where_it_stands(
    account: Account, key: str, gate: LiveGate, owner_client: Client
) -> None:
    give(account, credits=10)
    gate.check(key, 50)
    entitled.choose_spending(account, past_allowance=NOTHING)
    usage, billing = read(owner_client, "usage"), read(owner_client, "billing")
    assert "“Spending” stops here" in usage
    assert "Everything is used up" not in usage
    assert "“Spending” does not use them." in billing
    assert "Your week is used up" not in billing
    assert "Neither boosts nor credits pay: requests stop at the allowance." in billing
    link = f'href="{reverse("spending")}"'
    assert all(
        link in owner_client.get(reverse(name)).content.decode() for name in ("usage", "billing")
    )


def test_a_refusal_is_explained_with_the_way_to_the_switch(
    account: Account, key: str, gate: LiveGate, owner_client: Client
) -> None:
    entitled.choose_spending(account, past_allowance=NOTHING)
    gate.check(key, 50)
    gate.check(key)
    page = owner_client.get(reverse("usage_requests")).content.decode()
    assert "Spending stopped" in page
    assert f'href="{reverse("spending")}"' in page


# --- the form ---------------------------------------------------------------------------------


def test_the_account_chooses_by_a_form_and_sees_what_it_means(
    account: Account, key: str, gate: LiveGate, owner: User, owner_client: Client
) -> None:
    give(account, credits=1_000)
    answer = send(owner_client, "spending", credits_a_week="500", credits_a_month="1000")
    assert (answer.status_code, answer["Location"]) == (302, reverse("spending"))
    gate.check(key, 60)
    page = read(owner_client, "spending")
    assert "At most 250 chats are paid by credits. 20 of 500 credits are used." in page
    assert "At most 500 chats are paid by credits. 20 of 1,000 credits are used." in page
    assert "Saved. It counts for the very next request." in page
    assert SpendingChoice.objects.get().by == owner


def test_a_key_chooses_by_a_form_and_says_it_in_the_list(
    account: Account, key: str, gate: LiveGate, owner_client: Client
) -> None:
    pk = key_of(account).pk
    answer = send(owner_client, "key_spending", pk, past_allowance="nothing", units_a_request="3")
    assert answer["Location"] == reverse("key_spending", args=[pk])
    assert gate.check(key, 4).reason == "request_too_large"
    assert "stops at the allowance · at most 3 units a request" in read(owner_client, "keys")
    entitled.choose_spending(account, credits_a_week=9)
    page = read(owner_client, "key_spending", pk)
    assert "The account: at most 9 credits a week." in page
    assert "A request may ask for 3 units at the most" in page
    assert entitlements.spending_of(account) == Spending(credits_a_week=9)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"past_allowance": ""}, "Choose what pays then."),
        ({"past_allowance": "some"}, "Choose what pays then."),
        ({"credits_a_week": "-1"}, "Give a whole number of credits, 0 to 1,000,000,000"),
        ({"credits_a_month": "1.5"}, "Give a whole number of credits, 0 to 1,000,000,000"),
        ({"credits_a_month": "9" * 30}, "Give a whole number of credits, 0 to 1,000,000,000"),
        ({"units_a_request": "0"}, "Give a whole number of units, 1 to 10,000"),
        ({"units_a_request": "10001"}, "Give a whole number of units, 1 to 10,000"),
    ],
)
@pytest.mark.parametrize("whose", ["account", "key"])
def test_bad_input_changes_nothing_and_says_why(
    key: str, owner_client: Client, fields: dict[str, str], sentence: str, whose: str
) -> None:
    made = ApiKey.objects.get()
    arguments = (made.pk,) if whose == "key" else ()
    answer = send(owner_client, "key_spending" if arguments else "spending", *arguments, **fields)
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not SpendingChoice.objects.exists()
    assert ApiKey.objects.get().spending == NO_LIMITS


def test_a_page_says_so_when_the_gate_gives_no_answer(
    account: Account, owner_client: Client, valkey_away: Callable[[bool], None]
) -> None:
    entitled.choose_spending(account, credits_a_week=5)
    valkey_away(True)
    assert "What is used of it cannot be read at the moment." in read(owner_client, "spending")


def test_nobody_changes_the_key_of_another_account(
    account: Account, key: str, outsider_client: Client
) -> None:
    pk = key_of(account).pk
    answer = send(outsider_client, "key_spending", pk, past_allowance="nothing")
    assert answer.status_code == 404
    assert key_of(account).spending == NO_LIMITS


def test_the_admin_sees_what_was_chosen(account: Account, admin_client: Client) -> None:
    address = reverse("admin:accounts_account_change", args=[account.pk])
    assert "without a ceiling" in admin_client.get(address).content.decode()
    entitled.choose_spending(account, past_allowance=BOOSTS, credits_a_month=1_200)
    page = admin_client.get(address).content.decode()
    assert "no credits, at most 1,200 credits a month" in page


def test_every_choice_has_words() -> None:
    assert list(in_words(NO_LIMITS)) == []
    everything = Spending(
        past_allowance=NOTHING, credits_a_week=1, credits_a_month=2, units_a_request=1
    )
    assert list(in_words(everything)) == [
        "stops at the allowance",
        "at most 1 credit a week",
        "at most 2 credits a month",
        "at most 1 unit a request",
    ]
