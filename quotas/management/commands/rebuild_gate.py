from typing import Any

from django.core.management.base import BaseCommand, CommandError
from redis.exceptions import RedisError

from quotas import epochs


class Command(BaseCommand):
    help = (
        "Load every account into Valkey again, from PostgreSQL. Safe while the site runs: what was "
        "charged is drained first, and each account is loaded at its next request."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            partitions = epochs.rebuild()
        except (RedisError, OSError) as error:
            raise CommandError(f"Valkey gave no answer ({type(error).__name__}).") from error
        self.stdout.write(f"{partitions} partitions: every account is loaded at its next request.")
