"""Work that watches, and that waits for mail servers and for customers' servers.

All of it is on the queue of what waits (CELERY_TASK_ROUTES): nothing here is beside the drain.
"""

from celery import shared_task
from django.utils import timezone

from alerts import delivering, ending, watching, weekly


@shared_task(name="alerts.watch", ignore_result=True)
def watch() -> None:
    """Look at accounts that used anything."""
    watching.look_at_changed(at=timezone.now())


@shared_task(name="alerts.tell_of_ending_boosts", ignore_result=True)
def tell_of_ending_boosts() -> None:
    """Tell of boosts that end within a day with chats that nobody used."""
    ending.tell_of_boosts(at=timezone.now())


@shared_task(name="alerts.summarise", ignore_result=True)
def summarise() -> None:
    """Raise the summaries of a week that has ended."""
    weekly.summarise(at=timezone.now())


@shared_task(name="alerts.send_mails", ignore_result=True)
def send_mails() -> None:
    """Send the mails that are due."""
    delivering.send_mails(at=timezone.now())


@shared_task(name="alerts.post_webhooks", ignore_result=True)
def post_webhooks() -> None:
    """Post the webhooks that are due."""
    delivering.post_webhooks(at=timezone.now())
