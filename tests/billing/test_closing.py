"""Closing an account: what is said first, what ends, in which order, and what is kept."""

from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import invitations, people
from accounts.models import Account, AuditEvent, Invitation, Membership, User
from alerts import raising
from alerts.models import Delivery, Kind
from billing import checkout, closing, events
from billing.models import Product, Purchase
from billing.subscriptions import ordering
from billing.subscriptions.models import PlanOrder, Subscription
from billing.top_ups.models import AutoTopUp
from gate.terms.reasons import Reason
from keys.issue import issue_api_key
from quotas import grants
from quotas.models.ledger import Boost
from quotas.projection import account_snapshot
from quotas.tasks import push_pending
from tests.billing.buyer import Buyer, delivered
from tests.billing.conftest import nobody_listens
from tests.billing.orders import subscription_of_plus
from tests.billing.subscriber import Subscriber
from tests.conftest import PASSWORD
from tests.quotas.forms_of_the_admin import filled_in
from tests.quotas.live_gate import LiveGate
from tests.signed_in import sign_in_at_once
from tests.site.answer import Answer
from tests.team.conftest import acting_for

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/account/close"
Role = Membership.Role


def close(client: Client, account: Account, **fields: Any) -> Answer:
    return client.post(PAGE, {"name": account.name, **fields})


def words(answer: Answer) -> str:
    return " ".join(unescape(answer.content.decode()).split())


def is_closed(account: Account) -> bool:
    account.refresh_from_db()
    return account.closed_at is not None


def acts_of(account: Account) -> list[str]:
    return list(AuditEvent.objects.filter(account=account).values_list("act", flat=True))


# --- what is said, and who may -------------------------------------------------------------------


def test_what_is_lost_is_said_before_anything_is_done(
    owner_client: Client, account: Account, boost: Boost, key: str, team_mate: User
) -> None:
    grants.grant_credits(
        account=account,
        credits=1_250,
        kind=grants.CreditKind.GRANT,
        at=timezone.now(),
        source_ref="test:1",
    )
    subscription_of_plus(account)
    said = words(owner_client.get(PAGE))
    assert "1 key stops working at once" in said
    assert f"Lost: 1,250 credits, and {boost.chats} chats of boosts." in said
    assert "The subscription of Plus is cancelled at Stripe first" in said
    assert "1 other member has no access any more." in said
    assert "For 30 days" in said
    assert not is_closed(account)


@pytest.mark.parametrize("name", ["", "another", "olga owner"])
def test_without_its_name_nothing_is_closed(
    owner_client: Client, account: Account, name: str
) -> None:
    assert close(owner_client, account, name=name).status_code == 422
    assert not is_closed(account)


def test_spaces_around_the_name_are_no_other_name(owner_client: Client, account: Account) -> None:
    assert close(owner_client, account, name=f" {account.name}  ").status_code == 302
    assert is_closed(account)


@pytest.mark.parametrize("role", [role for role in Role if role != Role.OWNER])
def test_only_an_owner_closes(account: Account, role: str) -> None:
    user = User.objects.create_user("somebody@example.com", PASSWORD)
    Membership.objects.create(account=account, user=user, role=role)
    browser = acting_for(user, account)
    assert browser.get(PAGE).status_code == 403
    assert close(browser, account, for_account=account.handle).status_code == 403
    assert not is_closed(account)


def test_who_signed_in_long_ago_is_asked_again(owner: User, account: Account) -> None:
    browser = Client()
    sign_in_at_once(browser, owner, seconds_ago=3_600)
    answer = close(browser, account)
    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("account_reauthenticate"))
    assert not is_closed(account)


# --- keys -----------------------------------------------------------------------------------------


def test_keys_are_refused_when_the_page_says_so(
    owner_client: Client, account: Account, key: str, gate: LiveGate
) -> None:
    assert gate.check(key).allowed
    assert close(owner_client, account).status_code == 302
    refused = gate.check(key)
    assert not refused.allowed
    assert refused.reason == Reason.SUSPENDED


def test_a_hundred_accounts_that_close_have_no_key_that_works_afterwards(
    plans: None, gate: LiveGate
) -> None:
    for number in range(100):
        user = User.objects.create_user(f"closing-{number}@example.com")
        account = user.personal_account
        _key, text = issue_api_key(account=account, name="laptop", submission=uuid4(), by=user)
        assert gate.check(text).allowed
        closing.close(account=account, by=user, at=timezone.now())
        assert not gate.check(text).allowed, number


def test_a_restored_copy_of_the_gate_brings_no_key_back(
    owner_client: Client, account: Account, key: str, gate: LiveGate
) -> None:
    assert close(owner_client, account).status_code == 302
    assert account_snapshot(account).suspended


def test_while_the_gate_is_away_the_page_says_that_keys_may_still_work(
    owner_client: Client,
    account: Account,
    key: str,
    gate: LiveGate,
    valkey_refuses: Callable[[bool], None],
) -> None:
    assert gate.check(key).allowed
    valkey_refuses(True)
    answer = owner_client.post(PAGE, {"name": account.name}, follow=True)
    assert "the gate has not confirmed it yet" in words(answer)
    valkey_refuses(False)
    assert is_closed(account)
    push_pending()
    assert not gate.check(key).allowed


def test_the_release_before_refuses_it_as_suspended(owner_client: Client, account: Account) -> None:
    """It knows nothing of closing, and may bring the account to the gate."""
    assert close(owner_client, account).status_code == 302
    account.refresh_from_db()
    account.closed_at = None
    account.save()
    assert account_snapshot(account).suspended


# --- people ---------------------------------------------------------------------------------------


def test_who_has_no_other_account_reads_that_it_is_closed_and_until_when(
    owner_client: Client, account: Account
) -> None:
    answer = owner_client.post(PAGE, {"name": account.name}, follow=True)
    assert answer.status_code == 403
    said = words(answer)
    assert "Every request with its keys is refused." in said
    assert "Your account is closed" in said
    assert account.name in said
    assert "by you." in said
    assert "our staff can reopen it" in said
    for name in ("keys", "usage", "billing", "team", "audit", "close_account"):
        assert owner_client.get(reverse(name)).status_code == 403


def test_after_thirty_days_nobody_is_told_that_it_can_be_reopened(
    owner_client: Client, account: Account
) -> None:
    close(owner_client, account)
    Account.objects.update(closed_at=timezone.now() - timedelta(days=31))
    assert "It cannot be reopened any more." in words(owner_client.get("/account/usage"))


def test_a_closed_team_is_in_no_switcher_and_cannot_be_chosen(
    owner: User, owner_client: Client
) -> None:
    team = Account.objects.open_for(owner, name="Acme")
    browser = acting_for(owner, team)
    sign_in_at_once(browser, owner)
    browser.post("/teams/switch", {"account": team.handle})
    answer = browser.post(PAGE, {"name": "Acme", "for_account": team.handle}, follow=True)
    assert answer.status_code == 200
    assert "The account that you used is closed." in words(answer)
    assert "Acme" not in words(owner_client.get("/account/usage"))
    owner_client.post("/teams/switch", {"account": team.handle})
    assert owner_client.get("/account/usage").wsgi_request.session.get("account") != team.handle


def test_members_have_no_access_and_invitations_are_withdrawn(
    owner_client: Client, owner: User, account: Account, team_mate: User
) -> None:
    Invitation.objects.create(
        account=account,
        email="guest@example.com",
        role=Role.VIEWER,
        digest="d",
        invited_by=owner,
        expires_at=timezone.now() + timedelta(days=7),
    )
    browser = acting_for(team_mate, account)
    assert browser.get("/account/usage").status_code == 200
    assert close(owner_client, account).status_code == 302
    assert browser.get("/account/usage").context["current_account"] != account
    assert Invitation.objects.get().state == Invitation.State.WITHDRAWN


def test_nobody_comes_in_or_is_changed_after_it_closed(
    owner: User, owner_client: Client, account: Account, team_mate: User
) -> None:
    at = timezone.now()
    assert close(owner_client, account).status_code == 302
    with pytest.raises(invitations.CannotInvite):
        invitations.invite(
            account=account, email="a@example.com", role=Role.VIEWER, by=owner, seats=None, at=at
        )
    with pytest.raises(people.CannotChangePeople, match="closed"):
        people.change_role(account=account, user_id=team_mate.pk, role=Role.OWNER, by=owner)


def test_every_owner_gets_a_mail_and_the_log_says_who(
    owner_client: Client, owner: User, account: Account, team_mate: User
) -> None:
    other = User.objects.create_user("other@example.com", PASSWORD)
    Membership.objects.create(account=account, user=other, role=Role.OWNER)
    mail.outbox.clear()
    assert close(owner_client, account).status_code == 302
    assert sorted(one.to[0] for one in mail.outbox) == ["other@example.com", "owner@example.com"]
    assert "Olga Owner closed" in str(mail.outbox[0].body)
    event = AuditEvent.objects.get(account=account, act="account closed")
    assert (event.user, event.thing) == (owner, account.name)


def test_it_is_closed_once(owner: User, account: Account) -> None:
    closing.close(account=account, by=owner, at=timezone.now())
    mail.outbox.clear()
    closing.close(account=account, by=owner, at=timezone.now())
    assert acts_of(account).count("account closed") == 1
    assert not mail.outbox


def test_a_closed_account_is_told_of_nothing_but_money(owner: User, account: Account) -> None:
    closing.close(account=account, by=owner, at=timezone.now())
    at = timezone.now()
    raising.raise_alert(account=account, kind=Kind.BOOST_ENDING, occasion="1", data={}, at=at)
    assert not Delivery.objects.exists()
    raising.raise_alert(account=account, kind=Kind.RECEIPT, occasion="1", data={}, at=at)
    assert Delivery.objects.get().user == owner


# --- money ----------------------------------------------------------------------------------------


def test_a_subscription_is_ended_at_stripe_first(subscriber: Subscriber) -> None:
    subscriber.subscribe("plus")
    assert close(subscriber.client, subscriber.account).status_code == 302
    assert subscriber.at_stripe().status == "canceled"
    assert subscriber.subscription.ended_at is not None
    assert is_closed(subscriber.account)
    assert "cancelled at once" in acts_of(subscriber.account)


def test_without_an_answer_of_stripe_nothing_is_closed(
    subscriber: Subscriber, stripe_at: Callable[[str], None], key: str, gate: LiveGate
) -> None:
    subscriber.subscribe("plus")
    stripe_at(nobody_listens())
    answer = close(subscriber.client, subscriber.account)
    assert answer.status_code == 422
    assert "Nothing was closed" in words(answer)
    assert not is_closed(subscriber.account)
    assert gate.check(key).allowed
    assert AutoTopUp.objects.filter(account=subscriber.account, is_on=False).count() == 0


def test_a_subscription_whose_end_was_not_heard_of_hinders_nobody(subscriber: Subscriber) -> None:
    """Stripe ended it at an earlier try, and its answer was lost."""
    row = subscriber.subscribe("plus")
    subscriber.sandbox.api.v1.subscriptions.cancel(row.stripe_subscription_id)
    assert close(subscriber.client, subscriber.account).status_code == 302
    assert is_closed(subscriber.account)
    assert subscriber.subscription.ended_at is not None


def test_an_open_order_of_a_plan_can_be_paid_no_more(subscriber: Subscriber) -> None:
    order = subscriber.order("plus")
    assert close(subscriber.client, subscriber.account).status_code == 302
    order.refresh_from_db()
    assert order.status == PlanOrder.Status.DISCARDED
    assert subscriber.pay(order).status_code != 303


def test_an_order_that_was_paid_this_very_moment_is_ended_as_a_subscription(
    subscriber: Subscriber,
) -> None:
    order = subscriber.order("plus")
    assert subscriber.pay(order).status_code == 303
    assert close(subscriber.client, subscriber.account).status_code == 302
    assert subscriber.at_stripe().status == "canceled"


def test_a_subscription_that_begins_later_calls_for_a_person(
    subscriber: Subscriber, owner: User
) -> None:
    order = subscriber.order("plus")
    grants.close(account=subscriber.account, at=timezone.now(), by=owner)
    assert subscriber.pay(order).status_code == 303
    order.refresh_from_db()
    order.account.refresh_from_db()
    ordering.look(order, at=timezone.now(), is_page=True)
    assert [row.problem for row in Subscription.objects.alarms()] == ["its account is closed"]


def test_the_auto_top_up_is_off_and_its_card_forgotten(
    owner_client: Client, owner: User, account: Account, products: None
) -> None:
    AutoTopUp.objects.create(
        account=account,
        is_on=True,
        product=Product.objects.filter(kind="credits").first(),
        terms="any",
        stripe_payment_method_id="pm_1",
        card="Visa 4242",
    )
    assert close(owner_client, account).status_code == 302
    wish = AutoTopUp.objects.get()
    assert not wish.is_on
    assert not wish.stripe_payment_method_id


def test_a_payment_that_arrives_afterwards_is_written_down_and_calls_for_a_person(
    buyer: Buyer, owner: User, account: Account
) -> None:
    purchase = buyer.order("weekly-boost")
    closing.close(account=account, by=owner, at=timezone.now())
    buyer.pay(purchase)
    events.handle(delivered(purchase).pk, at=timezone.now())
    purchase.refresh_from_db()
    assert purchase.status == Purchase.Status.PAID
    assert purchase.is_alarm
    assert purchase.problem == "paid after its account was closed"
    assert Boost.objects.filter(account=account).count() == 1


def test_nothing_is_sold_to_a_closed_account(owner: User, account: Account) -> None:
    closing.close(account=account, by=owner, at=timezone.now())
    with pytest.raises(checkout.CannotCheckout):
        checkout.require_selling(account)


# --- reopened by staff ----------------------------------------------------------------------------


def admin_page(account: Account, act: str) -> str:
    return f"/admin/accounts/account/{account.pk}/{act}/"


def reopen(client: Client, account: Account) -> Answer:
    page = admin_page(account, "reopen")
    sent = {**filled_in(client, page), "reason": "It was a mistake"}
    return client.post(page, sent, follow=True)


def test_staff_reopen_it_with_a_reason_and_keys_work_again(
    admin_client: Client,
    owner_client: Client,
    account: Account,
    key: str,
    gate: LiveGate,
) -> None:
    close(owner_client, account)
    mail.outbox.clear()
    assert "The account is open again" in words(reopen(admin_client, account))
    assert not is_closed(account)
    assert gate.check(key).allowed
    assert owner_client.get("/account/usage").status_code == 200
    event = AuditEvent.objects.get(account=account, act="account reopened")
    assert event.note == "It was a mistake"
    assert "It was a mistake" in str(mail.outbox[0].body)


def test_what_staff_had_suspended_stays_so_when_it_is_reopened(
    admin_client: Client, owner: User, account: Account, key: str, gate: LiveGate
) -> None:
    grants.suspend(account=account, at=timezone.now(), note="Fraud")
    closing.close(account=account, by=owner, at=timezone.now())
    reopen(admin_client, account)
    assert not is_closed(account)
    assert not gate.check(key).allowed


def test_lifting_a_suspension_opens_no_closed_account(
    owner: User, account: Account, key: str, gate: LiveGate
) -> None:
    closing.close(account=account, by=owner, at=timezone.now())
    grants.reinstate(account=account, at=timezone.now())
    assert not gate.check(key).allowed
    assert account_snapshot(account).suspended


def test_after_thirty_days_staff_cannot_reopen_it(
    admin_client: Client, owner: User, account: Account
) -> None:
    closing.close(account=account, by=owner, at=timezone.now())
    assert "reopen" in offered(admin_client, account)
    Account.objects.filter(pk=account.pk).update(closed_at=timezone.now() - timedelta(days=31))
    assert "reopen" not in offered(admin_client, account)
    assert "closed too long ago" in words(reopen(admin_client, account))
    assert is_closed(account)


def offered(client: Client, account: Account) -> list[str]:
    return [act.slug for act in client.get(admin_page(account, "change")).context["acts"]]
