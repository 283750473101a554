"""What was done for an account is written down: who, when, from where, before and after."""

import csv
import io
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.acting import Acting, Via, acting
from accounts.models import Account, AuditEvent, User
from gate.terms import key_text
from quotas import grants
from tests.conftest import PASSWORD
from tests.keys.acts import submit_key
from tests.signed_in import sign_in_at_once

PHONE = "Telephone/1.0"


def events(account: Account) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(account=account).order_by("pk"))


def test_a_key_is_made_changed_and_revoked_by_somebody_somewhere(
    owner_client: Client, owner: User, account: Account
) -> None:
    owner_client.defaults["HTTP_USER_AGENT"] = PHONE
    owner_client.defaults["REMOTE_ADDR"] = "192.0.2.7"
    submit_key(owner_client, "laptop", weekly_cap="100")
    key = account.api_keys.get()
    edit = reverse("key_edit", args=[key.pk])
    owner_client.post(edit, {"name": "server", "weekly_cap": "50", "expires_in": ""})
    owner_client.post(reverse("key_switch", args=[key.pk]), {"on": "false"})
    owner_client.post(reverse("key_revoke", args=[key.pk]), {"note": "it was lost"})
    made, changed, off, revoked = events(account)
    assert (made.kind, made.act, made.via) == ("key", "created", "page")
    assert ["weekly_cap", "", "100"] in made.changes
    assert changed.changes == [["name", "laptop", "server"], ["weekly_cap", "100", "50"]]
    assert (off.act, revoked.act, revoked.note) == ("switched off", "revoked", "it was lost")
    for event in (made, changed, off, revoked):
        assert (event.user, event.user_name) == (owner, owner.email)
        assert event.client == PHONE


def test_what_failed_is_not_written_down(owner_client: Client, account: Account) -> None:
    submit_key(owner_client, "", weekly_cap="-1")
    assert not events(account)


def test_staff_and_commands_are_told_apart(
    admin_client: Client, admin_user: User, account: Account
) -> None:
    page = f"/admin/accounts/account/{account.pk}/suspend/"
    admin_client.post(page, {"reason": "unpaid", "submission": str(uuid4())})
    with acting(Acting(Via.COMMAND, name="manage.py reinstate")):
        grants.reinstate(account=account, at=timezone.now(), note="paid")
    suspended, lifted = [one for one in events(account) if one.kind == "people"]
    assert (suspended.via, suspended.user, suspended.note) == ("staff", admin_user, "unpaid")
    assert (lifted.via, lifted.user, lifted.user_name) == ("command", None, "manage.py reinstate")


def test_no_row_is_changed_or_deleted_by_anybody(account: Account, owner: User) -> None:
    event = audit.record(account, audit.Kind.KEY, "created", thing="laptop", by=owner)
    for statement in (
        lambda: AuditEvent.objects.filter(pk=event.pk).update(thing="another"),
        lambda: AuditEvent.objects.filter(pk=event.pk).update(user_name="x@example.com"),
        lambda: AuditEvent.objects.filter(pk=event.pk).delete(),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            statement()
    owner.memberships.all().delete()
    # Who is deleted is no longer pointed to; what they were called stays.
    AuditEvent.objects.filter(pk=event.pk).update(user=None)
    event.refresh_from_db()
    assert (event.user, event.user_name) == (None, "owner@example.com")


def test_never_a_secret_and_nothing_without_an_end(account: Account) -> None:
    text = "sk_" + "A" * 46
    event = audit.record(
        account,
        audit.Kind.KEY,
        "changed",
        thing=f"laptop {text}",
        changes={"name": (text, "x" * 5_000)},
        note=text,
    )
    assert text not in str([event.thing, event.changes, event.note])
    assert len(event.changes[0][2]) == 300


def test_the_page_says_it_and_finds_it_by_kind_and_day(
    owner_client: Client, account: Account, owner: User
) -> None:
    audit.record(account, audit.Kind.KEY, "created", thing="laptop", by=owner)
    long_ago = timezone.now() - timedelta(days=40)
    audit.record(
        account,
        audit.Kind.SPENDING,
        "chosen",
        changes={"credits_a_week": (None, 500)},
        by=owner,
        at=long_ago,
    )
    page = owner_client.get(reverse("audit")).content.decode()
    assert "Key created" in page
    assert "Spending past the allowance chosen" in page
    assert "credits a week: none → 500" in page
    assert owner.email in page
    found = owner_client.get(reverse("audit"), {"kind": "spending"}).content.decode()
    assert "Key created" not in found
    today = f"{timezone.now():%Y-%m-%d}"
    found = owner_client.get(reverse("audit"), {"from": today}).content.decode()
    assert "Spending past the allowance chosen" not in found
    wrong = owner_client.get(reverse("audit"), {"from": "someday"}).content.decode()
    assert "This search is not understood" in wrong


def test_a_line_is_found_by_who_did_it_and_by_what_it_is_about(
    owner_client: Client, account: Account, owner: User, team_mate: User
) -> None:
    audit.record(account, audit.Kind.KEY, "created", thing="laptop", by=owner)
    audit.record(account, audit.Kind.KEY, "created", thing="robot", by=team_mate)

    def find(words: str) -> str:
        return owner_client.get(reverse("audit"), {"q": words}).content.decode()

    assert "robot" in find("MATE@example")
    assert "laptop" not in find("MATE@example")
    assert team_mate.email not in find("lapt")
    assert "Nothing is like that" in find("nobody")
    file = owner_client.get(reverse("audit_export"), {"q": "robot"}).getvalue().decode()
    assert "robot" in file
    assert "laptop" not in file


def test_a_key_that_is_searched_for_in_the_log_is_not_shown_again(owner_client: Client) -> None:
    key = key_text.new_api_key("0" * 8)
    page = owner_client.get(reverse("audit"), {"q": key}).content.decode()
    assert "That is a key." in page
    assert key not in page


def test_roles_and_programs_read_as_people_call_them(
    admin_client: Client, account: Account, owner: User
) -> None:
    browser = "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0"
    who = Acting(Via.PAGE, user=lambda: owner, ip="192.0.2.7", client=browser)
    with acting(who):
        role = {"role": ("developer", "billing")}
        audit.record(account, audit.Kind.PEOPLE, "role changed", thing="a", changes=role)
    german = Client(headers={"Accept-Language": "de"})
    sign_in_at_once(german, owner)
    page = german.get(reverse("audit")).content.decode()
    assert "Rolle: Entwickler/in → Abrechnung" in page
    assert f'title="{browser}">Firefox auf Linux<' in page
    row = reverse("admin:accounts_auditevent_change", args=[AuditEvent.objects.get().pk])
    assert "role: Developer → Billing" in admin_client.get(row).content.decode()


def test_it_is_had_as_a_file(owner_client: Client, account: Account, owner: User) -> None:
    audit.record(account, audit.Kind.KEY, "created", thing="=laptop", by=owner)
    answer = owner_client.get(reverse("audit_export"))
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    head, row = csv.reader(io.StringIO(text))
    assert head[:6] == ["at", "who", "way", "kind", "act", "thing"]
    assert row[1:6] == [owner.email, "page", "key", "created", "'=laptop"]
    assert owner_client.get(reverse("audit_export"), {"from": "x"}).status_code == 400


def test_somebody_elses_log_is_not_there(
    outsider_client: Client, account: Account, owner: User
) -> None:
    audit.record(account, audit.Kind.KEY, "created", thing="laptop of the owner", by=owner)
    assert "laptop of the owner" not in outsider_client.get(reverse("audit")).content.decode()


def test_a_password_that_is_changed_is_written_down(
    owner_client: Client, owner: User, account: Account
) -> None:
    new = "another-long-password-7"
    sent = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    owner_client.post(reverse("account_change_password"), sent)
    assert [(one.kind, one.act) for one in events(account)] == [("sign_in", "password changed")]
