"""A small worker that drains and nothing else, in a process that may be killed at any moment.

    python -m tests.faults.draining prepare     makes tables and customers, prints their keys
    python -m tests.faults.draining work FILE   drains; starts again when it was killed

The number of the process that drains stands in FILE.
"""

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import DatabaseError, close_old_connections  # noqa: E402

from quotas import catalogue  # noqa: E402
from quotas.seed import seed_catalogue  # noqa: E402
from quotas.usage import drain  # noqa: E402
from tests.faults.customers import customer  # noqa: E402

CUSTOMERS = 32
ALLOWANCE, BOOSTS, CREDITS = 500, (400, 600), 3_250


def _prepare() -> None:
    call_command("migrate", verbosity=0)
    seed_catalogue(with_demo_prices=False)
    catalogue.push()
    buyers = [
        customer(plan="core", boosts=[(chats, 7) for chats in BOOSTS], credits=CREDITS)
        for _ in range(CUSTOMERS)
    ]
    sys.stdout.write(json.dumps([buyer.key for buyer in buyers]))


def _work(note: Path) -> None:
    """Fork workers one after the other: a new one costs milliseconds instead of an import."""
    while True:
        worker = os.fork()
        if worker == 0:
            _drain_for_ever()
        fresh = note.with_suffix(".fresh")
        fresh.write_text(str(worker))
        fresh.replace(note)
        os.waitpid(worker, 0)


def _drain_for_ever() -> None:
    while True:
        # Without PostgreSQL the real worker fails a task and begins the next one.
        with suppress(DatabaseError):
            drain.move_all()
        close_old_connections()
        time.sleep(0.005)


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        _prepare()
    else:
        _work(Path(sys.argv[2]))
