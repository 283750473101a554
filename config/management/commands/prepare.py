import json
import secrets
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from billing.seed import seed_products
from config import release
from config.static_files import collect_static_files
from quotas.seed import seed_catalogue

FIRST_ADMIN_EMAIL = "admin@example.com"


class Command(BaseCommand):
    help = (
        "Make the installation ready: migrate, create missing plans and products, collect static "
        "files. The last line printed is JSON for the program that called."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--first-admin",
            action="store_true",
            help="create an administrator if there is none, with a generated password",
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
        email = password = None
        if options["first_admin"]:
            email, password = _first_admin()
        self.stdout.write(json.dumps({"admin_email": email, "admin_password": password}))


def _first_admin() -> tuple[str, str | None]:
    """The first administrator's e-mail address, and the password if it was made just now."""
    existing = User.objects.filter(is_superuser=True).order_by("pk").first()
    if existing is not None:
        return existing.email, None
    password = secrets.token_urlsafe(12)
    User.objects.create_superuser(FIRST_ADMIN_EMAIL, password, name="Administrator")
    return FIRST_ADMIN_EMAIL, password
