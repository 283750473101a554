"""Guessing is slowed down, whatever the guesser claims to be."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.db import connection
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import User
from tests.accounts.acts import is_signed_in, sign_in, sign_up
from tests.accounts.test_password_reset import NEW_PASSWORD, ask, choose, mailed_link


def forged(number: int) -> dict[str, Any]:
    """Headers of somebody who claims to come from elsewhere each time."""
    address = f"198.51.100.{number}"
    return {
        # Behind what they claim a proxy writes where they are.
        "HTTP_X_FORWARDED_FOR": f"{address}, 203.0.113.7",
        "HTTP_X_REAL_IP": address,
        "HTTP_FORWARDED": f"for={address}",
        "HTTP_CF_CONNECTING_IP": address,
    }


def test_a_few_wrong_passwords_close_the_address_for_a_while(owner: User) -> None:
    for number in range(5):
        sign_in(Client(), "owner@example.com", "wrong", **forged(number))
    browser = Client()
    response = sign_in(browser, "owner@example.com", **forged(99))
    assert "Too many failed login attempts" in response.content.decode()
    assert not is_signed_in(browser)


def test_strangers_lock_nobody_out_for_good_a_mail_opens_it_again(owner: User) -> None:
    def guess() -> None:
        for number in range(6):
            sign_in(Client(), owner.email, "wrong", REMOTE_ADDR=f"198.51.100.{number}")

    guess()
    browser = Client()
    sign_in(browser, owner.email)
    assert not is_signed_in(browser)
    ask(browser, owner.email)
    choose(browser, mailed_link())
    sign_in(browser, owner.email, NEW_PASSWORD)
    assert is_signed_in(browser)
    # Whoever is in stays in, whatever is guessed meanwhile.
    guess()
    assert is_signed_in(browser)


@pytest.mark.parametrize("verification", ["mandatory", "optional"])
def test_signing_up_tells_nobody_whose_address_is_known(
    owner: User, settings: Settings, verification: str
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = verification
    EmailAddress.objects.create(user=owner, email=owner.email, verified=True, primary=True)
    known, unknown = (
        sign_up(Client(), email) for email in (owner.email, "somebody.new@example.com")
    )
    if verification == "mandatory":
        assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
        assert [m.to for m in mail.outbox] == [[owner.email], ["somebody.new@example.com"]]
        assert "already" in str(mail.outbox[0].subject)
    else:
        # In development nobody confirms an address, so that one cannot be taken twice.
        assert known.status_code == 200


def test_another_spelling_of_the_address_is_no_way_around(owner: User) -> None:
    for email in ("owner@example.com", "OWNER@example.com", "Owner@Example.com") * 2:
        sign_in(Client(), email, "wrong")
    browser = Client()
    sign_in(browser, "owner@EXAMPLE.com")
    assert not is_signed_in(browser)


def test_many_addresses_from_one_place_are_throttled_despite_forged_headers(owner: User) -> None:
    for number in range(31):
        sign_in(Client(), f"nobody-{number}@example.com", "wrong", **forged(number))
    browser = Client()
    sign_in(browser, "owner@example.com", **forged(200))
    assert not is_signed_in(browser)


def test_another_place_is_not_throttled_for_it(owner: User) -> None:
    for number in range(31):
        sign_in(Client(), f"nobody-{number}@example.com", "wrong")
    browser = Client()
    sign_in(browser, "owner@example.com", REMOTE_ADDR="192.0.2.7")
    assert is_signed_in(browser)


@pytest.mark.django_db(transaction=True)
def test_guesses_at_the_same_moment_count_each(owner: User) -> None:
    def guess(number: int) -> str:
        try:
            answer = sign_in(Client(), "owner@example.com", f"wrong {number}", **forged(number))
            return str(answer.content.decode())
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(guess, range(20)))
    judged = [a for a in answers if "password you specified are not correct" in a]
    assert len(judged) <= 5


def test_sign_ups_from_one_place_are_throttled_despite_forged_headers(plans: None) -> None:
    for number in range(20):
        Client().post(reverse("account_signup"), {"email": "no address"}, **forged(number))
    response = Client().post(
        reverse("account_signup"),
        {"email": "new@example.com", "password1": "correct horse battery staple"},
        **forged(1),
    )
    assert response.status_code == 429
    assert "Too many" in response.content.decode()
    assert not User.objects.exists()


def test_one_address_is_not_flooded_with_reset_mails(owner: User) -> None:
    for number in range(12):
        Client().post(
            reverse("account_reset_password"), {"email": "owner@example.com"}, **forged(number)
        )
    assert len(mail.outbox) == 5
