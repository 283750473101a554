import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from redis.exceptions import RedisError

from quotas.usage import backlog


class Command(BaseCommand):
    help = "Show how far the drain is behind: charges that wait in Valkey, and since when."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            state = backlog.measure()
        except (RedisError, OSError) as error:
            raise CommandError(f"Valkey gave no answer ({type(error).__name__}).") from error
        if options["json"]:
            self.stdout.write(
                json.dumps({"entries": state.entries, "oldest_seconds": state.oldest_seconds})
            )
        elif not state.entries:
            self.stdout.write("Nothing waits: every charge is in PostgreSQL.")
        else:
            self.stdout.write(
                f"{state.entries:,} charges wait, the oldest for {state.oldest_seconds:.1f} s."
            )
