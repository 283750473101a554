"""Work that waits for the mail server: it has a queue and a worker of its own."""

from celery import shared_task
from django.utils import timezone

from accounts import outbox


@shared_task(name="accounts.send_mail", ignore_result=True)
def send_mail() -> None:
    """Send the mail that waits."""
    outbox.send_due(at=timezone.now())
