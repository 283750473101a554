from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from quotas.usage import totals


class Command(BaseCommand):
    help = (
        "Fold old hours into days: remove what single keys and tags used by the hour, of which "
        "days and weeks are kept for ever. Beat does it every night."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--days",
            type=int,
            default=totals.HOURS_ARE_KEPT.days,
            help="how many days back hours are kept (%(default)s; at least 60)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # Weeks that ended are closed from hours for eight weeks.
        if options["days"] < _DAYS_AT_LEAST:
            raise CommandError(f"--days: at least {_DAYS_AT_LEAST}, not {options['days']}.")
        totals.catch_up(at=timezone.now())
        folded = totals.fold(before=timezone.now() - timedelta(days=options["days"]))
        self.stdout.write(f"{folded:,} rows of hours are folded into days.")


_DAYS_AT_LEAST = 60
