import re
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.views.decorators.debug import sensitive_variables

from gate.service.trust import Trust
from keys.issue import CannotTrust, NameTaken, issue_service_token
from keys.models import FORWARDED_HOPS_AT_MOST, ServiceToken


class Command(BaseCommand):
    help = (
        "Make a token for an API server or gateway and print it, this once. Of the headers that a "
        "gateway sends, those that decide what is charged count only if they are trusted here: "
        "trust one only if the gateway sets or strips it, because customers can send it, too."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="which server will use the token")
        parser.add_argument(
            "--trust-request-id",
            action="store_true",
            help="X-Quota-Request-Id counts: the same id is charged once within an hour; "
            "and X-Quota-Tag",
        )
        parser.add_argument(
            "--trust-units",
            action="store_true",
            help="X-Quota-Units counts: how much a request takes",
        )
        parser.add_argument(
            "--trust-client-ip",
            action="store_true",
            help="X-Quota-Client-IP counts: where a customer is, for keys bound to addresses",
        )
        parser.add_argument(
            "--forwarded-hops",
            type=int,
            default=0,
            metavar="N",
            help="instead of X-Quota-Client-IP: so many proxies add to X-Forwarded-For",
        )
        parser.add_argument(
            "--meter",
            default="",
            help="the only meter that is charged, whatever X-Quota-Meter says",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 <= options["forwarded_hops"] <= FORWARDED_HOPS_AT_MOST:
            raise CommandError(f"--forwarded-hops must be 0 to {FORWARDED_HOPS_AT_MOST}.")
        if options["meter"] and not re.fullmatch(r"[-a-zA-Z0-9_]{1,50}", options["meter"]):
            raise CommandError("--meter must be the slug of a meter, of at most 50 characters.")
        trust = Trust(
            request_id=options["trust_request_id"],
            units=options["trust_units"],
            client_ip=options["trust_client_ip"],
            forwarded_hops=options["forwarded_hops"],
            meter=options["meter"],
        )
        try:
            issue_service_token(name=options["name"], trust=trust, show=self._print)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        except NameTaken as error:
            raise CommandError(
                f"{error} Choose another name, or revoke it in the admin."
            ) from error
        except CannotTrust as error:
            raise CommandError(str(error)) from error

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
