"""Who bought hears of it once: a receipt, and money that went back; never of what is not so."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import Account, Membership, User
from accounts.roles import MAY, Act, Role
from alerts import choosing, delivering
from alerts.models import MAIL_KINDS, Alert, Delivery, Kind, WebhookEndpoint
from alerts.reasons import Reason
from billing import fulfilment, resolving, returning, telling
from billing.models import Purchase
from billing.returning import Returned
from quotas.usage import drain
from tests.alerts.receiver import receiving
from tests.alerts.webhooks import endpoint_of
from tests.billing.buyer import Buyer, deliver, event_of
from tests.billing.test_returned_money import DISPUTED, handle, hear, paid, refund
from tests.quotas.live_gate import LiveGate

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _mail_stays_here(settings: Settings) -> None:
    settings.OUTBOX_SENDS_BY = "django.core.mail.backends.locmem.EmailBackend"
    settings.WEBHOOKS_MAY_STAY_HERE = True


def send() -> list[EmailMultiAlternatives]:
    """What a turn of the worker sends."""
    before = len(mail.outbox)
    delivering.send_mails(at=timezone.now())
    return mail.outbox[before:]  # type: ignore[return-value]


def text_of(letter: EmailMultiAlternatives) -> str:
    return " ".join(str(letter.body).split())


def page_of(letter: EmailMultiAlternatives) -> str:
    ((page, kind),) = letter.alternatives
    assert kind == "text/html"
    return str(page)


def back(purchase: Purchase, cents: int, *, by_bank_cents: int | None = 0) -> None:
    session_id = purchase.stripe_session_id or ""
    returning.keep(Returned(session_id, cents, timezone.now(), by_bank_cents=by_bank_cents))
    purchase.refresh_from_db()


def test_a_purchase_has_one_receipt_however_often_it_is_heard_of(buyer: Buyer) -> None:
    purchase = paid(buyer)
    buyer.land(purchase)
    for _ in range(2):
        handle(event_of(purchase.stripe_session_id))
    (letter,) = send()
    assert send() == []
    assert letter.to == ["owner@example.com"]
    assert letter.subject.startswith("Receipt: Weekly Boost, $5")
    text = text_of(letter)
    assert "It gives 500 chats on top of your allowance, until" in text
    assert f"/account/billing/purchases/{purchase.pk}" in text
    purchase.refresh_from_db()
    assert purchase.receipt_url.startswith(f"{buyer.sandbox.origin}/sandbox/stripe/receipts/")
    assert purchase.receipt_url in text
    assert f'href="{purchase.receipt_url}"' in page_of(letter)


def test_the_receipt_of_credits_says_what_they_are_enough_for(buyer: Buyer) -> None:
    paid(buyer, "credits-5")
    (letter,) = send()
    assert "It gives 500 credits, enough for 250 chats past your allowance" in text_of(letter)


def test_a_receipt_is_in_the_language_of_its_reader(buyer: Buyer, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(language="de")
    paid(buyer)
    (letter,) = send()
    assert letter.subject.startswith("Beleg: Weekly Boost, 5\xa0$")
    assert 'lang="de"' in page_of(letter)


def test_a_payment_that_is_not_written_down_whole_is_told_of_by_nobody(
    buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is killed after the receipt and before its commit; another one comes."""
    purchase = buyer.bought()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Purchase, "mark", killed)
        with pytest.raises(KeyboardInterrupt):
            buyer.land(purchase)
    assert not Alert.objects.exists()
    buyer.wait(purchase)
    buyer.land(purchase)
    assert len(send()) == 1


def test_only_who_may_see_money_reads_of_it(
    buyer: Buyer, account: Account, team_mate: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    membership = Membership.objects.get(account=account, user=team_mate)
    paid(buyer)
    # A member hears of nothing unless they choose to.
    assert [letter.to for letter in send()] == [["owner@example.com"]]
    choosing.choose_mail(membership, kinds=MAIL_KINDS)
    paid(buyer)
    # A developer does not, whatever they choose.
    assert [letter.to for letter in send()] == [["owner@example.com"]]
    Membership.objects.filter(pk=membership.pk).update(role=Role.BILLING)
    paid(buyer)
    assert len(send()) == 2
    paid(buyer)
    # What was begun while they might, and is sent when they may not any more.
    monkeypatch.setitem(MAY, Role.BILLING, MAY[Role.BILLING] - {Act.SEE_MONEY})
    assert [letter.to for letter in send()] == [["owner@example.com"]]
    assert Delivery.objects.get(user=team_mate, state="dropped").error == Reason.NO_MEMBER
    paid(buyer)
    assert [letter.to for letter in send()] == [["owner@example.com"]]


def test_receipts_can_be_switched_off(buyer: Buyer, account: Account, owner: User) -> None:
    membership = Membership.objects.get(account=account, user=owner)
    choosing.choose_mail(membership, kinds=[Kind.MONEY_BACK])
    purchase = paid(buyer)
    assert send() == []
    back(purchase, 500)
    assert len(send()) == 1


def test_no_server_is_told_of_money(buyer: Buyer, account: Account, owner: User) -> None:
    with receiving() as receiver:
        endpoint: WebhookEndpoint = endpoint_of(account, owner, f"{receiver.origin}/hook")
        back(paid(buyer), 500)
        assert not Delivery.objects.filter(endpoint=endpoint).exists()


def test_a_refund_is_told_with_what_it_takes_and_what_is_owed(
    buyer: Buyer, account: Account, key: str, gate: LiveGate
) -> None:
    purchase = paid(buyer, "credits-5")
    gate.use(key, 50 + 100)
    drain.move_all()
    send()
    refund(buyer, purchase, amount=400)
    hear(buyer, purchase)
    hear(buyer, purchase)
    (letter,) = send()
    assert letter.subject.startswith("$4 of $5 for 500 credits went back to you")
    text = text_of(letter)
    assert "By a refund, $4 of $5 went back altogether." in text
    assert "taken back with it: 400 credits." in text
    assert "Your account owes 100 credits now. The next credits pay that first." in text


def test_a_dispute_is_told_and_that_it_was_decided(buyer: Buyer) -> None:
    purchase = paid(buyer, number=DISPUTED)
    send()
    hear(buyer, purchase, "charge.dispute.funds_withdrawn")
    (letter,) = send()
    assert "Your bank took it back because the payment was disputed: $5 of $5" in text_of(letter)
    assert "taken back with it: 500 chats." in text_of(letter)
    back(purchase, 0)
    (letter,) = send()
    assert letter.subject.startswith("$5 for Weekly Boost came to us again")
    assert "What it had paid for is there again." in text_of(letter)


def test_of_what_goes_back_in_parts_while_no_mail_is_sent_the_last_word_is_told(
    buyer: Buyer,
) -> None:
    purchase = paid(buyer, "credits-5")
    send()
    for cents in (100, 300, 200):
        back(purchase, cents)
    back(purchase, 200)
    (letter,) = send()
    assert letter.subject.startswith("$2 of $5 for 500 credits went back to you")
    dropped = Delivery.objects.filter(state="dropped")
    assert set(dropped.values_list("error", flat=True)) == {Reason.NOT_SO}
    assert dropped.count() == 2


def test_who_has_the_money_again_gets_no_receipt_any_more(buyer: Buyer) -> None:
    purchase = paid(buyer)
    back(purchase, 500)
    (letter,) = send()
    assert "went back to you" in letter.subject


def test_money_that_went_back_before_its_payment_was_known_is_told_once(buyer: Buyer) -> None:
    purchase = buyer.bought()
    back(purchase, 500)
    assert not Alert.objects.exists()
    buyer.land(purchase)
    (letter,) = send()
    assert "went back to you" in letter.subject
    assert Alert.objects.get(kind=Kind.RECEIPT).is_passed


def test_a_payment_that_a_person_accepts_has_its_receipt(
    buyer: Buyer, account: Account, owner: User
) -> None:
    purchase = buyer.order()
    fulfilment.set_aside(
        purchase,
        "paid 400 cents instead of 500",
        received_cents=400,
        received_currency="usd",
        at=timezone.now(),
    )
    assert send() == []
    resolving.grant_anyway(purchase=purchase, by=owner, reason="a gift", at=timezone.now())
    (letter,) = send()
    assert letter.subject.startswith("Receipt: Weekly Boost, $4")


def test_telling_twice_writes_once(buyer: Buyer) -> None:
    purchase = paid(buyer)
    telling.of_payment(purchase, at=timezone.now() + timedelta(hours=1))
    assert Alert.objects.filter(kind=Kind.RECEIPT).count() == 1


def test_an_event_of_nobody_tells_nothing(buyer: Buyer) -> None:
    event = {**event_of("cs_test_nobody"), "id": f"evt_{uuid4().hex}"}
    assert deliver(event).status_code == 200
    assert not Alert.objects.exists()
