from celery import shared_task

from keys import projection


@shared_task(name="keys.push_pending", ignore_result=True)
def push_pending() -> None:
    """Repeat key changes that did not reach the gate."""
    projection.push_pending_keys()
