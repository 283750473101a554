"""The usage page: what it says, what its address asks for, and how it answers what it cannot."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account
from keys.models import ApiKey
from quotas import grants
from quotas.models.used import UsageRollup, UsageTag
from quotas.standing import Standing
from quotas.usage import forecast, page, refusals
from tests import entitled
from tests.quotas.live_gate import LiveGate
from tests.quotas.usage.test_drain import fund

pytestmark = pytest.mark.django_db(transaction=True)


def rollups(account: Account, *, keys: int = 1, chats: int = 1, days_ago: int = 0) -> None:
    hour = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(days=days_ago)
    UsageRollup.objects.bulk_create(
        UsageRollup(
            account=account, key_id=number, meter="chat", hour=hour, source="allowance",
            chats=chats + number,
        )
        for number in range(1, keys + 1)
    )  # fmt: skip


def test_it_says_what_was_used_and_what_is_left(
    account: Account, key: str, gate: LiveGate, owner_client: Client
) -> None:
    assert "No requests yet this week" in owner_client.get("/account/usage").text
    gate.use(key, 12)
    for path in ("/account/usage", "/account/usage/now"):
        answer = owner_client.get(path)
        assert answer.status_code == 200
        assert answer.context["report"].total == 12
        assert answer.context["standing"].left == 38
        assert "12 of 50 chats used" in " ".join(answer.text.split())


def test_it_stays_calm_when_valkey_is_away_and_still_shows_what_is_drained(
    account: Account, owner_client: Client, valkey_away: Callable[[bool], None]
) -> None:
    rollups(account, chats=6)
    valkey_away(True)
    for path in ("/account/usage", "/account/usage/now"):
        answer = owner_client.get(path)
        assert answer.status_code == 200
        assert answer.context["standing"] is None
        assert answer.context["report"].total == 7
        assert "The live count cannot be read right now" in answer.text
    valkey_away(False)
    assert isinstance(owner_client.get("/account/usage").context["standing"], Standing)


def test_refusals_are_shown_with_what_they_mean(
    account: Account, key: str, gate: LiveGate, owner_client: Client
) -> None:
    gate.use(key, 50)
    assert not gate.check(key).allowed
    refusals.move_all()
    answer = owner_client.get("/account/usage")
    assert "Used up" in answer.text
    assert "Add a Weekly Boost or credits" in answer.text
    assert "/account/usage/requests?outcome=refused" in answer.text
    assert "Everything is used up" in answer.text


def test_what_expires_next_stands_in_the_sentence(
    account: Account, key: str, gate: LiveGate, owner_client: Client
) -> None:
    grants.grant_boost(
        account=account,
        chats=30,
        at=timezone.now(),
        expires_at=timezone.now() + timedelta(days=2),
        source_ref="test:soon",
    )
    said = " ".join(owner_client.get("/account/usage").text.split())
    assert "30 chats of a boost expire next" in said


def test_a_view_is_narrowed_and_widened_by_its_address(
    account: Account, key: str, gate: LiveGate, owner_client: Client
) -> None:
    gate.use(key, 3)
    gate.check(key, meter="images")
    key_id = ApiKey.objects.get().pk
    answer = owner_client.get(f"/account/usage?key={key_id}&meter=images&by=source")
    assert answer.context["report"].total == 1
    (of_key, of_meter) = sorted(answer.context["only_lines"], key=lambda line: line.what)[::-1]
    assert (of_key.what, of_key.name, of_meter.name) == ("Key", "laptop", "Images")
    assert owner_client.get("/account/usage" + of_key.address).context["report"].total == 1
    assert owner_client.get("/account/usage" + of_meter.address).context["report"].total == 4


BAD = {
    "from=2026-02-30": "from",
    "from=yesterday": "from",
    "from=2026-03-02&to=2026-03-01": "to",
    "from=1926-01-01&to=2026-01-01": "from",
    "from=2020-01-01&to=2026-01-01": "to",
    "to=9999-12-31": "to",
    "week=2026-11-24": "week",
    "week=1999-01-04": "week",
    "span=century": "span",
    "by=name": "by",
    "by=key&key=1": "key",
    "key=1": "key",
    "key=one": "key",
    "key=" + "9" * 40: "key",
    "member=me": "member",
    "tag=nobody": "tag",
    "tag=" + "x" * 65: "tag",
    "tag=%00": "tag",
    "meter=" + "x" * 51: "meter",
    "source=money": "source",
    "model=small&source=boost": "source",
    "model=small&tag=nobody": "model",
    "zone=Europe/Atlantis": "zone",
    "zone=../../etc/passwd": "zone",
    "page=0": "page",
    "page=-1": "page",
    "page=many": "page",
}


@pytest.mark.parametrize("query", BAD)
def test_what_cannot_be_read_is_told_by_its_field(
    account: Account, owner_client: Client, query: str
) -> None:
    answer = owner_client.get(f"/account/usage?{query}")
    assert answer.status_code == 400
    assert BAD[query] in answer.context["question"].errors
    assert "This view cannot be shown as it was asked for" in answer.text


def test_everything_asked_for_at_once_is_answered(account: Account, owner_client: Client) -> None:
    names = ("span", "week", "from", "to", "zone", "by", "page", "source", "meter")
    everything = dict.fromkeys((*names, "key", "member", "tag", "model"), "1")
    assert owner_client.get(f"/account/usage?{urlencode(everything)}").status_code == 400


def test_a_key_of_somebody_else_is_as_one_that_never_was(
    account: Account, key: str, other_key: str, gate: LiveGate, owner_client: Client
) -> None:
    gate.use(other_key, 3)
    theirs = ApiKey.objects.exclude(account=account).get()
    answer = owner_client.get(f"/account/usage?key={theirs.pk}")
    assert answer.status_code == 400
    assert answer.context["question"].errors == {"key": "This account has no such key."}
    assert answer.context["report"].total == 0
    UsageTag.objects.create(account=theirs.account, name="a customer of theirs")
    assert owner_client.get("/account/usage?tag=a customer of theirs").status_code == 400


def test_a_long_list_has_pages_in_one_order(account: Account, owner_client: Client) -> None:
    rollups(account, keys=page.ROWS_OF_A_PAGE + 5)
    first = owner_client.get("/account/usage?by=key").context["lines"]
    second = owner_client.get("/account/usage?by=key&page=2").context["lines"]
    chats = [line.chats for line in (*first.lines, *second.lines)]
    assert chats == sorted(chats, reverse=True)
    assert len(set(chats)) == page.ROWS_OF_A_PAGE + 5
    past = owner_client.get("/account/usage?by=key&page=3")
    assert past.status_code == 404
    assert "You asked for page 3, and there are 2." in " ".join(past.text.split())


def test_a_revoked_key_keeps_its_name_and_history(
    account: Account, key: str, gate: LiveGate, owner_client: Client
) -> None:
    gate.use(key, 2)
    ApiKey.objects.update(revoked_at=timezone.now())
    (line,) = owner_client.get("/account/usage").context["lines"].lines
    assert (line.name, line.chats) == ("laptop", 2)
    assert "revoked" in line.detail


def test_times_are_told_in_the_zone_that_is_chosen(account: Account, owner_client: Client) -> None:
    answer = owner_client.post(
        "/account/usage/zone", {"zone": "Asia/Kathmandu", "view": "span=year&by=meter"}
    )
    assert (answer.status_code, answer["Location"]) == (302, "/account/usage?span=year&by=meter")
    assert owner_client.get("/account/usage").context["question"].zone.key == "Asia/Kathmandu"
    # What an address says counts before what was chosen.
    answer = owner_client.get("/account/usage?zone=Europe/Berlin")
    assert answer.context["question"].zone.key == "Europe/Berlin"
    answer = owner_client.post("/account/usage/zone", {"zone": "Mars/Base", "view": "by=key"})
    assert owner_client.get(answer["Location"]).context["question"].errors.keys() == {"zone"}


def test_nothing_new_costs_nothing(
    account: Account, key: str, gate: LiveGate, owner_client: Client
) -> None:
    gate.use(key, 3)
    fund(account)
    seen = owner_client.get("/account/usage").context["version"]
    answer = owner_client.get("/account/usage/now", headers={"If-None-Match": seen})
    if answer.status_code != 304:
        # A minute began meanwhile; in the next one it is seen.
        seen = answer.context["version"]
        answer = owner_client.get("/account/usage/now", headers={"If-None-Match": seen})
    assert (answer.status_code, answer.content) == (304, b"")
    gate.use(key, 60)
    answer = owner_client.get("/account/usage/now", headers={"If-None-Match": seen})
    assert answer.status_code == 200
    assert answer.context["report"].total == 63
    seen = answer.context["version"]
    # What boosts pay is noticed, too.
    gate.use(key, 1)
    answer = owner_client.get("/account/usage/now", headers={"If-None-Match": seen})
    assert answer.context["report"].total == 64
    # And so is another language.
    in_german = {"If-None-Match": answer.context["version"], "Accept-Language": "de"}
    assert owner_client.get("/account/usage/now", headers=in_german).status_code == 200


def standing(**changes: int | None) -> Standing:
    said = {
        "plan_name": "Core",
        "cap": 500,
        "used": 200,
        "left": 300,
        "resets_at": datetime(2031, 3, 10, tzinfo=UTC),
        "boosts": (),
        "boost_left": 0,
        "credits_left": 0,
        "credits_per_chat": 2,
        "suspended": False,
    } | changes
    return Standing(**said)  # type: ignore[arg-type]


def test_a_forecast_goes_on_at_the_pace_of_the_week() -> None:
    tuesday = datetime(2031, 3, 4, tzinfo=UTC)
    foreseen = forecast.forecast(standing(), total=200, at=tuesday)
    assert foreseen is not None
    assert foreseen.by_reset == 1400
    assert foreseen.allowance_ends_at == tuesday + timedelta(days=1.5)
    assert foreseen.all_ends_at == tuesday + timedelta(days=1.5)
    more = forecast.forecast(standing(boost_left=500), total=200, at=tuesday)
    assert more is not None
    assert more.all_ends_at == tuesday + timedelta(days=4)
    enough = forecast.forecast(standing(credits_left=9_000), total=200, at=tuesday)
    assert enough is not None
    assert enough.all_ends_at is None
    for unknown in (
        forecast.forecast(standing(), total=0, at=tuesday),
        forecast.forecast(standing(), total=9, at=tuesday - timedelta(hours=19)),
        forecast.forecast(standing(left=0), total=500, at=tuesday),
    ):
        assert unknown is None


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        (timedelta(hours=1), "within the next hour or so"),
        (timedelta(hours=9), "this evening"),
        (timedelta(hours=14), "in the coming night"),
        (timedelta(days=1, hours=7), "tomorrow evening"),
        (timedelta(days=3), "on Saturday afternoon"),
        (timedelta(days=3, hours=13), "in the night to Sunday"),
    ],
)
def test_moments_are_told_roughly(ends: timedelta, words: str) -> None:
    wednesday_noon = datetime(2031, 3, 5, 12, tzinfo=UTC)
    assert forecast.part_of_day(wednesday_noon + ends, at=wednesday_noon) == words


def test_time_left_is_told_in_words() -> None:
    assert forecast.in_words(timedelta(days=2, hours=4, minutes=9)) == "in 2 days 4 h"
    assert forecast.in_words(timedelta(days=1)) == "in 1 day 0 h"
    assert forecast.in_words(timedelta(hours=3, minutes=5)) == "in 3 h 5 min"
    assert forecast.in_words(timedelta(seconds=90)) == "in 1 min"
    assert forecast.in_words(timedelta(seconds=-5)) == "in 0 min"


def test_an_unlimited_plan_is_told_so(
    account: Account, key: str, gate: LiveGate, owner_client: Client
) -> None:
    entitled.move_to_plan(account, "pro")
    gate.use(key, 4)
    said = " ".join(owner_client.get("/account/usage").text.split())
    assert "4 chats used this week" in said
    assert "A new week begins Monday 00:00 UTC" in said
