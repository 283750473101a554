"""Mail at most once, webhooks at least once by one id, and neither is given up quickly."""

import smtplib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connections
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account, User
from alerts import delivering, endpoints, log, posting, raising, signing, watching
from alerts.models import PAUSES, Alert, Delivery, Kind, WebhookEndpoint
from gate.terms.key_text import Pepper
from tests.alerts.receiver import Receiver, receiving
from tests.alerts.webhooks import endpoint_of
from tests.odd_servers import hanging, lying
from tests.patience import until

pytestmark = pytest.mark.django_db(transaction=True)

State = Delivery.State
WEEK = {
    "used": 25,
    "cap": 50,
    "percent": 50,
    "boost_left": 0,
    "credits_left": 0,
    "resets_at": "2031-03-10T00:00:00Z",
}


def raise_one(account: Account, occasion: str = "1") -> Alert:
    """An alert with its deliveries."""
    raising.raise_alert(
        account=account, kind=Kind.WEEK_50, occasion=occasion, data=WEEK, at=timezone.now()
    )
    return Alert.objects.get(account=account, kind=Kind.WEEK_50, occasion=occasion)


def of_webhook(alert: Alert) -> Delivery:
    return alert.deliveries.get(endpoint__isnull=False)


def of_mail(alert: Alert) -> Delivery:
    return alert.deliveries.get(endpoint=None)


# --- webhooks -----------------------------------------------------------------------------------


def test_a_webhook_is_signed_with_the_secret_that_its_owner_was_shown(
    account: Account, endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    alert = raise_one(account)
    delivering.post_webhooks(at=timezone.now())
    (request,) = receiver.received
    assert request.id == f"msg_{alert.pk.hex}"
    assert request.headers["content-type"] == "application/json"
    assert request.is_signed_with(signing.secret_of(endpoint))
    assert not request.is_signed_with("whsec_" + "A" * 43 + "=")
    delivery = of_webhook(alert)
    assert (delivery.state, delivery.last_status) == (State.DELIVERED, 204)


def test_after_a_rotation_both_secrets_sign_for_a_day_and_then_the_new_one_alone(
    account: Account, endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    at = timezone.now()
    old = signing.secret_of(endpoint)
    new = signing.secret_of(endpoints.rotate(endpoint, generation=1, at=at))
    assert old != new
    raise_one(account, "1")
    delivering.post_webhooks(at=at + timedelta(hours=23))
    raise_one(account, "2")
    delivering.post_webhooks(at=at + timedelta(hours=25))
    first, second = receiver.received
    assert (first.is_signed_with(old), first.is_signed_with(new)) == (True, True)
    assert (second.is_signed_with(old), second.is_signed_with(new)) == (False, True)


def test_a_rotation_that_is_sent_twice_rotates_once(endpoint: WebhookEndpoint) -> None:
    at = timezone.now()
    first = signing.secret_of(endpoints.rotate(endpoint, generation=1, at=at))
    again = signing.secret_of(endpoints.rotate(endpoint, generation=1, at=at))
    assert first == again
    endpoints.rotate(endpoint, generation=2, at=at)
    with pytest.raises(endpoints.CannotChangeWebhook):
        endpoints.rotate(endpoint, generation=1, at=at)


def test_a_secret_outlives_a_new_pepper_and_is_stored_nowhere(
    endpoint: WebhookEndpoint, settings: Settings
) -> None:
    secret = signing.secret_of(endpoint)
    settings.KEY_PEPPERS = [Pepper("another", b"x" * 40), *settings.KEY_PEPPERS]
    assert signing.secret_of(endpoint) == secret
    row = WebhookEndpoint.objects.filter(pk=endpoint.pk).values().get()
    assert secret.removeprefix("whsec_") not in str(row)
    assert "another" in endpoints.rotate(endpoint, generation=1, at=timezone.now()).pepper_id


def test_a_webhook_whose_pepper_is_gone_says_so_in_the_log(
    account: Account, endpoint: WebhookEndpoint, receiver: Receiver, settings: Settings
) -> None:
    settings.KEY_PEPPERS = [Pepper("another", b"x" * 40)]
    alert = raise_one(account)
    delivering.post_webhooks(at=timezone.now())
    assert receiver.received == []
    assert "rotate it" in of_webhook(alert).error


def test_a_webhook_that_fails_is_tried_later_and_later_and_then_no_more(
    account: Account, endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    receiver.status = 500
    alert = raise_one(account)
    at = timezone.now()
    for tries, pause in enumerate(PAUSES, start=1):
        delivering.post_webhooks(at=at)
        delivery = of_webhook(alert)
        assert (delivery.state, delivery.tries) == (State.WAITING, tries)
        assert delivery.error == "answered 500"
        assert pause <= delivery.next_try_at - at < pause + timedelta(minutes=1)
        delivering.post_webhooks(at=delivery.next_try_at - timedelta(minutes=1, seconds=1))
        assert len(receiver.received) == tries
        at = delivery.next_try_at
    delivering.post_webhooks(at=at)
    assert of_webhook(alert).state == State.FAILED
    assert len(receiver.received) == len(PAUSES) + 1
    assert len(set(receiver.ids)) == 1
    assert len({request.body for request in receiver.received}) == 1


def test_what_failed_can_be_sent_again_once_for_each_click(
    account: Account, endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    alert = raise_one(account)
    at = timezone.now()
    delivering.post_webhooks(at=at)
    pk = of_webhook(alert).pk
    assert log.resend(account=account, delivery_id=pk, tries=1, at=at)
    assert not log.resend(account=account, delivery_id=pk, tries=1, at=at)
    delivering.post_webhooks(at=at)
    assert not log.resend(account=account, delivery_id=pk, tries=1, at=at)
    assert receiver.ids == [f"msg_{alert.pk.hex}"] * 2


def test_one_that_fails_for_days_is_switched_off_and_its_owner_is_told_by_mail(
    account: Account, endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    receiver.status = 410
    at = timezone.now()
    for number in range(8):
        Delivery.objects.all().delete()
        raise_one(account, str(number))
        at += timedelta(hours=11)
        delivering.post_webhooks(at=at)
        endpoint.refresh_from_db()
        # Eight failures in a row, and more than three days since the first.
        assert endpoint.is_on is (number < 7)
    assert endpoint.switched_off_at is not None
    calls = len(receiver.received)
    raise_one(account, "after")
    delivering.post_webhooks(at=at + timedelta(days=1))
    assert len(receiver.received) == calls
    mail.outbox.clear()
    delivering.send_mails(at=at + timedelta(days=1))
    letters = [letter for letter in mail.outbox if "was switched off" in letter.subject]
    assert [letter.to for letter in letters] == [["owner@example.com"]]
    assert endpoint.url in str(letters[0].body)


def test_one_that_answers_again_is_not_given_up(
    account: Account, endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    receiver.status = 500
    raise_one(account, "1")
    delivering.post_webhooks(at=timezone.now())
    endpoint.refresh_from_db()
    assert (endpoint.failures, endpoint.failing_since is None) == (1, False)
    receiver.status = 200
    delivering.post_webhooks(at=timezone.now() + timedelta(minutes=2))
    endpoint.refresh_from_db()
    assert (endpoint.failures, endpoint.failing_since) == (0, None)


def test_what_waits_for_a_webhook_that_is_switched_off_is_dropped(
    account: Account, endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    alert = raise_one(account)
    endpoints.change(endpoint, url=endpoint.url, is_on=False)
    delivering.post_webhooks(at=timezone.now())
    assert of_webhook(alert).state == State.DROPPED
    assert receiver.received == []


def test_a_redirect_is_not_followed(
    account: Account, endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    with receiving() as elsewhere:
        receiver.status = 307
        receiver.more_headers = {"Location": f"{elsewhere.origin}/stolen"}
        alert = raise_one(account)
        delivering.post_webhooks(at=timezone.now())
        assert elsewhere.received == []
    assert of_webhook(alert).error == "answered 307: redirects are not followed"


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not answer is waited for only shortly."""
    monkeypatch.setattr(posting, "SECONDS", 0.5)
    monkeypatch.setattr(posting, "_BODY_SECONDS", 0.1)


def test_a_server_that_never_answers_costs_a_bounded_time_and_leaves_nothing_running(
    account: Account, owner: User, receiver: Receiver, endpoint: WebhookEndpoint, soon: None
) -> None:
    with hanging() as server:
        stuck = endpoint_of(account, owner, f"{server.origin}/")
        alert = raise_one(account)
        delivering.post_webhooks(at=timezone.now())
        assert server.calls == 1
    delivery = alert.deliveries.get(endpoint=stuck)
    assert (delivery.state, delivery.error) == (State.WAITING, "no answer within 0.5 s")
    # Who was asked beside it was told.
    assert alert.deliveries.get(endpoint=endpoint).state == State.DELIVERED
    assert "posting webhooks" not in {thread.name for thread in threading.enumerate()}


@pytest.fixture
def trickling() -> Iterator[str]:
    """The origin of a server that answers a byte at a time, for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def trickle() -> None:
        connection, _ = listener.accept()
        with connection:
            while not ended.wait(0.05):
                try:
                    connection.sendall(b"HTTP/1.1 200 OK\r\n"[:1])
                except OSError:
                    return

    thread = threading.Thread(target=trickle)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    ended.set()
    thread.join()
    listener.close()


def test_a_server_that_trickles_its_answer_is_given_up_as_well(
    account: Account, owner: User, trickling: str, soon: None
) -> None:
    endpoint_of(account, owner, f"{trickling}/")
    alert = raise_one(account)
    delivering.post_webhooks(at=timezone.now())
    assert of_webhook(alert).error == "no answer within 0.5 s"


def test_of_an_answer_that_never_ends_its_status_counts(
    account: Account, owner: User, soon: None
) -> None:
    with lying() as server:
        server.headers = {"Content-Length": str(10**9)}
        server.body = b"x" * 1_000_000
        endpoint_of(account, owner, f"{server.origin}/")
        alert = raise_one(account)
        delivering.post_webhooks(at=timezone.now())
        assert of_webhook(alert).state == State.DELIVERED


def test_a_test_is_tried_once_and_says_at_once_what_became_of_it(
    account: Account, endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    receiver.status = 404
    endpoints.send_test(endpoint, at=timezone.now())
    with pytest.raises(endpoints.CannotChangeWebhook):
        endpoints.send_test(endpoint, at=timezone.now())
    delivering.post_webhooks(at=timezone.now())
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.error) == (State.FAILED, "answered 404")
    assert receiver.received[0].content["type"] == "webhook.test"
    endpoint.refresh_from_db()
    assert endpoint.failures == 0


def test_what_finds_all_lines_busy_waits_as_if_it_had_not_been_tried(
    account: Account, endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    alert = raise_one(account)
    may_end = threading.Event()
    busy = [
        threading.Thread(target=lambda: posting._line.call(may_end.wait, within_seconds=60))
        for _ in range(4)
    ]
    for thread in busy:
        thread.start()
    until(lambda: posting._line._free._value == 0)
    at = timezone.now()
    delivering.post_webhooks(at=at)
    delivery = of_webhook(alert)
    assert (delivery.state, delivery.tries, delivery.claimed_until) == (State.WAITING, 0, None)
    may_end.set()
    for thread in busy:
        thread.join()
    delivering.post_webhooks(at=at)
    assert len(receiver.received) == 1


def test_a_server_that_is_slow_gets_one_at_a_time(
    account: Account, endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    receiver.status = 500
    alerts = [raise_one(account, str(number)) for number in range(5)]
    at = timezone.now() + timedelta(seconds=1)
    delivering.post_webhooks(at=at)
    assert len(receiver.received) == 1
    waiting = {of_webhook(alert).next_try_at - at >= timedelta(minutes=1) for alert in alerts}
    assert waiting == {True}


# --- mail -------------------------------------------------------------------------------------


class Refusing(BaseEmailBackend):
    """A mail server that says no."""

    def send_messages(self, email_messages: Any) -> int:
        raise smtplib.SMTPRecipientsRefused({"owner@example.com": (450, b"later")})


class Vanishing(BaseEmailBackend):
    """A mail server that goes away while it is given a mail."""

    def send_messages(self, email_messages: Any) -> int:
        raise smtplib.SMTPServerDisconnected


class NotThere(BaseEmailBackend):
    """A mail server that cannot be reached."""

    def open(self) -> bool:
        raise ConnectionRefusedError


def sends_by(settings: Settings, backend: type[BaseEmailBackend]) -> None:
    settings.OUTBOX_SENDS_BY = f"{backend.__module__}.{backend.__qualname__}"


@pytest.mark.parametrize("backend", [Refusing, NotThere])
def test_a_mail_that_was_certainly_not_taken_is_sent_later(
    account: Account, settings: Settings, backend: type[BaseEmailBackend]
) -> None:
    alert = raise_one(account)
    usual = settings.OUTBOX_SENDS_BY
    sends_by(settings, backend)
    at = timezone.now()
    delivering.send_mails(at=at)
    delivery = of_mail(alert)
    assert delivery.state == State.WAITING
    settings.OUTBOX_SENDS_BY = usual
    delivering.send_mails(at=delivery.next_try_at)
    assert of_mail(alert).state == State.DELIVERED
    assert len(mail.outbox) == 1


def test_a_mail_that_may_have_arrived_is_sent_again_only_when_somebody_says_so(
    account: Account, settings: Settings
) -> None:
    alert = raise_one(account)
    usual = settings.OUTBOX_SENDS_BY
    sends_by(settings, Vanishing)
    at = timezone.now()
    delivering.send_mails(at=at)
    settings.OUTBOX_SENDS_BY = usual
    for days in range(5):
        delivering.send_mails(at=at + timedelta(days=days))
    delivery = of_mail(alert)
    assert (delivery.state, mail.outbox) == (State.UNKNOWN, [])
    assert log.resend(account=account, delivery_id=delivery.pk, tries=1, at=at)
    delivering.send_mails(at=at)
    assert len(mail.outbox) == 1


def test_a_mail_has_text_and_a_page_and_one_message_id(account: Account) -> None:
    alert = raise_one(account)
    at = timezone.now()
    delivering.send_mails(at=at)
    log.resend(account=account, delivery_id=of_mail(alert).pk, tries=1, at=at)
    delivering.send_mails(at=at)
    first, again = mail.outbox
    assert first.extra_headers["Message-ID"] == again.extra_headers["Message-ID"]
    assert "http://testserver/account/alerts" in str(first.body)
    assert isinstance(first, mail.EmailMultiAlternatives)
    ((page, media_type),) = [tuple(part) for part in first.alternatives]
    assert media_type == "text/html"
    assert "25 of 50 chats are used" in str(page)
    # And both show it as cells.
    assert f"{25 * '□'}\n{25 * '■'}\n" in str(first.body)
    for kind in ("spent", "allowance"):
        assert str(page).count(f'class="cell-{kind}"') == 25


# --- two at once --------------------------------------------------------------------------------


def at_once(act: Callable[[], object], times: int = 4) -> None:
    """Do it so often at the same moment."""
    ready = threading.Barrier(times)

    def one() -> None:
        ready.wait()
        try:
            act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(times) as pool:
        for done in [pool.submit(one) for _ in range(times)]:
            done.result()


def test_workers_at_once_raise_and_deliver_once(
    account: Account,
    use: Callable[[int], None],
    endpoint: WebhookEndpoint,
    receiver: Receiver,
) -> None:
    use(45)
    at = timezone.now()

    def turn() -> None:
        watching.look_at_changed(at=at)
        delivering.send_mails(at=at)
        delivering.post_webhooks(at=at)

    for _ in range(3):
        at_once(turn)
    assert Alert.objects.filter(is_passed=False).count() == 1
    assert len(mail.outbox) == 1
    assert len(receiver.received) == 1
