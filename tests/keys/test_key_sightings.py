"""Where keys were used from: shown, mailed when it is new, and forgotten after 90 days."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from django.conf import settings as django_settings
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account, Membership, User
from config.reading import in_thread
from gate.service.asgi import QuotaApp
from gate.service.service import QuotaService
from gate.service.service_tokens import ServiceTokens
from gate.service.sightings import Sighting, Sightings
from gate.service.trust import Trust
from gate.terms import addresses, week
from keys import mail_choice, network_mails, sightings, tasks
from keys.issue import issue_api_key, issue_service_token
from keys.limits import KeyLimits
from keys.models import ApiKey, KeySighting
from keys.projection import valid_service_tokens
from keys.revoke import revoke_api_key
from keys.scopes import MANAGE_KEYS
from keys.telling import MAILS_AN_HOUR
from tests.patience import LONGEST_SECONDS
from tests.patient_gate import patient_gate

pytestmark = pytest.mark.django_db(transaction=True)

Issued = tuple[ApiKey, str]
Mails = list[EmailMultiAlternatives]
HOME, ELSEWHERE = "192.0.2.7", "203.0.113.9"


def seen(key: ApiKey, address: str, *, client: str = "bot/1", at: datetime | None = None) -> None:
    """A gate process writes down that the key was used."""
    at_ms = week.to_ms(at or timezone.now())
    sightings.record_sightings([Sighting(key.pk, addresses.to_hex(address), client, at_ms)])


def tell(*, at: datetime | None = None) -> int:
    return network_mails.tell_of_new_networks(at=at or timezone.now())


def networks(key: ApiKey) -> list[str]:
    return [sighting.network for sighting in sightings.networks_of(key, at_most=100)]


def page_of(browser: Client, key: ApiKey) -> str:
    return " ".join(browser.get(reverse("key_edit", args=[key.pk])).content.decode().split())


# --- what is written down -----------------------------------------------------------------------


def test_the_first_network_of_a_key_is_no_news_and_another_one_is(
    issued: Issued, mailoutbox: Mails
) -> None:
    key, text = issued
    seen(key, HOME)
    assert tell() == 0
    seen(key, "192.0.2.200")
    assert (tell(), mailoutbox) == (0, [])
    seen(key, ELSEWHERE, client="curl/8")
    assert tell() == 1
    (mail,) = mailoutbox
    assert mail.to == ["owner@example.com"]
    assert mail.subject.startswith("Key “laptop” was used from a new network · ")
    for said in (str(mail.body), str(mail.alternatives[0][0])):
        for told in (ELSEWHERE, "203.0.113.0/24", "curl/8", key.masked):
            assert told in said
        assert text not in said
    assert (tell(), len(mailoutbox)) == (0, 1)


def test_two_networks_at_once_of_a_new_key_are_both_its_first(issued: Issued) -> None:
    key, _ = issued
    at_ms = week.to_ms(timezone.now())
    places = [HOME, ELSEWHERE, "2001:db8::1"]
    sightings.record_sightings(
        [Sighting(key.pk, addresses.to_hex(place), "", at_ms) for place in places]
    )
    assert len(networks(key)) == 3
    assert tell() == 0


def test_a_network_is_a_row_with_its_first_and_last_moment_address_and_client(
    issued: Issued,
) -> None:
    key, _ = issued
    now = timezone.now().replace(microsecond=0)
    seen(key, "192.0.2.7", client="bot/1", at=now)
    seen(key, "192.0.2.8", client="bot/2", at=now + timedelta(minutes=1))
    # An API server does not know its customer's client; and what comes late changes nothing.
    seen(key, "192.0.2.9", client="", at=now + timedelta(minutes=2))
    seen(key, "192.0.2.10", client="bot/0", at=now - timedelta(minutes=1))
    (row,) = key.sightings.all()
    assert (row.network, row.address, row.client) == ("192.0.2.0/24", "192.0.2.9", "bot/2")
    assert (row.first_at, row.last_at) == (now, now + timedelta(minutes=2))


def test_a_client_that_is_a_secret_is_not_written_down_and_no_long_one_is_whole(
    issued: Issued,
) -> None:
    key, text = issued
    seen(key, HOME, client=f"bot {text} \0 {'x' * 500}")
    (row,) = key.sightings.all()
    assert text not in row.client
    assert row.client.startswith("bot sk_")
    assert len(row.client) == 200


def test_a_key_that_is_gone_does_not_keep_others_from_being_written_down(issued: Issued) -> None:
    key, _ = issued
    at_ms = week.to_ms(timezone.now())
    digits = addresses.to_hex(HOME)
    sightings.record_sightings([Sighting(pk, digits, "", at_ms) for pk in (key.pk, 10**9)])
    assert networks(key) == ["192.0.2.0/24"]
    sightings.record_sightings([])


def test_a_key_keeps_the_networks_that_it_was_used_from_last(issued: Issued) -> None:
    key, _ = issued
    now = timezone.now()
    for number in range(network_mails.NETWORKS_AT_MOST + 10):
        seen(key, f"10.0.{number}.1", at=now + timedelta(seconds=number))
    tell(at=now + timedelta(days=2))
    seen(key, "10.1.0.1", at=now + timedelta(days=3))
    tell(at=now + timedelta(days=4))
    kept = networks(key)
    assert kept[0] == "10.1.0.0/24"
    # Those that people were just told of are counted for a day.
    assert len(kept) <= network_mails.NETWORKS_AT_MOST + network_mails.MAILS_A_DAY
    assert "10.0.29.0/24" in kept
    assert "10.0.0.0/24" not in kept


# --- whom it is told ----------------------------------------------------------------------------


def test_who_wants_no_such_mail_gets_none_and_others_do(
    issued: Issued, team_mate: User, account: Account, owner_client: Client, mailoutbox: Mails
) -> None:
    account.memberships.filter(user=team_mate).update(role="admin")
    assert 'name="of_keys"' in owner_client.get(reverse("alerts")).text
    owner_client.post(reverse("alerts_mail"), {"kinds": ["week.100"]})
    key, _ = issued
    seen(key, HOME)
    seen(key, ELSEWHERE)
    assert tell() == 1
    assert [mail.to for mail in mailoutbox] == [["mate@example.com"]]
    owner_client.post(reverse("alerts_mail"), {"kinds": ["week.100"], "of_keys": "on"})
    seen(key, "198.51.100.1")
    tell()
    assert len(mailoutbox) == 3


def test_a_choice_does_not_silence_that_a_key_was_revoked(
    issued: Issued, account: Account, owner: User, mailoutbox: Mails
) -> None:
    mail_choice.choose(Membership.objects.get(account=account, user=owner), is_on=False)
    revoke_api_key(key=issued[0], by=owner, at=timezone.now())
    assert len(mailoutbox) == 1


def test_who_may_see_no_keys_is_not_asked_about_them(account: Account, team_mate: User) -> None:
    team_mate.memberships.exclude(account=account).delete()
    browser = Client()
    browser.force_login(team_mate)
    assert 'name="of_keys"' in browser.get(reverse("alerts")).text
    account.memberships.filter(user=team_mate).update(role="viewer")
    assert 'name="of_keys"' not in browser.get(reverse("alerts")).text


def test_a_key_that_moves_all_the_time_is_told_three_times_a_day(
    issued: Issued, mailoutbox: Mails
) -> None:
    key, _ = issued
    now = timezone.now()
    for number in range(10):
        seen(key, f"10.0.{number}.1", at=now + timedelta(seconds=number))
    assert tell(at=now) == network_mails.MAILS_A_DAY
    assert len(mailoutbox) == network_mails.MAILS_A_DAY
    assert "for a day" not in mailoutbox[-2].body
    assert "for a day" in mailoutbox[-1].body
    seen(key, "10.0.99.1", at=now + timedelta(hours=25))
    assert tell(at=now + timedelta(hours=25)) == 1


def test_all_keys_of_an_account_are_told_ten_times_an_hour(
    account: Account, owner: User, mailoutbox: Mails
) -> None:
    for number in range(MAILS_AN_HOUR + 2):
        key, _ = issue_api_key(account=account, name=f"key {number}", submission=uuid4(), by=owner)
        seen(key, HOME)
        seen(key, ELSEWHERE)
    mailoutbox.clear()
    now = timezone.now()
    assert tell(at=now) == len(mailoutbox) == MAILS_AN_HOUR
    assert not KeySighting.objects.filter(is_news=True).exists()


def test_of_a_revoked_key_nobody_is_told(issued: Issued, owner: User, mailoutbox: Mails) -> None:
    key, _ = issued
    seen(key, HOME)
    seen(key, ELSEWHERE)
    revoke_api_key(key=key, by=owner, at=timezone.now())
    mailoutbox.clear()
    assert (tell(), mailoutbox) == (0, [])


# --- what is forgotten --------------------------------------------------------------------------


def test_addresses_are_deleted_after_90_days_and_the_next_network_is_news_then(
    issued: Issued,
) -> None:
    key, _ = issued
    now = timezone.now()
    seen(key, HOME, at=now - timedelta(days=91))
    seen(key, "198.51.100.1", at=now - timedelta(days=91))
    seen(key, ELSEWHERE, at=now - timedelta(days=89))
    KeySighting.objects.update(is_news=False)
    tasks.forget_sightings()
    assert networks(key) == ["203.0.113.0/24"]
    assert sightings.forget_old(at=now + timedelta(days=2)) == 1
    assert networks(key) == []
    assert not key.sightings.exclude(address=None, client="").exists()
    seen(key, HOME)
    assert tell() == 1
    assert sightings.forget_old(at=now) == 0


# --- where it is shown --------------------------------------------------------------------------


def test_the_page_of_a_key_says_when_from_where_and_with_what_client(
    issued: Issued, owner_client: Client
) -> None:
    key, _ = issued
    assert "Where it was used from" not in page_of(owner_client, key)
    now = timezone.now()
    seen(key, HOME, client="old/1", at=now - timedelta(hours=1))
    seen(key, ELSEWHERE, client="<b>new</b>", at=now)
    ApiKey.objects.update(last_used_at=now)
    page = page_of(owner_client, key)
    last = page[page.index("Last used") : page.index("</dl>")]
    assert f"from {ELSEWHERE}" in last
    assert "&lt;b&gt;new&lt;/b&gt;" in last
    assert "old/1" not in last
    table = page[page.index('id="networks"') :]
    assert table.index("203.0.113.0/24") < table.index("192.0.2.0/24")
    assert "old/1" in table


def test_a_revoked_key_still_says_where_it_was_used_from(
    issued: Issued, owner: User, owner_client: Client
) -> None:
    key, _ = issued
    seen(key, HOME)
    revoke_api_key(key=key, by=owner, at=timezone.now())
    assert "192.0.2.0/24" in page_of(owner_client, key)


# --- the whole way ------------------------------------------------------------------------------


def test_what_a_live_gate_decides_stands_on_the_page_and_a_new_network_in_a_mail(
    issued: Issued, owner_client: Client, mailoutbox: Mails
) -> None:
    key, text = issued
    _, token = issue_service_token(name="gateway", trust=Trust(client_ip=True))

    async def use_from(asking: httpx.AsyncClient, address: str, client: str) -> None:
        answer = await asking.get(
            "/quota/v1/authorize",
            headers={
                "Authorization": f"Bearer {text}",
                "X-Quota-Service-Token": token,
                "X-Quota-Client-IP": address,
                "User-Agent": client,
            },
        )
        assert answer.status_code == 200

    def known() -> Sequence[str]:
        return networks(key)

    async def story() -> None:
        async with patient_gate() as gate:
            service = QuotaService(
                gate=gate,
                service_tokens=ServiceTokens(
                    peppers=django_settings.KEY_PEPPERS, load=in_thread(valid_service_tokens)
                ),
                billing_url="https://sansxel.example/account/billing",
                sightings=Sightings(
                    record=in_thread(sightings.record_sightings), written_every_seconds=0.05
                ),
            )
            transport = httpx.ASGITransport(app=QuotaApp(service))
            async with httpx.AsyncClient(transport=transport, base_url="http://quota") as asking:
                for count, (address, client) in enumerate(
                    [(HOME, "bot/1"), (ELSEWHERE, "curl/8")], start=1
                ):
                    await use_from(asking, address, client)
                    async with asyncio.timeout(LONGEST_SECONDS):
                        while len(await in_thread(known)()) < count:  # noqa: ASYNC110
                            await asyncio.sleep(0.02)

    asyncio.run(story())
    tasks.tell_of_new_networks()
    (mail,) = mailoutbox
    assert ELSEWHERE in mail.body
    page = page_of(owner_client, key)
    assert f"from {ELSEWHERE}" in page
    assert "curl/8" in page


def test_a_program_that_asks_the_site_itself_is_seen_there(account: Account, owner: User) -> None:
    key, text = issue_api_key(
        account=account,
        name="deploy",
        submission=uuid4(),
        by=owner,
        limits=KeyLimits(scopes=(MANAGE_KEYS,)),
    )
    program = Client(headers={"Authorization": f"Bearer {text}", "User-Agent": "deploy/2"})
    hops = ", ".join([ELSEWHERE] * max(1, django_settings.TRUSTED_PROXIES))
    for _ in range(2):
        answer = program.get(
            "/api/v1/keys", REMOTE_ADDR=ELSEWHERE, headers={"X-Forwarded-For": hops}
        )
        assert answer.status_code == 200
    (row,) = key.sightings.all()
    assert (row.address, row.client) == (ELSEWHERE, "deploy/2")
