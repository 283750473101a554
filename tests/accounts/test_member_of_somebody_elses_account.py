"""Whoever is let into another person's account keeps an account of their own."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Account, User


@pytest.mark.parametrize("page", ["keys", "usage", "billing"])
def test_their_pages_are_about_their_own_account(
    team_mate: User, account: Account, page: str
) -> None:
    client = Client()
    client.force_login(team_mate)
    assert client.get(reverse(page)).status_code == 200
    assert team_mate.personal_account.name == "Tim Mate"
    assert team_mate.personal_account != account
