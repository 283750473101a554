import os
import sys
from typing import Any

from celery import shared_task, signals
from django.conf import settings

from config import readiness, release, signs_of_life


@signals.worker_init.connect
@signals.beat_init.connect
def refuse_newer_data(**_: Any) -> None:
    """Do not start on data that says it is too new for this release."""
    try:
        release.look_at_data()
    except release.CannotUseData as error:
        # Celery would log what a receiver raises, and go on.
        sys.exit(str(error))


@signals.worker_init.connect
def let_others_go_first(**_: Any) -> None:
    """What a worker does may come a moment later; who checks a key waits for it."""
    os.nice(settings.WORKER_NICENESS)


@shared_task(name="site.heartbeat", ignore_result=True)
def heartbeat(name: str) -> None:
    """Show that tasks of a queue are worked off."""
    signs_of_life.give(name)


@shared_task(name="site.look", ignore_result=True)
def look() -> None:
    """Look whether the site still has what it cannot do without."""
    readiness.look()
