from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from keys.issue import NameTaken, issue_service_token


class Command(BaseCommand):
    help = "Make a token for an API server or gateway and print it, this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="which server will use the token")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"].strip()
        if not 1 <= len(name) <= 80:
            raise CommandError("NAME must have 1 to 80 characters.")
        try:
            _, plaintext = issue_service_token(name=name)
        except NameTaken as error:
            raise CommandError(
                f"{error} Choose another name, or revoke it in the admin."
            ) from error
        self.stdout.write(plaintext)
