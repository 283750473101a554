from celery import shared_task
from django.utils import timezone

from keys import expiring, network_mails, projection, sightings


@shared_task(name="keys.push_pending", ignore_result=True)
def push_pending() -> None:
    """Repeat key changes that did not reach the gate."""
    projection.push_pending_keys()


@shared_task(name="keys.tell_of_new_networks", ignore_result=True)
def tell_of_new_networks() -> None:
    """Mail about keys that were used from somewhere new."""
    network_mails.tell_of_new_networks(at=timezone.now())


@shared_task(name="keys.warn_of_expiry", ignore_result=True)
def warn_of_expiry() -> None:
    """Mail about keys that will expire."""
    expiring.warn_of_expiring_keys(at=timezone.now())


@shared_task(name="keys.forget_sightings", ignore_result=True)
def forget_sightings() -> None:
    """Delete where keys were used from long ago."""
    sightings.forget_old(at=timezone.now())
