"""What Django and allauth send mail through: it is written down, and a worker sends it."""

import logging
from collections.abc import Sequence

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from accounts import outbox, outside, tasks

logger = logging.getLogger(__name__)


class OutboxBackend(BaseEmailBackend):
    """Nobody who sends a mail waits for the mail server."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Write the mails down; answers how many."""
        outbox.write_down(email_messages)
        transaction.on_commit(_wake_worker)
        return len(email_messages)


def _wake_worker() -> None:
    outside.let_go()
    try:
        tasks.send_mail.delay()
    except (OperationalError, RedisError, OSError):
        # It is written down, so the worker finds it at its next turn.
        logger.warning("mail waits for the worker's next turn")
