from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from billing import reconciling


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise ArgumentTypeError("write a day, as 2026-11-01") from None


class Command(BaseCommand):
    help = (
        "Look through Stripe for payments, refunds and disputes of which no event told us. Each "
        "has its effect once, however often this runs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--since",
            type=_day,
            help="the first day (UTC), as 2026-11-01; else since the last one, at most 30 days",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        at = timezone.now()
        since = options["since"]
        if since is not None and since > at:
            raise CommandError("--since is in the future.")
        try:
            check = reconciling.reconcile(at=at, since=since)
            while check.finished_at is None and not check.error:
                check = reconciling.go_on(check, at=timezone.now())
        except reconciling.UnderWay:
            raise CommandError("Stripe is being looked through this very moment.") from None
        found = check.counts
        self.stdout.write(f"Since {check.since:%Y-%m-%d %H:%M} (UTC):")
        for name, words in _WORDS:
            self.stdout.write(f"  {found.get(name, 0):>6,}  {words}")
        if check.error:
            raise CommandError(check.error)


_WORDS = (
    ("paid", "payments of ours"),
    ("granted", "of them were not known, and are granted now"),
    ("alarms", "of them need a person now"),
    ("untold", "of them no event told of within an hour"),
    ("refunds", "payments with refunds"),
    ("disputes", "payments with disputes"),
    ("returned", "of both were not known as they are"),
)
