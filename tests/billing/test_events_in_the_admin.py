"""The admin's page of events: what came, what became of it, and any of it once more."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from accounts.models import Account, User
from billing import events, tasks
from billing.models import Purchase, StripeEvent
from quotas.models.ledger import Boost, CreditEntry
from tests.billing.buyer import Buyer, deliver, delivered, event_of
from tests.billing.test_returned_money import handle, hear, paid, refund

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/billing/stripeevent/"


def kept(name: str, **fields: object) -> StripeEvent:
    """An event as it came."""
    payload = {"id": name, "data": {"object": {"id": f"of_{name}"}}}
    return StripeEvent.objects.create(
        event_id=name, **{"type": "product.created", "payload": payload, **fields}
    )


def listed(client: Client, query: str = "") -> set[str]:
    page = client.get(f"{LIST}?{query}")
    assert page.status_code == 200
    return {event.event_id for event in page.context["cl"].result_list}


def words(client: Client, url: str) -> str:
    page = client.get(url).content.decode()
    # Cells stand beside each other.
    return " ".join(strip_tags(page.replace("<", " <")).split())


def again(client: Client, *chosen: StripeEvent, reason: str = "the worker was old") -> int:
    """Send the page that has events handled again; the answer's status."""
    numbers = ",".join(str(event.pk) for event in chosen)
    return client.post(f"{LIST}again/?ids={numbers}", {"reason": reason}).status_code


@pytest.fixture
def one_of_each(db: None) -> None:
    now = timezone.now()
    kept("evt_waiting")
    kept("evt_failed", error="Stripe gave no answer: APIConnectionError", attempts=2)
    kept("evt_handled", handled_at=now, type="charge.refunded")
    kept("evt_without", handled_at=now, error="the event names no payment")


@pytest.mark.usefixtures("one_of_each")
def test_events_are_found_by_what_became_of_them(admin_client: Client) -> None:
    for state in ("waiting", "failed", "handled", "without"):
        query = "state=without_effect" if state == "without" else f"state={state}"
        assert listed(admin_client, query) == {f"evt_{state}"}
    page = words(admin_client, LIST)
    for said in (
        "Waiting",
        "Failed, and tried again Stripe gave no answer: APIConnectionError",
        "Without effect the event names no payment",
    ):
        assert said in page


@pytest.mark.usefixtures("one_of_each")
def test_events_are_found_by_type_and_by_the_ids_of_them_and_of_what_they_are_about(
    admin_client: Client,
) -> None:
    assert listed(admin_client, "type=charge.refunded") == {"evt_handled"}
    assert listed(admin_client, "q=charge.refunded") == {"evt_handled"}
    assert listed(admin_client, "q=evt_failed") == {"evt_failed"}
    assert listed(admin_client, "q=of_evt_without") == {"evt_without"}
    assert listed(admin_client, "q=of_evt") == set()
    assert "charge.refunded" in words(admin_client, LIST)


@pytest.mark.usefixtures("one_of_each")
def test_why_an_event_had_no_effect_is_read_in_any_language(admin_client: Client) -> None:
    page = admin_client.get(LIST, headers={"Accept-Language": "de"}).content.decode()
    assert "das Ereignis nennt keine Zahlung" in page


def test_an_event_without_a_payment_says_so(buyer: Buyer) -> None:
    event = {
        "id": f"evt_{uuid4().hex}",
        "object": "event",
        "type": "charge.refunded",
        "livemode": False,
        "data": {"object": {"object": "charge", "payment_intent": None}},
    }
    stored = handle(event)
    assert (stored.state, stored.error) == ("without_effect", "the event names no payment")


def test_a_refund_of_something_else_says_so(buyer: Buyer) -> None:
    session = buyer.sandbox.session()
    buyer.sandbox.pay(session)
    intent = buyer.sandbox.fresh(session).payment_intent
    event = {
        "id": f"evt_{uuid4().hex}",
        "object": "event",
        "type": "charge.refunded",
        "livemode": False,
        "data": {"object": {"object": "charge", "payment_intent": getattr(intent, "id", "")}},
    }
    assert handle(event).error == "the session is of no purchase of ours"
    event = {**event, "id": f"evt_{uuid4().hex}"}
    event["data"] = {"object": {"object": "charge", "payment_intent": "pi_of_no_session"}}
    assert handle(event).error == "the payment came by no session of Checkout"


def test_an_event_of_a_type_that_nobody_knows_is_kept(buyer: Buyer) -> None:
    event = event_of("x", "some.thing.new")
    assert deliver(event).status_code == 200
    tasks.handle_pending_events()
    stored = StripeEvent.objects.get()
    assert stored.payload == event
    assert stored.state == "without_effect"


# --- once more --------------------------------------------------------------------------------


def test_what_was_handled_is_handled_again_and_gives_nothing_twice(
    buyer: Buyer, account: Account, admin_client: Client, admin_user: User
) -> None:
    purchases = [buyer.bought(), buyer.bought("credits-5")]
    chosen = [delivered(purchase) for purchase in purchases]
    tasks.handle_pending_events()
    refund(buyer, purchases[1], amount=200)
    hear(buyer, purchases[1])
    chosen = list(StripeEvent.objects.all())
    assert len(chosen) == 3
    before = [
        list(rows) for rows in (Boost.objects.values(), CreditEntry.objects.values("pk", "credits"))
    ]
    for _ in range(2):
        assert again(admin_client, *chosen) == 302
        assert StripeEvent.objects.filter(handled_at=None).count() == 3
        tasks.handle_pending_events()
        assert {event.state for event in StripeEvent.objects.all()} == {"handled"}
    after = [
        list(rows) for rows in (Boost.objects.values(), CreditEntry.objects.values("pk", "credits"))
    ]
    assert after == before
    history = LogEntry.objects.filter(object_id=str(chosen[0].pk))
    assert {(entry.user, entry.change_message) for entry in history} == {
        (admin_user, "handle again: the worker was old")
    }


def test_an_event_that_ended_without_effect_has_it_once_it_can(
    buyer: Buyer, admin_client: Client
) -> None:
    purchase = buyer.bought()
    event = delivered(purchase)
    Purchase.objects.update(stripe_session_id="cs_test_another", submission=uuid4())
    tasks.handle_pending_events()
    event.refresh_from_db()
    assert event.error == "the purchase has another session"
    Purchase.objects.update(stripe_session_id=purchase.stripe_session_id)
    page = admin_client.get(f"{LIST}{event.pk}/change/").content.decode()
    assert f"{LIST}again/?ids={event.pk}" in page
    assert again(admin_client, event) == 302
    tasks.handle_pending_events()
    purchase.refresh_from_db()
    assert (purchase.status, Boost.objects.count()) == ("paid", 1)


def test_what_a_worker_is_at_is_left_to_it(admin_client: Client) -> None:
    event = kept("evt_1")
    now = timezone.now()
    assert event.claim(at=now, until=now + timedelta(minutes=2))
    assert not events.handle_again(event.pk, at=now)
    assert again(admin_client, event) == 302
    event.refresh_from_db()
    assert event.claimed_until is not None
    assert not LogEntry.objects.exists()


def test_several_are_chosen_in_the_list(admin_client: Client) -> None:
    chosen = [kept("evt_1"), kept("evt_2")]
    sent = {"action": "handle_again", "_selected_action": [str(event.pk) for event in chosen]}
    page = admin_client.post(LIST, sent, follow=True)
    said = " ".join(strip_tags(page.content.decode()).split())
    assert "nothing is given twice" in said
    assert "product.created evt_1" in said
    assert "product.created evt_2" in said


@pytest.mark.parametrize("ids", ["", "x", "1,2;3", "99999999999999999999"])
def test_addresses_that_name_no_event_lead_to_the_list(admin_client: Client, ids: str) -> None:
    answer = admin_client.get(f"{LIST}again/", {"ids": ids})
    assert (answer.status_code, answer.headers["Location"]) == (302, LIST)


def test_a_reason_and_a_right_are_needed(admin_client: Client, outsider: User) -> None:
    event = kept("evt_1", handled_at=timezone.now())
    assert again(admin_client, event, reason="") == 200
    outsider.is_staff = True
    outsider.save()
    outsider.user_permissions.add(Permission.objects.get(codename="view_stripeevent"))
    client = Client()
    client.force_login(outsider)
    assert again(client, event) == 403
    assert "Handle again" not in words(client, LIST)
    event.refresh_from_db()
    assert event.handled_at is not None


def test_what_is_told_of_refunds_checks_and_differences_can_be_opened(
    buyer: Buyer, admin_client: Client
) -> None:
    purchase = paid(buyer)
    sent = {"amount": "1", "reason": "they asked", "submission": uuid4()}
    admin_client.post(f"/admin/billing/purchase/{purchase.pk}/refund/", sent)
    Purchase.objects.update(amount_cents=900, paid_at=timezone.now() - timedelta(hours=1))
    tasks.reconcile()
    tasks.compare_books()
    for name, says in (
        ("refund", "they asked"),
        ("bookcheck", "Comparison of the books"),
        ("difference", "Amount at Stripe"),
    ):
        url = f"/admin/billing/{name}/"
        assert says in words(admin_client, url)
        row = admin_client.get(url).context["cl"].result_list[0]
        assert says in words(admin_client, f"{url}{row.pk}/change/")
        assert admin_client.get(f"{url}add/").status_code == 403
    assert (
        str(purchase.pk)
        in admin_client.get(f"/admin/billing/refund/?q={purchase.pk}").content.decode()
    )
    assert listed_differences(admin_client, f"q=purchase:{purchase.pk}") == 1


def listed_differences(client: Client, query: str) -> int:
    return len(client.get(f"/admin/billing/difference/?{query}").context["cl"].result_list)
