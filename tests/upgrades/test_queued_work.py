"""Work that an earlier release put into the queue is done by this one."""

import pytest

from config.celery import app

# By release: the tasks as they stand in messages, with their arguments. Only added to.
QUEUED: dict[str, dict[str, list[int]]] = {
    "0.1.0": {
        "billing.handle_event": [1],
        "billing.handle_pending_events": [],
        "keys.push_pending": [],
        "quotas.drain": [],
        "quotas.push_pending": [],
        "quotas.reset_weekly_counters": [],
    },
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("name", "arguments"), [item for tasks in QUEUED.values() for item in tasks.items()]
)
def test_a_task_that_was_queued_by_an_earlier_release_still_runs(
    name: str, arguments: list[int]
) -> None:
    app.loader.import_default_modules()
    app.tasks[name].apply(tuple(arguments), throw=True)
