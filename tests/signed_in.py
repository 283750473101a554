"""Browsers in which somebody signed in a moment ago, without the time that it takes."""

import time

from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from django.test import Client

from accounts.models import User


def sign_in_at_once(client: Client, user: User, *, seconds_ago: float = 0) -> None:
    """As if the user had given the password so long ago."""
    client.force_login(user)
    session = client.session
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [
        {"method": "password", "at": time.time() - seconds_ago, "email": user.email}
    ]
    session["account_authentication_methods_user"] = str(user.pk)
    # And as if this browser had been written down then.
    session["seen_at"] = time.time()
    session.save()
