"""Finding keys among many, on pages that stay small."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Account, Membership, User
from gate.terms import week
from keys import listing
from keys.models import ApiKey
from quotas.models.used import UsageRollup
from tests.keys.acts import submit_key
from tests.site.answer import Answer

PAGE = "/account/keys"
ROW = re.compile(r'<th scope="row">.*?<a[^>]*>(.*?)</a>', re.DOTALL)
WHOLE_KEY = "sk_AbCd1234" + "Zx9" * 12 + "Zx"


def make_key(account: Account, name: str, *, minutes: int = 0, **more: object) -> ApiKey:
    """A key as the database has it, made so many minutes from now."""
    fields = {"pepper_id": "1", "last_four": "0000", "created_at": timezone.now(), **more}
    key = ApiKey(account=account, name=name, digest=uuid4().hex, submission=uuid4(), **fields)
    key.created_at += timedelta(minutes=minutes)
    key.save()
    return key


def ask(client: Client, **asked: str | int) -> Answer:
    """The page that a search leads to."""
    response = client.get(PAGE, asked)
    assert response.status_code == 200
    return response


def listed(page: Answer) -> list[str]:
    """The names in the list, from above."""
    return ROW.findall(page.content.decode())


def error_of(page: Answer, field: str) -> str:
    """What the page says about a field."""
    (error,) = page.context["asked"].errors[field]
    assert str(error) in page.content.decode().replace("&#x27;", "'")
    return str(error)


def follow(client: Client, page: Answer, rel: str) -> Answer:
    """The page that a link of the list leads to."""
    found = re.search(rf'rel="{rel}"\s+href="([^"]+)"', page.content.decode())
    assert found, page.content.decode()
    return client.get(found[1].replace("&amp;", "&"))


def test_without_keys_there_is_nothing_to_search(owner_client: Client) -> None:
    page = ask(owner_client).content.decode()
    assert "No keys yet" in page
    assert "Search" not in page


def test_the_newest_come_first_and_pages_keep_their_rows_while_keys_are_made(
    account: Account, owner_client: Client
) -> None:
    for number in range(120):
        make_key(account, f"key {number}", minutes=number - 200)
    names = [f"key {number}" for number in reversed(range(120))]
    first = ask(owner_client)
    assert listed(first) == names[:50]
    make_key(account, "made meanwhile")
    second = follow(owner_client, first, "next")
    assert listed(second) == names[50:100]
    third = follow(owner_client, second, "next")
    assert listed(third) == names[100:]
    assert 'rel="next"' not in third.content.decode()
    assert listed(follow(owner_client, third, "prev")) == names[50:100]


def test_the_form_for_a_new_key_stays_on_top_of_every_page(
    account: Account, owner_client: Client
) -> None:
    for number in range(51):
        make_key(account, f"key {number}")
    for page in (ask(owner_client), follow(owner_client, ask(owner_client), "next")):
        html = page.content.decode()
        assert html.index("Create key") < html.index("Your keys")


@pytest.mark.parametrize("words", ["Laptop", "LAPT", "top of Olga", "ab%c", "1xY9"])
def test_a_key_is_found_by_a_part_of_its_name_or_its_last_four(
    account: Account, owner_client: Client, words: str
) -> None:
    make_key(account, "laptop of Olga ab%c", last_four="1xY9")
    make_key(account, "server abc", last_four="1xy9")
    assert listed(ask(owner_client, q=words)) == ["laptop of Olga ab%c"]


def test_a_key_is_found_by_what_pages_show_of_it(account: Account, owner_client: Client) -> None:
    shown = make_key(account, "laptop", last_four="1xY9").masked
    make_key(account, "server", last_four="1xy9")
    assert listed(ask(owner_client, q=shown)) == ["laptop"]


def test_keys_are_found_by_their_state(account: Account, owner_client: Client) -> None:
    now = timezone.now()
    make_key(account, "for good", minutes=-1)
    make_key(account, "for a year", minutes=-2, expires_at=now + timedelta(days=365))
    make_key(account, "over", minutes=-3, expires_at=now - timedelta(seconds=1))
    make_key(account, "revoked", minutes=-4, revoked_at=now)
    make_key(account, "revoked and over", minutes=-5, revoked_at=now, expires_at=now)
    names = {state: listed(ask(owner_client, state=state)) for state in ("active", "expired")}
    assert names == {"active": ["for good", "for a year"], "expired": ["over"]}
    assert listed(ask(owner_client, state="revoked")) == ["revoked", "revoked and over"]
    for asked in ({}, {"state": ""}):
        assert listed(ask(owner_client, **asked)) == ["for good", "for a year", "over"]


def test_revoked_keys_are_a_list_of_their_own_that_keeps_the_search(
    account: Account, owner_client: Client
) -> None:
    for number in range(3):
        make_key(account, f"gone {number}", minutes=-number, revoked_at=timezone.now())
    make_key(account, "gone to be", minutes=-9)
    make_key(account, "website", minutes=-10, revoked_at=timezone.now())
    page = ask(owner_client, q="gone")
    assert listed(page) == ["gone to be"]
    found = re.search(r'href="([^"]+)">\s*Revoked \(3\)', page.content.decode())
    assert found
    revoked = owner_client.get(found[1].replace("&amp;", "&"))
    assert listed(revoked) == ["gone 0", "gone 1", "gone 2"]
    assert 'href="/account/keys?q=gone">Live</a>' in revoked.content.decode()
    assert "Revoked (4)" in ask(owner_client).content.decode()


def test_who_has_only_revoked_keys_is_told_and_led_to_them(
    account: Account, owner_client: Client
) -> None:
    make_key(account, "laptop", revoked_at=timezone.now())
    page = ask(owner_client).content.decode()
    assert "No live keys" in page
    assert "No keys yet" not in page
    assert "Revoked (1)" in page


def test_revoked_keys_are_counted_no_further_than_anybody_reads(
    account: Account, owner_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "COUNTED_AT_MOST", 2)
    for number in range(3):
        make_key(account, f"gone {number}", revoked_at=timezone.now())
    with CaptureQueriesContext(connection) as asked:
        page = ask(owner_client)
    assert "Revoked (more than 2)" in page.content.decode()
    assert any("LIMIT 3" in query["sql"] and "COUNT" in query["sql"] for query in asked)


def test_a_team_finds_keys_by_who_made_them(
    account: Account, owner: User, team_mate: User, owner_client: Client
) -> None:
    make_key(account, "Olga’s", created_by=owner)
    make_key(account, "Tim’s", created_by=team_mate)
    page = ask(owner_client, by=team_mate.pk)
    assert listed(page) == ["Tim’s"]
    assert "by Tim Mate" in page.content.decode()


def test_who_is_alone_is_not_asked_who_made_a_key(account: Account, owner_client: Client) -> None:
    make_key(account, "laptop")
    assert "Made by" not in ask(owner_client).content.decode()


def test_people_of_other_accounts_are_no_choice(
    account: Account, outsider: User, team_mate: User, owner_client: Client
) -> None:
    make_key(outsider.personal_account, "theirs", created_by=outsider)
    page = ask(owner_client, by=outsider.pk)
    assert error_of(page, "by") == "Choose one of the people of this account."
    assert listed(page) == []
    assert outsider.name not in page.content.decode()


def test_keys_of_other_accounts_are_never_listed(
    account: Account, outsider: User, owner_client: Client
) -> None:
    theirs = make_key(outsider.personal_account, "theirs", last_four="abcd", minutes=-1)
    mine = make_key(account, "mine", minutes=1)
    place = f"{mine.created_at:%Y%m%dT%H%M%S.%f}Z-{mine.pk}"
    for asked in ({}, {"q": "theirs"}, {"q": "abcd"}, {"q": theirs.masked}, {"after": place}):
        page = ask(owner_client, **asked)
        assert "theirs" not in listed(page), asked


def test_what_matches_nothing_says_so_and_leads_to_all_keys(
    account: Account, owner_client: Client
) -> None:
    make_key(account, "laptop")
    page = ask(owner_client, q="no such key", state="active").content.decode()
    assert "No key is like that" in page
    assert '<a class="btn" href="/account/keys">Show all keys</a>' in page


def test_a_search_stays_on_the_pages_behind_it(account: Account, owner_client: Client) -> None:
    for number in range(60):
        make_key(account, f"a&b {number:02}", minutes=number - 100)
        make_key(account, f"other {number:02}", minutes=number - 100)
    second = follow(owner_client, ask(owner_client, q="a&b", state="active"), "next")
    assert listed(second) == [f"a&amp;b {number:02}" for number in reversed(range(10))]
    assert 'value="a&amp;b"' in second.content.decode()


def test_a_page_past_the_last_leads_to_the_first(account: Account, owner_client: Client) -> None:
    make_key(account, "laptop")
    for place in ("20000101T000000.000000Z-1", "damaged", "' OR 1=1 --", "\x00"):
        page = ask(owner_client, after=place, q="lap").content.decode()
        assert "Nothing here any more" in page
        assert '<a class="btn" href="/account/keys?q=lap">Go to the first page</a>' in page


@pytest.mark.parametrize(
    ("asked", "field", "says"),
    [
        ({"q": "x" * 81}, "q", "80 characters at most"),
        ({"q": "a\x00b"}, "q", "Null characters are not allowed."),
        ({"state": "everything"}, "state", "Choose one of the states."),
    ],
)
def test_a_search_that_cannot_be_is_told_at_its_field(
    account: Account, owner_client: Client, asked: dict[str, str], field: str, says: str
) -> None:
    make_key(account, "laptop")
    page = ask(owner_client, **asked)
    assert says in error_of(page, field)
    assert listed(page) == []


def test_a_filter_with_everything_in_it_is_answered(
    account: Account, owner: User, team_mate: User, owner_client: Client
) -> None:
    make_key(account, "laptop", created_by=owner)
    page = ask(
        owner_client, q="lap", state="active", by=owner.pk, before="20000101T000000.000000Z-1"
    )
    assert listed(page) == ["laptop"]


def test_a_key_that_is_searched_for_is_not_shown_again(
    account: Account, owner_client: Client
) -> None:
    make_key(account, "laptop")
    page = ask(owner_client, q=WHOLE_KEY)
    assert error_of(page, "q").startswith("That is a key.")
    assert WHOLE_KEY not in page.content.decode()


def test_a_mistake_in_a_new_key_leaves_the_list_as_it_is(
    account: Account, owner_client: Client
) -> None:
    make_key(account, "laptop")
    page = submit_key(owner_client, "")
    assert page.status_code == 422
    assert listed(page) == ["laptop"]


def test_a_thousand_keys_are_a_light_page_with_few_questions(
    account: Account, owner: User, team_mate: User, owner_client: Client
) -> None:
    now = timezone.now()
    networks = [f"2001:db8:{number:x}::/48" for number in range(20)]
    ApiKey.objects.bulk_create(
        ApiKey(
            account=account,
            name="n" * 80,
            digest=uuid4().hex,
            pepper_id="1",
            last_four="0000",
            submission=uuid4(),
            created_by=owner,
            last_used_at=now,
            weekly_cap=1000,
            addresses=networks,
        )
        for _ in range(1_000)
    )
    for number in range(150):
        person = User.objects.create_user(f"person{number}@example.com")
        Membership.objects.create(account=account, user=person, role=Membership.Role.DEVELOPER)
    # The first page of all tells the gate of the account.
    ask(owner_client)
    with CaptureQueriesContext(connection) as asked:
        page = ask(owner_client, q="n", state="active", by=owner.pk)
    assert len(listed(page)) == 50
    assert "from 2001:db8:0::/48, 2001:db8:1::/48, 2001:db8:2::/48 and 17 more" in (
        page.content.decode()
    )
    assert len(page.content) < 100 * 1024, len(page.content)
    assert len(asked) <= 10


# --- in another order -------------------------------------------------------------------------


def note_use(account: Account, key: ApiKey, chats: int, *, weeks_ago: int = 0) -> None:
    """What a drain would write of this week, or of one before."""
    hour = week.starts_at(week.week_of(week.to_ms(timezone.now())) - weeks_ago)
    UsageRollup.objects.create(
        account=account, key_id=key.pk, meter="chat", hour=hour, source="allowance", chats=chats
    )


def every_page(client: Client, first: Answer) -> list[str]:
    """The names in the list from its first page to the last."""
    found, page = listed(first), first
    while 'rel="next"' in page.content.decode():
        page = follow(client, page, "next")
        found += listed(page)
    return found


def test_keys_are_sorted_by_name_whatever_the_case(account: Account, owner_client: Client) -> None:
    for name in ("beta", "Alpha", "gamma", "Delta"):
        make_key(account, name)
    assert listed(ask(owner_client, sort="name")) == ["Alpha", "beta", "Delta", "gamma"]


def test_keys_that_were_never_used_stand_behind_those_that_were(
    account: Account, owner_client: Client
) -> None:
    now = timezone.now()
    make_key(account, "long ago", last_used_at=now - timedelta(days=9))
    make_key(account, "never")
    make_key(account, "just now", last_used_at=now)
    assert listed(ask(owner_client, sort="used")) == ["just now", "long ago", "never"]


def test_what_was_used_this_week_sorts_keys_and_is_said(
    account: Account, owner_client: Client
) -> None:
    few, none, many = (make_key(account, name) for name in ("few", "none", "many"))
    note_use(account, few, 2)
    note_use(account, many, 30)
    note_use(account, none, 900, weeks_ago=1)
    page = ask(owner_client, sort="week")
    assert listed(page) == ["many", "few", "none"]
    assert re.findall(r"(\d+) chats?\s+this week", page.content.decode()) == ["30", "2", "0"]
    assert not re.search(r"chats?\s+this week", ask(owner_client).content.decode())


@pytest.mark.parametrize("sort", ["name", "used", "week"])
def test_every_order_goes_through_all_keys_once_and_back(
    account: Account, owner_client: Client, sort: str
) -> None:
    now = timezone.now()
    for number in range(120):
        # Many are alike in what sorts them.
        used_at = now - timedelta(days=number % 3) if number % 4 else None
        key = make_key(account, f"key {number % 50:02}", last_used_at=used_at)
        note_use(account, key, number % 7)
    first = ask(owner_client, sort=sort, q="key")
    found = every_page(owner_client, first)
    assert sorted(found) == sorted(f"key {number % 50:02}" for number in range(120))
    if sort == "name":
        assert found == sorted(found)
    second = follow(owner_client, first, "next")
    assert listed(second) == found[50:100]
    assert listed(follow(owner_client, second, "prev")) == found[:50]
    assert "Newer" not in second.content.decode()


def test_an_order_is_kept_beside_the_search_and_among_revoked_keys(
    account: Account, owner_client: Client
) -> None:
    make_key(account, "web b", revoked_at=timezone.now())
    make_key(account, "web a", revoked_at=timezone.now())
    make_key(account, "web c")
    page = ask(owner_client, sort="name", q="web")
    found = re.search(r'href="[^"?]*\?([^"]*state=revoked)"', page.content.decode())
    assert found
    assert listed(owner_client.get(f"{PAGE}?{found[1].replace('&amp;', '&')}")) == [
        "web a",
        "web b",
    ]


@pytest.mark.parametrize(
    "after", ["key 3", "-5", "x-5", "9" * 30 + "-5", "20261129T082513.000042-5", "a\0b-5"]
)
@pytest.mark.parametrize("sort", ["", "used", "week"])
def test_a_place_of_another_order_is_no_error(
    account: Account, owner_client: Client, sort: str, after: str
) -> None:
    make_key(account, "one")
    page = ask(owner_client, sort=sort, after=after)
    assert "Nothing here any more" in page.content.decode()


def test_an_order_that_there_is_none_of_is_named(account: Account, owner_client: Client) -> None:
    make_key(account, "one")
    assert error_of(ask(owner_client, sort="digest"), "sort") == "Choose one of the ways to sort."


@pytest.mark.parametrize("sort", ["", "name", "used", "week"])
def test_a_list_of_a_thousand_keys_asks_as_often_as_one_of_two(
    account: Account, owner_client: Client, sort: str
) -> None:
    for number in range(2):
        note_use(account, make_key(account, f"key {number}"), number)
    ask(owner_client)
    with CaptureQueriesContext(connection) as few:
        ask(owner_client, sort=sort)
    ApiKey.objects.bulk_create(
        ApiKey(
            account=account,
            name=f"key {number}",
            digest=uuid4().hex,
            pepper_id="1",
            last_four="0000",
            submission=uuid4(),
        )
        for number in range(1_000)
    )
    with CaptureQueriesContext(connection) as many:
        page = ask(owner_client, sort=sort)
    assert len(listed(page)) == 50
    assert len(many) == len(few)


def test_ticking_all_needs_scripts_and_something_to_tick(
    account: Account, owner_client: Client
) -> None:
    make_key(account, "gone", revoked_at=timezone.now())
    assert "data-ticks" not in ask(owner_client, state="revoked").content.decode()
    make_key(account, "live")
    page = ask(owner_client).content.decode()
    box = re.search(r'<div class="([^"]*)">\s*<input[^>]*data-ticks="key"[^>]*>', page)
    assert box
    assert "js-only" in box[1]
    # Whoever sends the form sends the keys alone.
    assert "name=" not in re.sub(r'data-ticks="key"', "", box[0])
