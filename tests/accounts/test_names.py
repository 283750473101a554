"""Names that people choose: clean wherever they come from, and as long as they look."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client

from accounts.models import Account, User
from accounts.names import NameField, NameFormField, mend_names
from billing.models import Product
from gate.terms.names import CannotName, clean_name, mend_name, visible_length
from keys.issue import issue_api_key, issue_service_token
from keys.models import ApiKey, ServiceToken
from quotas.models.offer import AIModel
from quotas.models.plans import Meter, Pack, Plan
from quotas.models.used import UsageTag
from tests.keys.acts import submit_key
from tests.quotas.forms_of_the_admin import filled_in, post

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"

BAD = {
    "a newline": "a\nb",
    "a tab": "a\tb",
    "NUL": "a\0b",
    "an escape": "a\x1b[31mb",
    "a C1 control": "a\x85b",
    "a line separator": "a\u2028b",
    "an override": "\u202egnp.exe",
    "an isolate": "a\u2066b\u2069",
    "a direction mark": "a\u200fb",
    "an Arabic letter mark": "a\u061cb",
    "a zero width space": "lap\u200btop",
    "a word joiner": "lap\u2060top",
    "a BOM": "lap\ufefftop",
    "a soft hyphen": "lap\u00adtop",
    "a grapheme joiner": "lap\u034ftop",
    "a joiner between Latin letters": "lap\u200dtop",
    "a joiner at the end": "laptop\u200d",
    "two joiners": "\u06a9\u200c\u200c\u06a9",
    "a selector alone": "\ufe0f",
    "a selector after a letter": "a\ufe0fb",
    "a tag character": "a\U000e0041b",
    "a Hangul filler": "\u3164",
    "a Hangul filler inside": "a\u115fb",
    "braille blank": "\u2800",
    "only blanks": " \u00a0\u3000 ",
    "a mark alone": "\u0301",
    "a mark after a blank": "a \u0301b",
    "a private character": "a\ue000b",
    "a noncharacter": "a\uffffb",
    "half a surrogate": "a\ud800b",
    "a tower of marks": "z" + "\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308\u0309",
    "ten thousand marks": "z" + "\u0489" * 10_000,
    "a megabyte": "x" * 1_000_000,
    "81 characters": "x" * 81,
    "81 families": FAMILY * 81,
}
GOOD = {
    "plain": ("laptop", "laptop", 6),
    "trimmed": ("  laptop\n", "laptop", 6),
    "single blanks": ("my \u00a0\u3000 laptop", "my laptop", 9),
    "composed": ("Cafe\u0301", "Caf\u00e9", 4),
    "punctuation": ("O\u2019Brien & S\u00f6hne <b>", "O\u2019Brien & S\u00f6hne <b>", 19),
    "Hebrew": ("\u05e9\u05dc\u05d5\u05dd", "\u05e9\u05dc\u05d5\u05dd", 4),
    "Persian": ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", None, 7),
    "Hindi": ("\u0915\u094d\u200d\u0937", None, 1),
    "Korean": ("\ud55c\uae00", None, 2),
    "a heart": ("\u2764\ufe0f", None, 1),
    "a keycap": ("1\ufe0f\u20e3", None, 1),
    "a family": (FAMILY, None, 1),
    "a thumb with a skin tone": ("\U0001f44d\U0001f3fd", None, 1),
    "two flags": ("\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", None, 2),
    "a rainbow flag": ("\U0001f3f3\ufe0f\u200d\U0001f308", None, 1),
    "a kanji variant": ("\u845b\U000e0100", None, 1),
    "80 characters": ("x" * 80, None, 80),
    "80 families": (FAMILY * 80, None, 80),
}

bad = pytest.mark.parametrize("text", BAD.values(), ids=BAD)


def clean(text: str) -> str:
    return clean_name(text, longest=80, parts=640)


# --- the rule ---------------------------------------------------------------------------------


@bad
def test_what_is_no_name_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(CannotName, match=r"^Name (must|may|has) "):
        clean(text)


@pytest.mark.parametrize(("text", "kept", "length"), GOOD.values(), ids=GOOD)
def test_what_is_a_name_is_kept(text: str, kept: str | None, length: int) -> None:
    assert clean(text) == (text if kept is None else kept)
    assert visible_length(clean(text)) == length
    assert clean(clean(text)) == clean(text)


def test_the_sentence_names_the_field_and_the_character() -> None:
    with pytest.raises(CannotName, match=r"Team name must not .* direction of text \(U\+202E\)\."):
        clean_name("\u202ex", longest=80, parts=640, label="Team name")


@bad
def test_what_nobody_chose_is_mended(text: str) -> None:
    mended = mend_name(text, longest=80, parts=640, instead="Account")
    assert clean(mended) == mended


# --- wherever a name comes from -----------------------------------------------------------------


def test_every_model_with_a_name_has_the_rule() -> None:
    """A new model of ours whose name is a plain field fails here."""
    ours = [
        model
        for label in ("accounts", "keys", "quotas", "billing")
        for model in apps.get_app_config(label).get_models()
    ]
    named = {
        model: model._meta.get_field("name")
        for model in ours
        if "name" in {field.name for field in model._meta.get_fields()}
        # What programs write is held to narrower rules (`quotas/models/offer.py`,
        # `gate/terms/tags.py`).
        and model not in {AIModel, UsageTag}
    }
    assert {Account, User, ApiKey, ServiceToken, Plan, Pack, Meter, Product} <= set(named)
    assert all(isinstance(field, NameField) for field in named.values()), named
    for model in named:
        checks = {constraint.name for constraint in model._meta.constraints}
        assert any(name.endswith("_name_clean") for name in checks), model


@pytest.mark.parametrize(
    "text",
    # No browser can send this one.
    [text for what, text in BAD.items() if what != "half a surrogate"],
)
@pytest.mark.django_db
def test_the_form_for_a_key_refuses_it_and_makes_none(owner_client: Client, text: str) -> None:
    response = submit_key(owner_client, text)
    assert response.status_code == 422
    assert not ApiKey.objects.exists()


def test_the_form_for_a_key_says_why(owner_client: Client) -> None:
    page = submit_key(owner_client, "lap\u200btop").content.decode()
    assert "Name must not have characters that cannot be seen (U+200B)." in page


def test_a_key_is_kept_under_its_clean_name(owner_client: Client) -> None:
    assert submit_key(owner_client, " my  Cafe\u0301 ").status_code == 201
    assert ApiKey.objects.get().name == "my Caf\u00e9"
    assert submit_key(owner_client, FAMILY * 80).status_code == 201


@bad
def test_the_command_for_a_token_refuses_it(db: None, text: str) -> None:
    with pytest.raises(CommandError, match=r"^Name (must|may|has) "):
        call_command("issue_service_token", text)
    assert not ServiceToken.objects.exists()


@pytest.mark.parametrize("model", ["plan", "pack", "meter"])
@pytest.mark.django_db
def test_the_admin_refuses_it_for_what_is_sold(admin_client: Client, model: str) -> None:
    url = f"/admin/quotas/{model}/add/"
    sent = {**filled_in(admin_client, url), "slug": "new", "name": "\u202eeerF"}
    page = post(admin_client, url, sent).content.decode()
    assert "Name must not have characters that change the direction of text" in page
    assert not apps.get_model("quotas", model)._default_manager.filter(slug="new")


def test_the_admin_refuses_it_for_people_and_accounts(
    admin_client: Client, owner: User, account: Account
) -> None:
    for url in (
        f"/admin/accounts/user/{owner.pk}/change/",
        f"/admin/accounts/account/{account.pk}/change/",
    ):
        sent = {**filled_in(admin_client, url), "name": "Olga\u2066"}
        page = post(admin_client, url, sent).content.decode()
        assert "Name must not have characters that change the direction of text" in page
    account.refresh_from_db()
    assert account.name == "Olga Owner"


def make_user(name: str, owner: User) -> object:
    return User.objects.create_user("new@example.com", name=name)


def make_account(name: str, owner: User) -> object:
    return Account.objects.open_for(owner, name=name)


def make_accounts(name: str, owner: User) -> object:
    return Account.objects.bulk_create([Account(name=name)])


def make_key(name: str, owner: User) -> object:
    account = owner.personal_account
    return issue_api_key(account=account, name=name, submission=uuid4(), by=owner)


def make_token(name: str, owner: User) -> object:
    return issue_service_token(name=name)


def rename(name: str, owner: User) -> object:
    owner.name = name
    owner.save()
    return owner


def rename_in_bulk(name: str, owner: User) -> object:
    return Account.objects.update(name=name)


@pytest.mark.parametrize(
    "make",
    [make_user, make_account, make_accounts, make_key, make_token, rename, rename_in_bulk],
)
def test_no_code_can_save_it(owner: User, make: Callable[[str, User], object]) -> None:
    with pytest.raises(ValidationError, match="cannot be seen"), transaction.atomic():
        make("lap\u200btop", owner)
    make(" Cafe\u0301 ", owner)
    named: list[Any] = [User, Account, ApiKey, ServiceToken]
    names = {name for model in named for name in model.objects.values_list("name", flat=True)}
    assert "Caf\u00e9" in names


@pytest.mark.parametrize(
    "table",
    [
        "accounts_user",
        "accounts_account",
        "keys_apikey",
        "keys_servicetoken",
        "quotas_plan",
        "quotas_pack",
        "quotas_meter",
    ],
)
@pytest.mark.parametrize("name", ["a\u200bb", "\u202ea", "a\nb", " a", "a\U000e0041", "\u3164"])
def test_nor_any_sql(owner: User, key: str, table: str, name: str) -> None:
    issue_service_token(name="gateway")
    with (
        pytest.raises(IntegrityError, match="name_clean"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"UPDATE {table} SET name = %s", [name])


def test_a_person_may_have_no_name(db: None) -> None:
    user = User.objects.create_user("new@example.com", name="   ")
    assert user.name == ""
    assert user.personal_account.name == "new"


@pytest.mark.parametrize(
    ("email", "name"),
    [('"\x01\x02"@example.com', '""'), ("a\u202eb@example.com", "ab"), ("\u3164@e.com", "Account")],
)
def test_the_name_that_an_address_lends_to_an_account_is_a_clean_one(
    db: None, email: str, name: str
) -> None:
    assert User.objects.create_user(email).personal_account.name == name


def test_a_form_field_of_its_own_has_the_rule() -> None:
    field = NameFormField(longest=3, label="team")
    assert field.clean(" \u00e9\u00e9\u00e9 ") == "\u00e9\u00e9\u00e9"
    with pytest.raises(ValidationError, match="Team may have at most 3 characters"):
        field.clean("four")


# --- names of before the rule -------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_names_of_before_the_rule_are_mended_by_the_migration(owner: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_account DROP CONSTRAINT account_name_clean")
        cursor.execute("ALTER TABLE keys_servicetoken DROP CONSTRAINT service_token_name_clean")
        for name in ("gateway", "gate\u200bway"):
            token = ServiceToken(name="x", digest=str(uuid4()), last_four="0000")
            token.name = f"t{uuid4().hex}"
            token.save()
            cursor.execute("UPDATE keys_servicetoken SET name=%s WHERE id=%s", [name, token.pk])
        for name in ("\u202eevil", "Cafe\u0301", "\u3164", "plain"):
            cursor.execute(
                "INSERT INTO accounts_account (handle, name, is_personal, created_at) "
                "VALUES (%s, %s, false, now())",
                [uuid4().hex[:8], name],
            )
    mend_names("accounts", "account", instead="Account")(apps, None)
    mend_names("keys", "servicetoken", instead="Server")(apps, None)
    names = set(Account.objects.values_list("name", flat=True))
    assert names == {"Olga Owner", "evil", "Caf\u00e9", "Account", "plain"}
    tokens = sorted(ServiceToken.objects.values_list("name", flat=True))
    assert tokens[0] == "gateway"
    assert tokens[1].startswith("gateway (")
    with connection.cursor() as cursor:
        for model, check in (
            (Account, "account_name_clean"),
            (ServiceToken, "service_token_name_clean"),
        ):
            found = next(c for c in model._meta.constraints if c.name == check)
            with connection.schema_editor() as editor:
                editor.add_constraint(model, found)
