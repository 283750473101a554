import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from accounts.first_admin import first_admin
from billing.seed import seed_products
from config import release
from config.static_files import collect_static_files, write_pages_of_front
from quotas.seed import seed_catalogue


class Command(BaseCommand):
    help = (
        "Make the installation ready: migrate, create missing plans and products, collect static "
        "files. The last line printed is JSON for the program that called."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--first-admin",
            action="store_true",
            help="create an administrator if there is none; a password until somebody signed in",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            release.refuse_newer_data()
        except release.CannotUseData as error:
            raise CommandError(str(error)) from None
        call_command("migrate", interactive=False, verbosity=1, stdout=self.stderr)
        release.record()
        seed_catalogue(with_demo_prices=settings.IS_DEVELOPMENT)
        seed_products()
        collect_static_files()
        write_pages_of_front()
        email = password = None
        if options["first_admin"]:
            email, password = first_admin()
        self.stdout.write(json.dumps({"admin_email": email, "admin_password": password}))
