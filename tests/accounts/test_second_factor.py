"""More than a password: codes of an app and recovery codes. (Passkeys need a browser: journeys.)"""

import re
import time

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import AuditEvent, User
from gate.terms.key_text import Pepper
from tests.accounts.acts import is_signed_in, sign_in
from tests.site.answer import Answer

pytestmark = pytest.mark.django_db(transaction=True)


def code_of(secret: str, *, steps_later: int = 0) -> str:
    """What the app shows."""
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps_later)))


def add_app(client: Client) -> str:
    """Add an authenticator app; answers its secret."""
    page = client.get(reverse("mfa_activate_totp")).content.decode()
    found = re.search(r'id="totp-secret">([A-Z2-7]+)<', page)
    assert found
    answer = client.post(reverse("mfa_activate_totp"), {"code": code_of(found[1])})
    assert answer["Location"] == reverse("mfa_view_recovery_codes")
    return found[1]


def recovery_codes(client: Client) -> list[str]:
    page = client.get(reverse("mfa_view_recovery_codes")).content.decode()
    return re.findall(r"\b\d{8}\b", page.partition('id="recovery-codes"')[2])


def give(client: Client, code: str) -> Answer:
    return client.post(reverse("mfa_authenticate"), {"code": code})


def acts(owner: User) -> list[str]:
    rows = AuditEvent.objects.filter(account=owner.personal_account, kind="sign_in")
    return list(rows.order_by("pk").values_list("act", flat=True))


def test_with_an_app_the_password_alone_no_longer_signs_in(
    owner_client: Client, owner: User
) -> None:
    secret = add_app(owner_client)
    browser = Client()
    asked = sign_in(browser, owner.email)
    assert asked["Location"] == reverse("mfa_authenticate")
    assert not is_signed_in(browser)
    assert "Incorrect code" in give(browser, "000000").content.decode()
    assert not is_signed_in(browser)
    give(browser, code_of(secret, steps_later=1))
    assert is_signed_in(browser)
    assert acts(owner) == ["codes made", "app added", "app used"] or acts(owner) == [
        *("app added", "codes made", "app used")
    ]


def test_a_code_is_good_once(owner_client: Client, owner: User) -> None:
    secret = add_app(owner_client)
    code = code_of(secret, steps_later=1)
    for works in (True, False):
        browser = Client()
        sign_in(browser, owner.email)
        give(browser, code)
        assert is_signed_in(browser) is works


def test_a_recovery_code_signs_in_once_and_its_owner_hears_of_it(
    owner_client: Client, owner: User
) -> None:
    add_app(owner_client)
    codes = recovery_codes(owner_client)
    assert len(codes) == 10
    mail.outbox.clear()
    for works in (True, False):
        browser = Client()
        sign_in(browser, owner.email)
        give(browser, codes[0])
        assert is_signed_in(browser) is works
    assert [m.subject for m in mail.outbox] == ["A recovery code was used"]
    assert "9 are left" in mail.outbox[0].body
    assert acts(owner)[-1] == "code used"
    assert len(recovery_codes(owner_client)) == 9


def test_every_change_is_told_by_mail_and_written_down(owner_client: Client, owner: User) -> None:
    add_app(owner_client)
    before = recovery_codes(owner_client)
    owner_client.post(reverse("mfa_generate_recovery_codes"))
    assert not set(before) & set(recovery_codes(owner_client))
    owner_client.post(reverse("mfa_deactivate_totp"))
    assert not Authenticator.objects.exists()
    assert [m.subject for m in mail.outbox] == [
        "An authenticator app was added",
        "You have new recovery codes",
        "The authenticator app was removed",
    ]
    for message in mail.outbox:
        assert isinstance(message, EmailMultiAlternatives)
        html = str(message.alternatives[0][0])
        assert str(message.subject) in html
        assert "From: 127.0.0.1" in html
    assert acts(owner)[2:] == ["codes made", "app removed", "codes removed"]


def test_what_the_database_holds_makes_no_code(owner_client: Client) -> None:
    secret = add_app(owner_client)
    kept = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in kept
    assert all(code not in kept for code in recovery_codes(owner_client))


def test_secrets_move_to_a_new_pepper_when_they_are_used(
    owner_client: Client, owner: User, settings: Settings
) -> None:
    secret = add_app(owner_client)
    new = Pepper(pepper_id="new", secret=b"n" * 48)
    old = settings.KEY_PEPPERS
    settings.KEY_PEPPERS = [new, *old]
    unmoved = Authenticator.objects.get(type="recovery_codes").data
    browser = Client()
    sign_in(browser, owner.email)
    give(browser, code_of(secret, steps_later=1))
    assert is_signed_in(browser)
    assert Authenticator.objects.get(type="totp").data["secret"].startswith("new:")
    codes = recovery_codes(owner_client)
    for works in (True, False):
        # Moving keeps which codes were used.
        browser = Client()
        sign_in(browser, owner.email)
        give(browser, codes[0])
        assert is_signed_in(browser) is works
    Authenticator.objects.filter(type="recovery_codes").update(data=unmoved)
    # The recovery codes were not used: without the old pepper none of theirs is right any more.
    codes = recovery_codes(owner_client)
    settings.KEY_PEPPERS = [new]
    browser = Client()
    sign_in(browser, owner.email)
    assert give(browser, codes[0]).status_code == 200
    assert not is_signed_in(browser)


def test_wrong_codes_are_counted_also_in_another_browser(owner_client: Client, owner: User) -> None:
    secret = add_app(owner_client)
    for number in range(5):
        browser = Client()
        sign_in(browser, owner.email)
        give(browser, f"00000{number}")
    browser = Client()
    sign_in(browser, owner.email)
    give(browser, code_of(secret, steps_later=1))
    assert not is_signed_in(browser)


def test_a_second_step_begun_is_no_sign_in(owner_client: Client, owner: User) -> None:
    add_app(owner_client)
    browser = Client()
    sign_in(browser, owner.email)
    for page in ("security", "keys", "mfa_view_recovery_codes", "mfa_deactivate_totp"):
        assert browser.get(reverse(page))["Location"].startswith(reverse("account_login")), page


def test_the_page_says_what_there_is(owner_client: Client, owner: User) -> None:
    page = owner_client.get(reverse("security")).content.decode()
    assert "Your password alone signs you in" in page
    assert "Recovery codes" not in page
    add_app(owner_client)
    page = owner_client.get(reverse("security")).content.decode()
    assert "Your password alone signs you in" not in page
    assert "10 codes left" in page
    assert owner.email in page


def test_who_is_in_no_account_looks_after_their_sign_in_all_the_same(
    owner_client: Client, owner: User
) -> None:
    owner.memberships.all().delete()
    assert owner_client.get(reverse("security")).status_code == 200


def test_somebody_elses_passkey_is_not_there(outsider_client: Client, owner: User) -> None:
    passkey = Authenticator.objects.create(user=owner, type="webauthn", data={"name": "phone"})
    for page in ("mfa_edit_webauthn", "mfa_remove_webauthn"):
        url = reverse(page, args=[passkey.pk])
        assert outsider_client.get(url).status_code == 404
        assert outsider_client.post(url, {"name": "mine"}).status_code == 404
    passkey.refresh_from_db()
    assert passkey.data == {"name": "phone"}
