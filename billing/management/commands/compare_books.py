from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from billing import comparing, reconciling
from billing.models import Difference


class Command(BaseCommand):
    help = (
        "Compare the ledger with the gate, and paid purchases with Stripe. What differs is written "
        "down for the admin, and printed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--days",
            type=int,
            default=comparing.DAYS,
            help="purchases of so many days (%(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["days"] <= 3660:
            raise CommandError("--days is from 1 to 3660.")
        try:
            check = comparing.compare(at=timezone.now(), days=options["days"])
        except reconciling.UnderWay:
            raise CommandError("The books are being compared this very moment.") from None
        differences = Difference.objects.open()
        for difference in differences:
            self.stdout.write(f"{difference.subject}: {difference}\n    {difference.what_to_do}")
        if check.error:
            raise CommandError(check.error)
        if not differences:
            self.stdout.write("The books agree.")
