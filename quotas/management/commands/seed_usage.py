from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from quotas.usage import fixtures


class Command(BaseCommand):
    help = (
        "For development: make up a year of use, to try pages and exports with as much as a large "
        "customer has. Whole, it takes some ten minutes and three gigabytes."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="whose account; made if there is none")
        parser.add_argument("--keys", type=int, default=1_000, help="%(default)s")
        parser.add_argument("--days", type=int, default=365, help="%(default)s")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.IS_DEVELOPMENT:
            raise CommandError("Only in development: what is made up cannot be told from real use.")
        for name in ("keys", "days"):
            if not 1 <= options[name] <= 10_000:
                raise CommandError(f"--{name}: 1 to 10,000, not {options[name]}.")
        account, written = fixtures.seed(
            options["email"], keys=options["keys"], days=options["days"], at=timezone.now()
        )
        self.stdout.write(f"{written:,} rows are written for {account}.")
