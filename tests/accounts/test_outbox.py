"""Mail is written down by pages and sent by a worker: nobody waits for the mail server."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.core.mail import EmailMultiAlternatives, send_mail
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts import outbox, tasks
from accounts.models import OutgoingMail, User
from gate.store.connection import sync_client
from tests.accounts.acts import sign_up
from tests.odd_servers import Hanging, hanging

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("writes_down")]

LOCMEM = "django.core.mail.backends.locmem.EmailBackend"
SMTP = "django.core.mail.backends.smtp.EmailBackend"


@pytest.fixture
def writes_down(settings: Settings) -> None:
    """Mail as in production, except that it is sent into a list."""
    settings.EMAIL_BACKEND = "accounts.mail_backend.OutboxBackend"
    settings.OUTBOX_SENDS_BY = LOCMEM


@pytest.fixture
def mail_server_refuses(settings: Settings) -> Callable[[], None]:
    """A mail server that is not there."""

    def refuse() -> None:
        settings.OUTBOX_SENDS_BY = SMTP
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
        settings.EMAIL_USE_TLS = False

    return refuse


def test_what_a_page_sends_waits_for_the_worker_and_is_then_gone(
    client: Client, plans: None
) -> None:
    sign_up(client, "new@example.com")
    assert mail.outbox == []
    assert OutgoingMail.objects.count() == 1
    broker = sync_client(django_settings.REDIS_URL.partition("?")[0] + "?db=1")
    assert b"accounts.send_mail" in broker.lrange("waiting", 0, -1)[0]
    tasks.send_mail()
    (sent,) = mail.outbox
    assert sent.to == ["new@example.com"]
    assert "/auth/confirm-email/" in sent.body
    assert not OutgoingMail.objects.exists()
    tasks.send_mail()
    assert len(mail.outbox) == 1


def test_a_mail_arrives_as_it_was_written() -> None:
    written = EmailMultiAlternatives(
        "A subject — ü",
        "words",
        "from@example.com",
        ["to@example.com"],
        cc=["cc@example.com"],
        bcc=["bcc@example.com"],
        reply_to=["reply@example.com"],
        headers={"X-Kind": "test"},
    )
    written.attach_alternative("<p>words</p>", "text/html")
    written.send()
    outbox.send_due(at=timezone.now())
    (sent,) = mail.outbox
    assert isinstance(sent, EmailMultiAlternatives)
    for name in ("subject", "body", "from_email", "to", "cc", "bcc", "reply_to", "extra_headers"):
        assert getattr(sent, name) == getattr(written, name), name
    assert [tuple(part) for part in sent.alternatives] == [("<p>words</p>", "text/html")]


def test_a_link_that_is_a_secret_is_not_readable_in_the_database(
    client: Client, owner: User
) -> None:
    client.post(reverse("account_reset_password"), {"email": "owner@example.com"})
    (waiting,) = OutgoingMail.objects.all()
    assert "password" not in waiting.sealed
    assert "owner@example.com" not in waiting.sealed
    tasks.send_mail()
    assert "/auth/password/reset/key/" in mail.outbox[0].body


def test_mail_that_was_written_before_the_secret_key_changed_is_sent(settings: Settings) -> None:
    send_mail("s", "b", None, ["to@example.com"])
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another " * 8
    assert outbox.send_due(at=timezone.now()) == 1


def test_what_is_undone_sends_no_mail() -> None:
    with transaction.atomic():
        send_mail("s", "b", None, ["to@example.com"])
        transaction.set_rollback(True)
    assert not OutgoingMail.objects.exists()


def test_a_mail_that_cannot_be_sent_is_kept_and_tried_later_and_later(
    mail_server_refuses: Callable[[], None], settings: Settings
) -> None:
    send_mail("s", "b", None, ["to@example.com"])
    mail_server_refuses()
    at = timezone.now()
    for attempts, seconds in ((1, 10), (2, 20), (3, 40)):
        assert outbox.send_due(at=at) == 0
        waiting = OutgoingMail.objects.get()
        assert (waiting.attempts, waiting.retry_at) == (attempts, at + timedelta(seconds=seconds))
        at = waiting.retry_at - timedelta(milliseconds=1)
        outbox.send_due(at=at)
        assert OutgoingMail.objects.get().attempts == attempts
        at = waiting.retry_at
    settings.OUTBOX_SENDS_BY = LOCMEM
    assert outbox.send_due(at=at) == 1


def test_a_mail_is_given_up_after_three_days_with_an_error_in_the_log(
    mail_server_refuses: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    send_mail("a secret subject", "a secret body", None, ["to@example.com"])
    mail_server_refuses()
    outbox.send_due(at=timezone.now() + timedelta(days=4))
    assert not OutgoingMail.objects.exists()
    assert "was given up" in caplog.text
    assert "secret" not in caplog.text
    assert "to@example.com" not in caplog.text


def test_a_worker_that_died_while_sending_is_followed_by_another() -> None:
    send_mail("s", "b", None, ["to@example.com"])
    at = timezone.now()
    assert OutgoingMail.objects.get().claim(at=at, until=at + timedelta(minutes=2))
    assert outbox.send_due(at=at + timedelta(seconds=90)) == 0
    assert outbox.send_due(at=at + timedelta(minutes=3)) == 1


def test_a_mail_with_an_attachment_is_refused_rather_than_sent_without() -> None:
    letter = EmailMultiAlternatives("s", "b", None, ["to@example.com"])
    letter.attach("a.txt", "text")
    with pytest.raises(ValueError, match="attachments"):
        letter.send()


def test_signing_up_does_not_wait_for_a_mail_server_that_hangs(
    client: Client, plans: None, settings: Settings
) -> None:
    settings.OUTBOX_SENDS_BY = SMTP
    settings.EMAIL_USE_TLS, settings.EMAIL_TIMEOUT = False, 0.2
    with hanging() as server:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        sign_up(client, "new@example.com")
        assert server.calls == 0
        _fails_once(server)
    assert User.objects.filter(email="new@example.com").exists()


def _fails_once(server: Hanging) -> None:
    assert outbox.send_due(at=timezone.now()) == 0
    assert server.calls == 1
    assert OutgoingMail.objects.get().attempts == 1
