"""The page of recent requests: "why was I refused?" is answered in one look."""

from collections.abc import Callable
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Account
from gate.terms.reasons import MEANINGS, Reason
from quotas.usage.explained import REFUSALS, explained
from quotas.usage.recents import decisions_of
from tests.quotas.conftest import WEDNESDAY
from tests.quotas.live_gate import LiveGate
from tests.quotas.usage.test_recents import many

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/account/usage/requests"


@pytest.fixture
def shown(owner_client: Client) -> Callable[..., str]:
    """The page with what is asked for in its address, as text."""

    def get(**asked: str) -> str:
        response = owner_client.get(URL, asked)
        assert response.status_code == 200
        assert len(response.content) < 100_000
        return unescape(response.content.decode())

    return get


@pytest.fixture
def used_up(key: str, gate: LiveGate) -> str:
    """A key whose week is used up: the 50 passed, and one more was refused."""
    for number in range(50):
        gate.check(key, at=WEDNESDAY, shown_id=f"passed-{number}", tag="ann")
    assert not gate.check(key, at=WEDNESDAY, shown_id="the-one", tag="bob").allowed
    return key


def rows(page: str) -> int:
    return page.count("<tr>") - page.count("<thead>")


def test_a_refused_request_is_found_by_its_id_with_the_reason_and_what_to_do(
    used_up: str, shown: Callable[..., str]
) -> None:
    page = shown(request_id=" the-one ")
    assert rows(page) == 1
    assert "This week’s allowance, boosts and credits were used up." in page
    assert "Add a Weekly Boost or credits, or wait until Monday 00:00 UTC." in page
    assert reverse("billing") in page
    assert "quota_exhausted" in page
    assert "for bob" in page


def test_requests_are_found_by_outcome_reason_key_and_tag(
    used_up: str, account: Account, shown: Callable[..., str]
) -> None:
    key_id = str(decisions_of(account)[0].key_id)
    assert rows(shown()) == 50
    assert rows(shown(page="2")) == 1
    assert rows(shown(outcome="refused")) == 1
    assert rows(shown(outcome="accepted")) == 50
    assert rows(shown(reason="quota_exhausted")) == 1
    assert rows(shown(tag="ann", key=key_id)) == 50
    assert rows(shown(tag="ann", outcome="refused")) == 0
    assert rows(shown(request_id="the-on")) == 0


def test_pages_keep_what_was_asked_for_and_end_at_the_last(
    used_up: str, shown: Callable[..., str], gate: LiveGate, key: str
) -> None:
    many(key, 60)
    first = shown(outcome="refused")
    assert "?outcome=refused&page=2" in first
    last = shown(outcome="refused", page="99")
    assert "Page 2 of 2" in last
    assert rows(last) == 11
    assert "Page 1 of 2" in shown(outcome="refused", page="zero")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"outcome": "both"}, "Choose passed, refused or all."),
        ({"reason": "boredom"}, "No request here was refused for that."),
        ({"key": "999999999"}, "No request here was made with that key."),
        ({"key": "mine"}, "No request here was made with that key."),
        ({"request_id": "x" * 129}, "Write 128 characters at most"),
        ({"tag": "x" * 65}, "Write 64 characters at most"),
        ({"tag": "a\x00b"}, "Null characters are not allowed."),
    ],
)
def test_what_cannot_be_asked_is_said_beside_the_field(
    used_up: str, shown: Callable[..., str], asked: dict[str, str], sentence: str
) -> None:
    page = shown(**asked)
    assert sentence in page
    assert rows(page) == 0


def test_it_says_why_nothing_is_there(key: str, gate: LiveGate, shown: Callable[..., str]) -> None:
    assert "No requests yet" in shown()
    gate.check(key, at=WEDNESDAY, shown_id="one")
    page = shown(request_id="another")
    assert "Not among the recent requests" in page
    assert "older than the last 1,000" in page


def test_it_says_so_while_valkey_is_away(
    owner_client: Client, valkey_away: Callable[[bool], None]
) -> None:
    valkey_away(True)
    response = owner_client.get(URL)
    assert response.status_code == 200
    assert "Nobody can say now" in response.content.decode()


def test_nobody_sees_those_of_others(used_up: str, outsider_client: Client, client: Client) -> None:
    assert "the-one" not in outsider_client.get(URL).content.decode()
    assert client.get(URL).status_code == 302


def test_texts_of_callers_are_no_markup(key: str, gate: LiveGate, owner_client: Client) -> None:
    gate.check(key, at=WEDNESDAY, shown_id="<em>id</em>", tag="<em>tag</em>", model="<em>m</em>")
    page = owner_client.get(URL, {"request_id": "<em>id</em>"}).content.decode()
    assert "<em>" not in page
    assert page.count("&lt;em&gt;id") == 2


def test_it_asks_as_often_for_thousands_as_for_one(
    used_up: str, key: str, owner_client: Client, account: Account
) -> None:
    asked = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert owner_client.get(URL).status_code == 200
        asked.append(len(queries))
        many(key, 3_000)
    assert asked[0] == asked[1] <= 6


def test_every_reason_that_refuses_has_words_for_the_people_of_the_account() -> None:
    # A meter that is missing is the operator's fault, and nothing is recorded of it.
    refusing = set(Reason) - {Reason.OK, Reason.UNKNOWN_METER}
    assert {reason for reason in MEANINGS if reason in REFUSALS} == refusing
    assert explained("of_tomorrow").why == "The reason is of_tomorrow."
