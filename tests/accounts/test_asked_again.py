"""A session that was left open changes nothing that decides who has access."""

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from django.urls import reverse

from accounts.models import Account, User
from tests.accounts.acts import sign_in, sign_up
from tests.conftest import PASSWORD
from tests.keys.acts import KEY, submit_key
from tests.signed_in import sign_in_at_once
from tests.site.answer import Answer

LONG_AGO = 10 * 60


@pytest.fixture
def left_open(owner: User) -> Client:
    """A browser in which the owner signed in ten minutes ago."""
    client = Client()
    sign_in_at_once(client, owner, seconds_ago=LONG_AGO)
    return client


def confirm(client: Client, asked: Answer, password: str = PASSWORD) -> Answer:
    """Answer the page that one was led to."""
    where, _, query = asked["Location"].partition("?next=")
    assert where == reverse("account_reauthenticate")
    return client.post(where, {"password": password, "next": query.replace("%2F", "/")})


def test_no_key_is_made_until_it_is_shown_who_asks_and_what_was_typed_is_kept(
    left_open: Client, account: Account
) -> None:
    asked = submit_key(left_open, "laptop", weekly_cap="100")
    assert not account.api_keys.exists()
    page = left_open.get(asked["Location"]).content.decode()
    assert "Nothing has happened yet. What you sent is kept" in page
    shown = confirm(left_open, asked)
    key = account.api_keys.get()
    assert (key.name, key.weekly_cap) == ("laptop", 100)
    assert len(set(KEY.findall(shown.content.decode()))) == 1
    assert "no-store" in shown["Cache-Control"]
    # Whoever loads that page again finds the list, and makes no second key.
    again = confirm(left_open, asked)
    assert left_open.get(again["Location"])["Location"] == reverse("keys")
    assert account.api_keys.count() == 1


def test_a_wrong_password_makes_nothing_and_forgets_nothing(
    left_open: Client, account: Account
) -> None:
    asked = submit_key(left_open, "laptop")
    wrong = confirm(left_open, asked, "wrong")
    assert "What you sent is kept" in wrong.content.decode()
    assert not account.api_keys.exists()
    confirm(left_open, asked)
    assert account.api_keys.get().name == "laptop"


def test_what_was_sent_elsewhere_is_not_done_by_the_way(
    left_open: Client, account: Account
) -> None:
    submit_key(left_open, "laptop")
    page = reverse("account_reauthenticate", query={"next": reverse("usage")})
    assert "What you sent is kept" not in left_open.get(page).content.decode()
    answer = left_open.post(page, {"password": PASSWORD, "next": reverse("usage")})
    assert answer["Location"] == reverse("usage")
    assert not account.api_keys.exists()


def test_what_is_kept_meanwhile_is_no_secret(left_open: Client) -> None:
    left_open.defaults["HTTP_AUTHORIZATION"] = "Bearer something"
    submit_key(left_open, "laptop")
    kept = str(dict(left_open.session))
    assert "laptop" in kept
    assert "Bearer something" not in kept
    assert str(left_open.session.session_key) not in kept


def test_who_has_just_signed_in_or_up_is_not_asked(owner: User, account: Account) -> None:
    signed_in, signed_up = Client(), Client()
    sign_in(signed_in, owner.email)
    assert submit_key(signed_in).status_code == 201
    sign_up(signed_up, "new@example.com")
    assert submit_key(signed_up).status_code == 201


def test_a_sign_in_of_somebody_else_in_this_browser_does_not_count(
    owner: User, outsider: User
) -> None:
    client = Client()
    sign_in_at_once(client, outsider)
    records = {name: kept for name, kept in client.session.items() if "methods" in name}
    client.force_login(owner)
    session = client.session
    session.update(records)
    session.save()
    assert submit_key(client).status_code == 302


def test_no_address_is_added_or_removed_either(left_open: Client, owner: User) -> None:
    def addresses() -> set[str]:
        return set(EmailAddress.objects.filter(user=owner).values_list("email", flat=True))

    page = reverse("account_email")
    left_open.get(page)
    before = addresses()
    asked = left_open.post(page, {"email": "other@example.com", "action_add": ""})
    assert addresses() == before
    confirm(left_open, asked)
    assert addresses() == before | {"other@example.com"}
    sign_in_at_once(left_open, owner, seconds_ago=LONG_AGO)
    asked = left_open.post(page, {"email": "other@example.com", "action_remove": ""})
    assert addresses() == before | {"other@example.com"}
    confirm(left_open, asked)
    assert addresses() == before


def test_a_new_password_takes_the_old_one(left_open: Client, owner: User) -> None:
    new = "another-long-password-7"
    sent = {"oldpassword": "wrong", "password1": new, "password2": new}
    left_open.post(reverse("account_change_password"), sent)
    owner.refresh_from_db()
    assert owner.check_password(PASSWORD)


def test_strangers_who_guess_bar_nobody_who_is_signed_in(
    left_open: Client, owner: User, account: Account
) -> None:
    for _ in range(6):
        sign_in(Client(), owner.email, "wrong", REMOTE_ADDR="192.0.2.99")
    confirm(left_open, submit_key(left_open))
    assert account.api_keys.exists()


def test_guesses_of_who_has_the_session_are_counted(left_open: Client, account: Account) -> None:
    asked = submit_key(left_open)
    answers = [confirm(left_open, asked, f"wrong {number}") for number in range(6)]
    assert answers[-1].status_code == 429
    assert confirm(left_open, asked).status_code == 429
    assert not account.api_keys.exists()
