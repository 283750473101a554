from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.views.decorators.debug import sensitive_variables

from keys.issue import NameTaken, issue_service_token
from keys.models import ServiceToken


class Command(BaseCommand):
    help = "Make a token for an API server or gateway and print it, this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="which server will use the token")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            issue_service_token(name=options["name"], show=self._print)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        except NameTaken as error:
            raise CommandError(
                f"{error} Choose another name, or revoke it in the admin."
            ) from error

    @sensitive_variables("plaintext")
    def _print(self, _token: ServiceToken, plaintext: str) -> None:
        try:
            self.stdout.write(plaintext)
            self.stdout.flush()
        except (OSError, ValueError, AttributeError) as error:
            # Python has no stdout at all where it was closed.
            raise CommandError(
                "The token could not be printed, so none was made. Write it to a terminal or file."
            ) from error
