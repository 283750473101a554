"""Pages and mails in the language that a person reads."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from accounts.language import spoken_to
from accounts.models import Account, User
from accounts.money import amount
from accounts.numbers import thousands
from alerts import mails
from alerts.models import Alert, Delivery, Kind
from billing.seed import seed_products
from config import compiling, public_pages, words
from quotas.models.plans import Plan
from tests.conftest import PASSWORD
from tests.site.answer import Answer
from tests.site.every_page import Pages

_NBSP = "\N{NO-BREAK SPACE}"
GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}


def language_of(answer: Answer) -> str:
    """What a page says that it is in, in its head and in its text."""
    html = answer.content.decode()
    said = re.search(r'<html lang="(\w+)">', html)
    assert said is not None
    assert said[1] == answer["Content-Language"]
    assert ('aria-label="Sprache"' in html) == (said[1] == "de")
    return said[1]


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,en;q=0.5", "de"),
        ("en-GB,de;q=0.9", "en"),
        ("fr,de;q=0.3,en;q=0.2", "de"),
        ("fr", "en"),
        ("*", "en"),
        ("../../etc/passwd", "en"),
        ("d" * 5_000, "en"),
    ],
)
def test_a_page_is_in_the_first_language_of_the_browser_that_there_is(
    asked: str, answered: str, plans: None
) -> None:
    assert language_of(Client().get("/", headers={"Accept-Language": asked})) == answered


def test_what_was_chosen_goes_before_the_browser(plans: None) -> None:
    visitor = Client(headers=GERMAN)
    assert language_of(visitor.get("/")) == "de"
    chosen = visitor.post(reverse("language"), {"language": "en"}, headers={"Referer": "/pricing"})
    assert chosen.status_code == 302
    assert language_of(visitor.get("/")) == "en"
    assert language_of(visitor.get("/auth/login/")) == "en"


def test_every_page_that_was_asked_for_offers_each_language(pages: Pages) -> None:
    for name, visit in pages.items():
        answer = visit()
        if answer.wsgi_request.method != "GET":
            continue
        html = answer.content.decode()
        for code, own_name in settings.LANGUAGES:
            assert re.search(rf'value="{code}"[^>]*>{own_name}</button>', html), name


def test_who_chooses_goes_on_where_they_were(client: Client) -> None:
    here = "http://testserver/pricing?chats=5"
    answer = client.post(reverse("language"), {"language": "de"}, headers={"Referer": here})
    assert answer["Location"] == here


def test_a_visitor_needs_no_token_and_who_is_signed_in_has_one_on_every_page(owner: User) -> None:
    visitor, at_home = Client(enforce_csrf_checks=True), Client(enforce_csrf_checks=True)
    at_home.force_login(owner)
    assert visitor.post(reverse("language"), {"language": "de"}).status_code == 302
    assert not visitor.get("/").cookies
    for path in ("/", "/pricing", "/account/keys"):
        form = re.search(
            r'<form class="languages".*?</form>', at_home.get(path).content.decode(), re.DOTALL
        )
        assert form is not None
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form[0])
        assert token is not None
        sent = {"language": "de", "csrfmiddlewaretoken": token[1]}
        assert at_home.post(reverse("language"), sent).status_code == 302
        assert at_home.post(reverse("language"), {"language": "de"}).status_code == 403


@pytest.mark.parametrize("there", ["https://evil.example/", "//evil.example", "javascript:x", ""])
def test_nobody_is_led_to_another_site(there: str, client: Client) -> None:
    for sent in ({"headers": {"Referer": there}}, {"query_params": {"next": there}}):
        answer = client.post(reverse("language"), {"language": "de"}, **sent)  # type: ignore[arg-type]
        assert answer["Location"] == "/"
    answer = client.post(reverse("language"), {"language": "de", "next": there})
    assert answer["Location"] == "/"


@pytest.mark.parametrize("chosen", ["", "fr", "de-AT", "x" * 10_000, "\0", "../de", "en\r\nX: y"])
def test_a_language_that_is_not_here_is_refused_by_name(
    chosen: str, owner_client: Client, owner: User
) -> None:
    answer = owner_client.post(reverse("language"), {"language": chosen})
    assert answer.status_code == 400
    assert "field “language”" in answer.content.decode()
    assert settings.LANGUAGE_COOKIE_NAME not in answer.cookies
    owner.refresh_from_db()
    assert owner.language == ""
    assert owner_client.get(reverse("language")).status_code == 405


def test_the_choice_of_who_is_signed_in_is_theirs_at_the_next_browser(
    owner_client: Client, owner: User
) -> None:
    owner_client.post(reverse("language"), {"language": "de"})
    owner.refresh_from_db()
    assert owner.language == "de"
    elsewhere = Client(headers={"Accept-Language": "en"})
    elsewhere.post("/auth/login/", {"login": owner.email, "password": PASSWORD})
    assert language_of(elsewhere.get(reverse("keys"))) == "de"


def test_who_never_chose_reads_as_each_browser_does_and_gets_mails_as_the_last_one(
    owner: User,
) -> None:
    for headers, language in ((GERMAN, "de"), ({}, "en")):
        browser = Client(headers=headers)
        browser.post("/auth/login/", {"login": owner.email, "password": PASSWORD})
        assert language_of(browser.get(reverse("keys"))) == language
        owner.refresh_from_db()
        assert (owner.language, owner.browser_language) == ("", language)
        with spoken_to(owner):
            assert translation.get_language() == language


def test_the_choice_of_a_visitor_is_nobody_elses(client: Client, owner: User) -> None:
    client.post(reverse("language"), {"language": "de"})
    owner.refresh_from_db()
    assert owner.language == ""


def test_a_mail_is_in_the_language_of_whose_address_it_is(owner: User) -> None:
    owner.choose_language("de")
    Client().post("/auth/password/reset/", {"email": owner.email})
    assert "Passwort" in mail.outbox[-1].subject
    assert 'lang="de"' in str(mail.outbox[-1].alternatives[0][0])  # type: ignore[attr-defined]
    assert translation.get_language() == "en"


def test_an_alert_is_in_the_language_of_who_reads_it(
    account: Account, owner: User, team_mate: User
) -> None:
    owner.choose_language("de")
    alert = Alert(account=account, kind=Kind.WEEK_100, data=USED_UP, occurred_at=timezone.now())
    for user, says in ((owner, "aufgebraucht"), (team_mate, "used up")):
        written = mails.write(Delivery(alert=alert, user=user, next_try_at=timezone.now()))
        assert says in str(written.subject)
        assert says in str(written.alternatives[0][0])
    assert translation.get_language() == "en"


USED_UP = {
    "percent": 100,
    "used": 1_000,
    "cap": 1_000,
    "boost_left": 0,
    "credits_left": 0,
    "resets_at": "2026-11-30T00:00:00+00:00",
}


@pytest.mark.parametrize("path", ["/", "/pricing", "/docs/quickstart", "/docs/reference"])
def test_a_page_that_is_kept_is_kept_for_each_language(path: str, plans: None) -> None:
    seed_products()
    public_pages._made.clear()
    for _time in range(2):
        assert language_of(Client().get(path)) == "en"
        german = Client().get(path, headers=GERMAN)
        assert language_of(german) == "de"
        assert {"Cookie", "Accept-Language"} <= set(german["Vary"].split(", "))
    english = Client().get(path)
    assert english["ETag"] != german["ETag"]


def test_programs_are_answered_in_english(owner_client: Client) -> None:
    for path in ("/api/v1/usage", "/healthz", "/readyz"):
        english, german = (owner_client.get(path, headers=h) for h in ({}, GERMAN))
        assert english.content == german.content
        assert "Content-Language" not in german


def test_pictures_are_the_same_in_every_language(pages: Pages) -> None:
    """A decimal comma draws nothing."""
    numbers = re.compile(r'\b(?:x|y|x1|x2|y1|y2|width|height|points|viewBox|d)="([^"]*)"')
    for name, visit in pages.items():
        drawn = [numbers.findall(visit(headers=h).content.decode()) for h in ({}, GERMAN)]
        if "new key" not in name:
            assert drawn[0] == drawn[1], name


def test_amounts_are_written_as_each_language_does() -> None:
    shown = [(1234_56, "usd"), (-5_00, "usd"), (5_00, "eur"), (5_50, "chf")]
    assert thousands(1_234_567) == "1,234,567"
    assert [amount(minor, currency) for minor, currency in shown] == [
        "$1,234.56",
        "-$5",
        "€5",
        f"CHF{_NBSP}5.50",
    ]
    with translation.override("de"):
        assert thousands(1_234_567) == "1.234.567"
        assert [amount(minor, currency) for minor, currency in shown] == [
            *(f"1.234,56{_NBSP}$", f"-5{_NBSP}$", f"5{_NBSP}€", f"5,50{_NBSP}CHF")
        ]


def test_texts_of_a_first_start_are_translated_until_an_admin_writes_others(plans: None) -> None:
    summary = Plan.objects.get(slug="core").summary
    german = Client().get("/pricing", headers=GERMAN).content.decode()
    assert summary not in german
    assert "Für ein Werkzeug" in german
    Plan.objects.filter(slug="core").update(summary="Ours & yours.")
    assert "Ours &amp; yours." in Client().get("/pricing", headers=GERMAN).content.decode()


def test_a_name_that_is_refused_is_refused_in_the_language_of_the_page(
    owner_client: Client,
) -> None:
    sent = {"name": "a\u202eb", "submission": "6d4a8f9c-6f0c-4b1b-9b6e-0d7d5a3c2b1a"}
    answer = owner_client.post(reverse("key_create"), sent, headers=GERMAN)
    assert "Schreibrichtung ändern (U+202E)" in answer.content.decode()
    sent |= {"name": "ab", "addresses": "10.0.0.1/8"}
    answer = owner_client.post(reverse("key_create"), sent, headers=GERMAN)
    assert "eine Adresse in einem Netz" in answer.content.decode()


def test_words_are_compiled_once_for_what_they_are(tmp_path: Path) -> None:
    source, kept = tmp_path / "locale", tmp_path / "kept"
    catalogue = source / "de" / "LC_MESSAGES" / "django.po"
    catalogue.parent.mkdir(parents=True)
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
    catalogue.write_text(head + 'msgid "key"\nmsgstr "Schlüssel"\n')
    folder = words.folder_of_compiled(source, within=kept)
    compiling.compile_words(source, to=folder)
    made = folder / "de" / "LC_MESSAGES" / "django.mo"
    before = made.stat().st_mtime_ns
    compiling.compile_words(source, to=folder)
    assert made.stat().st_mtime_ns == before
    assert [path.name for path in kept.iterdir()] == [folder.name]
    catalogue.write_text(head + 'msgid "key"\nmsgstr "Key"\n')
    assert words.folder_of_compiled(source, within=kept) != folder
