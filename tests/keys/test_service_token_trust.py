"""What a service token is trusted with: told when it is made, changed in the admin, seen there."""

import asyncio
import io
import re
import time
from uuid import uuid4

import httpx
import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from accounts.models import Account, User
from config.reading import in_thread
from gate.decision.check import Gate
from gate.service.asgi import QuotaApp
from gate.service.service import QuotaService
from gate.service.service_tokens import ServiceTokens
from gate.service.trust import Trust
from keys.issue import issue_api_key, issue_service_token
from keys.models import ServiceToken
from keys.projection import record_ignored_headers, valid_service_tokens
from tests import entitled
from tests.keys.acts import TOKEN
from tests.patient_gate import patient_gate

ADD, CHANGE = "admin:keys_servicetoken_add", "admin:keys_servicetoken_change"


def command(*arguments: str) -> str:
    printed = io.StringIO()
    call_command("issue_service_token", *arguments, stdout=printed)
    return printed.getvalue()


def trust() -> Trust:
    """What the gate lets count of the only token."""
    (only,) = valid_service_tokens().values()
    return only


def test_a_token_is_trusted_with_nothing_unless_told(db: None) -> None:
    command("gateway")
    token = ServiceToken.objects.get()
    assert trust() == Trust(token_id=token.pk, name="gateway")


def test_a_token_that_an_older_release_makes_is_trusted_with_nothing(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO keys_servicetoken (name, digest, last_four, created_at) "
            "VALUES ('old', 'd', 'abcd', now())"
        )
    assert trust() == Trust(token_id=ServiceToken.objects.get().pk, name="old")


def test_the_command_issues_with_trust(db: None) -> None:
    printed = command("gateway", "--trust-request-id", "--trust-units", "--trust-client-ip")
    assert TOKEN.fullmatch(printed.strip())
    told = trust()
    assert (told.request_id, told.units, told.client_ip, told.forwarded_hops) == (True,) * 3 + (0,)
    command("other", "--forwarded-hops", "2", "--meter", "images")
    other = ServiceToken.objects.get(name="other").trust
    assert (other.client_ip, other.forwarded_hops, other.meter) == (False, 2, "images")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--forwarded-hops", "-1"], "--forwarded-hops must be 0 to 10"),
        (["--forwarded-hops", "11"], "--forwarded-hops must be 0 to 10"),
        (["--forwarded-hops", "1", "--trust-client-ip"], "Choose one way to know the address"),
        (["--meter", "m" * 51], "--meter must be the slug of a meter"),
        (["--meter", "no slug"], "--meter must be the slug of a meter"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(
    db: None, arguments: list[str], message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        command("gateway", *arguments)
    assert not ServiceToken.objects.exists()


def test_the_form_says_the_danger_and_issues_with_trust(admin_client: Client) -> None:
    page = re.sub(r"\s+", " ", admin_client.get(reverse(ADD)).content.decode())
    for danger in (
        "would use the API for free",
        "would open a stolen key",
        "a customer chooses the address",
        "customers choose the cheapest meter",
    ):
        assert danger in page
    form = {"name": "gateway", "trusts_request_id": "on", "forwarded_hops": "1", "meter": "chat"}
    assert admin_client.post(reverse(ADD), form).status_code == 201
    told = trust()
    assert (told.request_id, told.units, told.forwarded_hops, told.meter) == (
        True,
        False,
        1,
        "chat",
    )
    listed = admin_client.get(reverse("admin:keys_servicetoken_changelist")).content.decode()
    assert "request id, X-Forwarded-For (1 hop), only meter chat" in listed


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"trusts_client_ip": "on", "forwarded_hops": "1"}, "Choose one way to know the address"),
        ({"forwarded_hops": "11"}, "Give 10 or less."),
        ({"forwarded_hops": "-1"}, "Give 0 or more."),
        ({"forwarded_hops": "many"}, "Write a whole number"),
        ({"meter": "no slug"}, "Enter a valid “slug”"),
    ],
)
def test_the_form_refuses_what_makes_no_sense(
    admin_client: Client, form: dict[str, str], message: str
) -> None:
    response = admin_client.post(reverse(ADD), {"name": "gateway", **form})
    assert response.status_code == 200
    assert message in response.content.decode()
    assert not ServiceToken.objects.exists()


def test_the_database_knows_one_way_to_know_the_address(db: None) -> None:
    issue_service_token(name="gateway", trust=Trust(client_ip=True))
    with pytest.raises(IntegrityError), transaction.atomic():
        ServiceToken.objects.update(forwarded_hops=1)


def test_trust_is_changed_in_the_admin_and_seen_there(admin_client: Client) -> None:
    token, _ = issue_service_token(name="gateway", trust=Trust(request_id=True))
    record_ignored_headers({token.pk: 1_200})
    record_ignored_headers({token.pk: 34, 10**9: 1})
    url = reverse(CHANGE, args=[token.pk])
    page = admin_client.get(url).content.decode()
    assert "1234" in page or "1,234" in page
    response = admin_client.post(url, {"trusts_units": "on", "forwarded_hops": ""}, follow=True)
    assert "It counts everywhere within 5 seconds." in response.content.decode()
    told = trust()
    assert (told.request_id, told.units, told.forwarded_hops) == (False, True, 0)
    assert ServiceToken.objects.get().ignored_headers == 1_234


@pytest.mark.django_db(transaction=True)
def test_trust_counts_within_five_seconds_and_what_is_ignored_is_written_down(
    account: Account, owner: User
) -> None:
    """The service as it runs, on the real tables."""
    entitled.move_to_plan(account, "pro")
    _, key = issue_api_key(account=account, name="laptop", submission=uuid4(), by=owner)
    token, text = issue_service_token(name="gateway")
    headers = {
        "Authorization": f"Bearer {key}",
        "X-Quota-Service-Token": text,
        "X-Quota-Request-Id": "same",
    }

    def served_by(gate: Gate) -> httpx.ASGITransport:
        service = QuotaService(
            gate=gate,
            service_tokens=ServiceTokens(
                peppers=django_settings.KEY_PEPPERS,
                load=in_thread(valid_service_tokens),
                record_ignored=in_thread(record_ignored_headers),
            ),
            billing_url="https://sansxel.example/account/billing",
        )
        return httpx.ASGITransport(app=QuotaApp(service))

    async def story() -> None:
        async with (
            patient_gate() as gate,
            httpx.AsyncClient(transport=served_by(gate), base_url="http://quota") as asking,
        ):

            async def charge() -> str:
                answer = await asking.get("/quota/v1/authorize", headers=headers)
                return str(answer.headers["x-quota-charge"])

            assert len({await charge() for _ in range(3)}) == 3
            deadline = time.monotonic() + 30
            while (await in_thread(ServiceToken.objects.get)()).ignored_headers < 3:
                assert time.monotonic() < deadline
                await charge()
                await asyncio.sleep(0.1)
            await in_thread(ServiceToken.objects.update)(trusts_request_id=True)
            deadline = time.monotonic() + 30
            while await charge() != await charge():
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)

    asyncio.run(story())
    assert ServiceToken.objects.get(pk=token.pk).ignored_at is not None
