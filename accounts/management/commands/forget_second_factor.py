from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.forgetting import forget_second_factor
from accounts.models import User


class Command(BaseCommand):
    help = (
        "Take away passkeys, authenticator app and recovery codes of somebody who lost them all, "
        "and end their sessions. Their password alone signs in then: be sure who asks."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="with which they sign in")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(email__iexact=options["email"]).first()
        if user is None:
            raise CommandError("Nobody signs in with this address.")
        count = forget_second_factor(user)
        if not count:
            raise CommandError("There was nothing to take away. Their sessions have ended.")
        self.stdout.write(f"{user.email} signs in with the password alone now.")
