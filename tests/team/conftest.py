from collections.abc import Callable
from datetime import datetime

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Membership, User
from gate.terms import week
from tests.conftest import PASSWORD
from tests.quotas.conftest import gate
from tests.signed_in import sign_in_at_once
from tests.site.collected import collected_static_files

__all__ = ["collected_static_files", "gate"]
Role = Membership.Role


@pytest.fixture
def team(owner: User) -> Account:
    """A team of the owner, beside their own account."""
    return Account.objects.open_for(owner, name="Acme")


@pytest.fixture
def joined(team: Account) -> Callable[[str], User]:
    """Makes a member of the team, of this role, who is called by it."""

    def join(role: str) -> User:
        user = User.objects.create_user(
            f"{role}.mate@example.com", PASSWORD, name=f"Mr {role.title()}"
        )
        Membership.objects.create(account=team, user=user, role=role)
        return user

    return join


def acting_for(user: User, account: Account) -> Client:
    """A browser in which somebody is signed in and acts for an account."""
    client = Client()
    sign_in_at_once(client, user)
    session = client.session
    session["account"] = account.handle
    session.save()
    return client


@pytest.fixture
def hour() -> datetime:
    """The one in which the week began."""
    return week.starts_at(week.week_of(week.to_ms(timezone.now())))
