"""Every text is translated, and no text of a page escapes translation."""

import re
from pathlib import Path
from typing import Any

import pytest
from babel.messages.pofile import read_po
from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.html import escape

from accounts.models import Account, User
from alerts import mails
from alerts.models import Alert, Delivery, Kind
from keys.models import ApiKey
from tests.site.every_page import Pages
from tests.site.words_of_others import (
    OF,
    Message,
    Unmarked,
    everything_marked,
    messages_of_code,
    messages_of_templates,
)

OTHERS = [code for code, _name in settings.LANGUAGES if code != settings.LANGUAGE_CODE]
GAP = re.compile(r"%\(\w+\)[sd]|%%")


def words(language: str) -> dict[Message, tuple[str, ...]]:
    """What each text is in a language; fuzzy ones, which are nobody's, are ""."""
    path = settings.BASE_DIR / "locale" / language / "LC_MESSAGES" / "django.po"
    with path.open("rb") as file:
        known = read_po(file, locale=language, abort_invalid=True)
    return {
        _text(message): ("",) if message.fuzzy else _texts(message.string)
        for message in known
        if message.id
    }


def _text(message: Any) -> Message:
    if not isinstance(message.id, str):
        return tuple(message.id)
    return f"{message.context}{OF}{message.id}" if message.context else message.id


def _texts(found: Any) -> tuple[str, ...]:
    return (found,) if isinstance(found, str) else tuple(found)


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_there_in_every_language(language: str) -> None:
    known = words(language)
    wanted = messages_of_code() | messages_of_templates()
    missing = sorted(str(text) for text in wanted if not all(known.get(text, ("",))))
    assert not missing, f"add them to locale/{language}: {missing}"


@pytest.mark.parametrize("language", OTHERS)
def test_no_language_has_texts_that_are_nowhere(language: str) -> None:
    wanted = messages_of_code() | messages_of_templates()
    left = sorted(str(text) for text in words(language) if text not in wanted)
    assert not left, f"take them out of locale/{language}: {left}"


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_the_gaps_of_its_text(language: str) -> None:
    for text, strings in words(language).items():
        originals = text if isinstance(text, tuple) else (text,)
        gaps = set().union(*(GAP.findall(one) for one in originals))
        for string in strings:
            assert set(GAP.findall(string)) <= gaps, text
            if not isinstance(text, tuple):
                assert set(GAP.findall(string)) == gaps, text


@pytest.mark.parametrize("language", OTHERS)
def test_no_translation_ends_an_attribute_that_it_stands_in(language: str) -> None:
    for text, strings in words(language).items():
        one = text[0] if isinstance(text, tuple) else text
        assert ("<" in one and '"' in one) or not any('"' in string for string in strings), text


@pytest.fixture
def _marked(tmp_path: Path) -> object:
    with everything_marked(tmp_path / "locale"):
        yield


# What has no language: names of ours, of things that people made, of standards.
NAMES = re.compile(
    r"sansxel(-chat|-image|-voice)?|Free|Core|Plus|Pro|Teams|Enterprise|Copilot Pro Pack|House|"
    r"English|Deutsch|UTC|Olga Owner|Tim Mate|production|laptop|Weekly Boost|"
    r"Chat|curl|bot/1|Python|JavaScript|\.env|"
    r"[\w.+-]+@[\w.-]+|sk_\S+|https?://\S+|/[\w/.-]+|[0-9a-f-]{36}|[A-Z]\w*/[\w/+-]+"
)


def unmarked(html: str) -> list[str]:
    """Texts of a page with words that are no names."""
    return [text for text in Unmarked(html).found if re.search(r"[A-Za-z]{2}", NAMES.sub("", text))]


@pytest.mark.usefixtures("_marked")
def test_no_text_of_a_page_escapes_translation(
    pages: Pages, owner: User, issued: tuple[ApiKey, str]
) -> None:
    escaped, in_english = {}, set()
    for name, visit in pages.items():
        answer = visit(headers={"Accept-Language": "de"})
        if answer.get("Content-Language") != "de":
            in_english.add(name)
        elif found := unmarked(answer.content.decode()):
            escaped[name] = found
    assert in_english == {name for name in pages if name.startswith(("dev_inbox", "styleguide"))}
    assert not escaped, "\n".join(f"{k}: {v}" for k, v in escaped.items())


@pytest.mark.usefixtures("_marked")
@pytest.mark.parametrize(
    "name", ["404.html", "403.html", "403_csrf.html", "429.html", "500.html", "503.html"]
)
def test_no_text_of_a_refusal_escapes_translation(name: str) -> None:
    with translation.override("de"):
        assert not unmarked(render_to_string(name))


@pytest.mark.parametrize("name", ["front/away.html", "front/refused.html"])
def test_what_the_front_says_is_in_every_language(name: str) -> None:
    text = render_to_string(name)
    for code in OTHERS:
        assert text.count(f'lang="{code}"') == 2
    assert len(re.findall(r"<p lang=.*?>\s*\w.*?</p>", text, re.DOTALL)) == len(OTHERS)


TEMPLATES = settings.BASE_DIR / "templates"
OF_SIGNING_IN = sorted(
    path.relative_to(TEMPLATES).as_posix()
    for path in (TEMPLATES / "account" / "email").glob("*_*.*")
    if not path.name.startswith("_")
)


@pytest.mark.usefixtures("_marked")
@pytest.mark.parametrize("name", OF_SIGNING_IN)
def test_no_text_of_a_mail_escapes_translation(name: str) -> None:
    address = "https://testserver/x"
    context = {
        "user": "owner@example.com",
        "email": "owner@example.com",
        "from_email": "owner@example.com",
        "to_email": "laptop@example.com",
        "deleted_email": "laptop@example.com",
        "code": "123456",
        "ip": "203.0.113.7",
        "user_agent": "",
        "timestamp": timezone.now(),
        **dict.fromkeys(("activate_url", "password_reset_url", "signup_url", "login_url"), address),
    }
    with translation.override("de"):
        text = render_to_string(name, context)
    assert not unmarked(text if name.endswith(".html") else escape(text))


NOW = "2026-11-29T12:00:00+00:00"
TOLD = {
    "percent": 50,
    "used": 5,
    "cap": 10,
    "boost_left": 7,
    "credits_left": 9,
    "resets_at": NOW,
    "boost_chats": 3,
    "credit_chats": 4,
    "below": 100,
    "message": "⟦⟧",
    "key": "laptop",
    "masked": "sk_x",
    "chats": 900,
    "usual": 3,
    "day": "2026-11-29",
    "url": "https://example.com/hook",
    "since": NOW,
    "week_starts_at": NOW,
    "week_ends_at": NOW,
    "total": 12,
    "allowance": 5,
    "boost": 3,
    "credits": 4,
    "keys": [{"name": "laptop", "chats": 5}],
    "expires": [{"chats_left": 7, "at": NOW}],
    "chats_left": 7,
    "ends_at": NOW,
    "allowance_left": 3,
    "purchase": "0b0b0b0b-0b0b-4b0b-8b0b-0b0b0b0b0b0b",
    "product": "Weekly Boost",
    "kind": "boost",
    "currency": "usd",
    "paid_at": NOW,
    "paid_cents": 500,
    "paid_owed": 2,
    "before_cents": 100,
    "returned_cents": 200,
    "by_bank_cents": 100,
    "taken_chats": 3,
    "taken_credits": 2,
    "owed_credits": 4,
    "receipt_url": "https://pay.stripe.com/receipts/1",
    "what": "unpaid",
    "plan": "Plus",
    "paid_plan": "Pro",
    "amount_cents": 1900,
    "interval": "month",
    "renews_at": NOW,
    "plan_ends_at": NOW,
    "pay_url": "https://invoice.stripe.com/i/1",
    "subscription": "sub_1",
    "why": "bank_asks",
    "card": "Visa",
}
# What else there is to say, by the kind of an alert.
VARIANTS: dict[Kind, list[dict[str, str]]] = {
    Kind.PLAN: [
        {"what": what}
        for what in ("begun", "better", "lesser", "stays", "ending", "goes on", "paid", "over")
    ],
    Kind.TOP_UP_STOPPED: [
        {"why": why} for why in ("card_refused", "no_card", "changed", "not_on_sale", "unknown")
    ],
}


@pytest.mark.usefixtures("_marked")
@pytest.mark.parametrize("kind", Kind)
def test_no_text_of_an_alert_escapes_translation(kind: Kind, account: Account, owner: User) -> None:
    owner.language = "de"
    for variant in VARIANTS.get(kind, [{}]):
        data = {**TOLD, **variant}
        alert = Alert(account=account, kind=kind, data=data, occurred_at=timezone.now())
        mail = mails.write(Delivery(alert=alert, user=owner, next_try_at=timezone.now()))
        page = mail.alternatives[0][0]
        escaped = [
            unmarked(escape(str(mail.subject))),
            unmarked(escape(mail.body)),
            unmarked(str(page)),
        ]
        assert not any(escaped)


def test_what_looks_for_texts_finds_one() -> None:
    html = '<p>⟦one ⟦two⟧ <b>three⟧</b> <i title="four">⟦x⟧</i> five</p><code>six</code>'
    assert unmarked(html) == ["four", "five"]
