"""The first administrator can always get in, also when a start ended before it said how."""

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.first_admin import FIRST_ADMIN_EMAIL, first_admin
from accounts.models import User
from tests.accounts.acts import is_signed_in, sign_in
from tests.conftest import PASSWORD

pytestmark = pytest.mark.usefixtures("plans")


def gets_in(password: str | None) -> bool:
    browser = Client()
    sign_in(browser, FIRST_ADMIN_EMAIL, password or "")
    return is_signed_in(browser)


def test_the_first_start_makes_an_admin_with_a_password() -> None:
    email, password = first_admin()
    assert email == FIRST_ADMIN_EMAIL
    assert gets_in(password)
    assert User.objects.get().is_superuser


def test_a_start_that_ended_before_it_showed_the_password_is_made_good_by_the_next() -> None:
    _, never_shown = first_admin()
    _, shown = first_admin()
    assert shown is not None
    assert shown != never_shown
    assert User.objects.count() == 1
    assert not gets_in(never_shown)
    assert gets_in(shown)


def test_once_somebody_has_signed_in_the_password_stays() -> None:
    _, password = first_admin()
    assert gets_in(password)
    assert first_admin() == (FIRST_ADMIN_EMAIL, None)
    assert gets_in(password)


def test_a_password_that_somebody_chose_stays_also_before_the_first_sign_in() -> None:
    first_admin()
    admin = User.objects.get()
    admin.set_password(PASSWORD)
    admin.save()
    assert first_admin() == (FIRST_ADMIN_EMAIL, None)
    assert gets_in(PASSWORD)


def test_an_admin_made_by_hand_keeps_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", "--no-input", "--email", "root@example.com", verbosity=0)
    assert first_admin() == ("root@example.com", None)
    assert User.objects.get().check_password(PASSWORD)
