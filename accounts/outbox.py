"""Mail: written down by whoever has something to say, sent by a worker.

The mail server is somebody else's and may hang. A page that sends mail does not wait for it, and a
mail is in PostgreSQL until the mail server has taken it: at least once, rarely twice.
"""

import contextlib
import hashlib
import json
import logging
import smtplib
import threading
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives, get_connection

from accounts.models import OutgoingMail
from accounts.outside import CannotCall, Line, TooManyCalls

logger = logging.getLogger(__name__)

_line = Line("sending mail", at_once=2)
_SEND_SECONDS = 30.0
_CLAIM = timedelta(minutes=2)
_AT_ONCE = 50
# In a row; then the mail server is taken to be away, and the next turn is soon enough.
_FAILURES_AT_MOST = 3
# Links in mails do not live longer either.
_GIVEN_UP_AFTER = timedelta(days=3)
_FIELDS = ("subject", "body", "from_email", "to", "cc", "bcc", "reply_to")

# What a mail server says, rather than that it is silent: it has not taken the mail.
_SAID_NO = (
    smtplib.SMTPResponseException,
    smtplib.SMTPRecipientsRefused,
    smtplib.SMTPNotSupportedError,
    ValueError,
)


class CannotSend(Exception):
    """The mail server has not taken a mail, or nobody knows: `may_have_arrived`.

    Its text names the kind of error and nothing of the mail.
    """

    def __init__(self, error: Exception, *, may_have_arrived: bool) -> None:
        super().__init__(type(error).__name__)
        self.may_have_arrived = may_have_arrived


def write_down(messages: Sequence[EmailMessage]) -> None:
    """Keep mails to be sent, in the transaction of whoever sends them."""
    OutgoingMail.objects.bulk_create(OutgoingMail(sealed=_seal(message)) for message in messages)


def _seal(message: EmailMessage) -> str:
    """The mail as text that only a process with our secret key reads: a link in it may be one."""
    if message.attachments:
        raise ValueError("The outbox does not keep attachments.")
    content = {
        **{name: getattr(message, name) for name in _FIELDS},
        "headers": dict(message.extra_headers),
        "alternatives": [list(part) for part in getattr(message, "alternatives", [])],
    }
    return _locks().encrypt(json.dumps(content).encode()).decode()


def _unseal(sealed: str) -> EmailMultiAlternatives:
    content = json.loads(_locks().decrypt(sealed))
    message = EmailMultiAlternatives(
        **{name: content[name] for name in _FIELDS}, headers=content["headers"]
    )
    for body, media_type in content["alternatives"]:
        message.attach_alternative(body, media_type)
    return message


def _locks() -> MultiFernet:
    """The newest secret key locks, all of them open."""
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    digests = (hashlib.sha256(b"outgoing mail:" + key.encode()).digest() for key in keys)
    return MultiFernet([Fernet(urlsafe_b64encode(digest)) for digest in digests])


def send_due(*, at: datetime) -> int:
    """Send what waits, oldest first; answers how many mails were sent."""
    due = OutgoingMail.objects.filter(retry_at__lte=at).order_by("pk")
    sent = failures = 0
    for mail in list(due[:_AT_ONCE]):
        if failures == _FAILURES_AT_MOST:
            break
        if not mail.claim(at=at, until=at + _CLAIM):
            continue
        if _send(mail, at=at):
            sent, failures = sent + 1, 0
        else:
            failures += 1
    return sent


def hand_over(message: EmailMessage) -> None:
    """Hand one mail to the mail server now. Raises TooManyCalls before anything, or CannotSend.

    For who keeps books of their own on what was sent; all others write mails down.
    """
    backend = get_connection(settings.OUTBOX_SENDS_BY)
    # Whoever takes it decides: the mail is being sent now, or it never is.
    turn = threading.Lock()

    def send() -> None:
        backend.open()
        if turn.acquire(blocking=False):
            backend.send_messages([message])
        with contextlib.suppress(OSError):
            # It has the mail, however it says goodbye.
            backend.close()

    try:
        _line.call(send, within_seconds=_SEND_SECONDS)
    except TooManyCalls:
        raise
    except (CannotCall, smtplib.SMTPException, OSError, ValueError) as error:
        was_begun = not turn.acquire(blocking=False)
        may_have_arrived = was_begun and not isinstance(error, _SAID_NO)
        raise CannotSend(error, may_have_arrived=may_have_arrived) from None


def _send(mail: OutgoingMail, *, at: datetime) -> bool:
    """Hand one claimed mail to the mail server. Nothing of it is logged: it may hold a secret."""
    try:
        hand_over(_unseal(mail.sealed))
    except (CannotSend, CannotCall, InvalidToken, ValueError) as error:
        what = str(error) if isinstance(error, CannotSend) else type(error).__name__
        if at - mail.written_at > _GIVEN_UP_AFTER:
            logger.error("mail %s was given up: %s", mail.pk, what)
            mail.delete()
            return False
        logger.warning("mail %s was not sent: %s", mail.pk, what)
        mail.mark_failed(error=what, at=at)
        return False
    mail.delete()
    return True
