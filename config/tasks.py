import sys
from typing import Any

from celery import signals

from config import release


@signals.worker_init.connect
@signals.beat_init.connect
def refuse_newer_data(**_: Any) -> None:
    """Do not start on data that says it is too new for this release."""
    try:
        release.look_at_data()
    except release.CannotUseData as error:
        # Celery would log what a receiver raises, and go on.
        sys.exit(str(error))
