"""/account/alerts: everybody chooses their mail, and who answers for the account the rest."""

import html
import re
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account, Membership, User
from alerts import endpoints, raising, signing
from alerts.models import (
    CHOSEN_KINDS,
    MAIL_KINDS,
    Alert,
    AlertSettings,
    Delivery,
    Kind,
    WebhookEndpoint,
)
from tests.alerts.receiver import Receiver
from tests.alerts.webhooks import endpoint_of
from tests.site.answer import Answer

pytestmark = pytest.mark.django_db


@pytest.fixture
def member_client(team_mate: User) -> Client:
    """A browser of a member who acts for the owner's account, and for no other."""
    team_mate.memberships.exclude(account__members__email="owner@example.com").delete()
    client = Client()
    client.force_login(team_mate)
    return client


def page_of(client: Client, **query: str) -> str:
    answer = client.get(reverse("alerts"), query)
    assert answer.status_code == 200
    return str(answer.content.decode())


def add(client: Client, url: str, submission: object = None) -> Answer:
    return client.post(
        reverse("webhook_add"), {"url": url, "submission": str(submission or uuid4())}
    )


def test_an_account_that_never_chose_is_told_of_everything(
    owner_client: Client, account: Account
) -> None:
    page = page_of(owner_client)
    # What the account is told of, what the person is, and of keys.
    assert page.count(" checked") == len(CHOSEN_KINDS) + len(MAIL_KINDS) + 1
    assert 'value="100"' in page
    assert "Nothing to tell yet" in page
    assert raising.settings_of(account).kinds == [kind.value for kind in CHOSEN_KINDS]


def test_what_the_account_is_told_of_is_chosen_and_shown(
    owner_client: Client, account: Account
) -> None:
    chosen = {"kinds": ["week.80", "credits.low"], "low_credits": "250"}
    answer = owner_client.post(reverse("alerts_settings"), chosen, follow=True)
    page = answer.content.decode()
    assert "Saved." in page
    assert 'value="250"' in page
    saved = AlertSettings.objects.get(account=account)
    assert (saved.kinds, saved.low_credits) == (["week.80", "credits.low"], 250)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"low_credits": "many"}, "Give a whole number of credits"),
        ({"low_credits": "-1"}, "Give a whole number of credits, 0 to"),
        ({"low_credits": ""}, "Give a number of credits, or 0."),
        ({"low_credits": "1" + "0" * 20}, "Give a whole number of credits, 0 to"),
        ({"low_credits": "1", "kinds": "no.such"}, "“no.such”"),
        ({"low_credits": "1", "kinds": "week.summary"}, "“week.summary”"),
    ],
)
def test_what_cannot_be_chosen_is_refused_at_its_field(
    owner_client: Client, account: Account, fields: dict[str, str], error: str
) -> None:
    answer = owner_client.post(reverse("alerts_settings"), fields)
    assert answer.status_code == 422
    assert error in answer.content.decode()
    assert not AlertSettings.objects.filter(account=account).exists()


def test_a_person_chooses_their_own_mail_and_nobody_elses(
    owner_client: Client, member_client: Client, owner: User, team_mate: User, account: Account
) -> None:
    # A developer hears of their keys anyway, until they say otherwise.
    assert page_of(member_client).count(" checked") == 1
    member_client.post(reverse("alerts_mail"), {"kinds": ["week.100", "week.summary"]})
    assert page_of(member_client).count(" checked") == 2
    kinds = {
        member.user.email: raising.mail_kinds_of(member)
        for member in Membership.objects.filter(account=account)
    }
    assert kinds == {
        "owner@example.com": frozenset(MAIL_KINDS),
        "mate@example.com": frozenset({"week.100", "week.summary"}),
    }


def test_a_member_sees_the_log_and_changes_nothing_of_the_account(
    member_client: Client, account: Account, owner: User
) -> None:
    webhook = endpoint_of(account, owner, "https://example.com/hook")
    raising.raise_test(webhook, at=timezone.now())
    Delivery.objects.update(state="failed", done_at=timezone.now())
    page = page_of(member_client)
    assert "https://example.com/hook" in page
    for name in ("alerts_settings", "webhook_add", "webhook_test", "delivery_resend"):
        assert f'action="{reverse(name, args=_arguments(name, webhook))}"' not in page
        answer = member_client.post(reverse(name, args=_arguments(name, webhook)))
        assert answer.status_code == 403, name


def _arguments(name: str, webhook: WebhookEndpoint) -> list[object]:
    of: dict[str, list[object]] = {
        "webhook_test": [webhook.pk],
        "delivery_resend": [Delivery.objects.get().pk],
    }
    return of.get(name, [])


def test_a_webhook_is_added_and_its_secret_shown_in_the_answer_alone(
    owner_client: Client, receiver: Receiver
) -> None:
    answer = add(owner_client, f"{receiver.origin}/hook")
    assert answer.status_code == 201
    endpoint = WebhookEndpoint.objects.get()
    secret = signing.secret_of(endpoint)
    assert secret in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    page = page_of(owner_client)
    assert endpoint.url in page
    for shown in (page, owner_client.get(reverse("webhook", args=[endpoint.pk])).content.decode()):
        assert secret not in shown
        assert "whsec_" not in shown


def test_a_form_that_is_sent_twice_adds_one_webhook_and_shows_the_same_secret(
    owner_client: Client, receiver: Receiver
) -> None:
    submission = uuid4()
    first = add(owner_client, f"{receiver.origin}/hook", submission)
    again = add(owner_client, f"{receiver.origin}/hook", submission)
    secret = signing.secret_of(WebhookEndpoint.objects.get())
    assert secret in first.content.decode()
    assert secret in again.content.decode()


def test_the_same_address_twice_and_a_sixth_webhook_are_refused(
    owner_client: Client, receiver: Receiver
) -> None:
    for number in range(endpoints.AT_MOST):
        assert add(owner_client, f"{receiver.origin}/{number}").status_code == 201
    same = add(owner_client, f"{receiver.origin}/0")
    sixth = add(owner_client, f"{receiver.origin}/6")
    assert (same.status_code, sixth.status_code) == (422, 422)
    assert "5 webhooks at most" in sixth.content.decode()
    assert WebhookEndpoint.objects.count() == endpoints.AT_MOST
    endpoints.remove(WebhookEndpoint.objects.latest("created_at"), at=timezone.now())
    assert "is there already" in add(owner_client, f"{receiver.origin}/0").content.decode()
    assert 'name="url"' in page_of(owner_client)


def test_a_webhook_is_changed_and_switched_off(
    owner_client: Client, endpoint: WebhookEndpoint, receiver: Receiver
) -> None:
    url = reverse("webhook", args=[endpoint.pk])
    owner_client.post(url, {"url": f"{receiver.origin}/new"})
    endpoint.refresh_from_db()
    assert (endpoint.url, endpoint.is_on) == (f"{receiver.origin}/new", False)
    test = owner_client.post(reverse("webhook_test", args=[endpoint.pk]), follow=True)
    assert "The webhook is off" in test.content.decode()
    refused = owner_client.post(url, {"url": "https://10.0.0.1/", "is_on": "on"})
    assert refused.status_code == 422
    assert "on the public Internet" in refused.content.decode()
    endpoint.refresh_from_db()
    assert endpoint.url == f"{receiver.origin}/new"


def test_a_secret_is_rotated_after_a_question(
    owner_client: Client, endpoint: WebhookEndpoint
) -> None:
    before = signing.secret_of(endpoint)
    url = reverse("webhook_rotate", args=[endpoint.pk])
    assert "Rotate the secret?" in owner_client.get(url).content.decode()
    endpoint.refresh_from_db()
    assert endpoint.generation == 1
    page = owner_client.post(url, {"generation": "1"}).content.decode()
    endpoint.refresh_from_db()
    assert signing.secret_of(endpoint) in page
    assert before not in page


def test_a_webhook_is_removed_after_a_question_and_stays_in_the_log(
    owner_client: Client, endpoint: WebhookEndpoint
) -> None:
    raising.raise_test(endpoint, at=timezone.now())
    url = reverse("webhook_remove", args=[endpoint.pk])
    assert "Remove this webhook?" in owner_client.get(url).content.decode()
    owner_client.post(url)
    page = page_of(owner_client)
    assert f'href="{reverse("webhook", args=[endpoint.pk])}"' not in page
    assert endpoint.url in page
    assert owner_client.get(url).status_code == 404


def test_a_test_that_was_asked_for_is_in_the_log(
    owner_client: Client, endpoint: WebhookEndpoint
) -> None:
    owner_client.post(reverse("webhook_test", args=[endpoint.pk]))
    assert Delivery.objects.get().alert.kind == Kind.TEST
    assert "Test of a webhook" in page_of(owner_client)


def test_what_came_to_an_end_can_be_sent_again_from_the_log(
    owner_client: Client, endpoint: WebhookEndpoint
) -> None:
    raising.raise_test(endpoint, at=timezone.now())
    delivery = Delivery.objects.get()
    resend = reverse("delivery_resend", args=[delivery.pk])
    assert resend not in page_of(owner_client)
    delivery.mark_failed(error="answered 500", status=500, at=timezone.now())
    page = page_of(owner_client)
    assert resend in page
    assert "answered 500" in page
    answer = owner_client.post(resend, {"tries": "0"}, follow=True)
    assert "It is sent again" in answer.content.decode()
    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.WAITING


def test_things_of_others_are_not_there(outsider_client: Client, endpoint: WebhookEndpoint) -> None:
    raising.raise_test(endpoint, at=timezone.now())
    Delivery.objects.update(state="failed", done_at=timezone.now())
    assert endpoint.url not in page_of(outsider_client)
    for name in ("webhook", "webhook_rotate", "webhook_remove", "webhook_test"):
        assert outsider_client.post(reverse(name, args=[endpoint.pk])).status_code == 404
    outsider_client.post(
        reverse("delivery_resend", args=[Delivery.objects.get().pk]), {"tries": "0"}
    )
    assert Delivery.objects.get().state == "failed"


def test_the_log_has_pages_and_the_one_past_the_last_says_so(
    owner_client: Client, account: Account
) -> None:
    for number in range(45):
        raising.raise_alert(
            account=account,
            kind=Kind.TEST,
            occasion=str(number),
            data={},
            at=timezone.now(),
        )
    seen, address = [], reverse("alerts")
    while address:
        page = owner_client.get(address).content.decode()
        seen.append(page.count("Test of a webhook"))
        found = re.search(r'rel="next"\s+href="([^"]+)"', page)
        address = html.unescape(found[1]) if found else ""
    assert seen == [20, 20, 5]
    for odd in ("x", "-1", "9" * 300, ""):
        assert "Alerts" in page_of(owner_client, after=odd)
    assert "Nothing here any more" in page_of(owner_client, after="x")


def test_what_only_passed_by_is_not_in_the_log(owner_client: Client, account: Account) -> None:
    raising.pass_by(account=account, kinds=[Kind.WEEK_50], occasion="1", at=timezone.now())
    assert Alert.objects.count() == 1
    assert "Nothing to tell yet" in page_of(owner_client)


def test_the_admin_shows_all_of_it_and_changes_nothing(
    admin_client: Client, endpoint: WebhookEndpoint, account: Account
) -> None:
    raising.raise_test(endpoint, at=timezone.now())
    for model in (Alert, Delivery, WebhookEndpoint, AlertSettings):
        base = f"admin:alerts_{model._meta.model_name}"
        listed = admin_client.get(reverse(f"{base}_changelist"), {"q": account.handle})
        assert listed.status_code == 200
        assert admin_client.get(reverse(f"{base}_add")).status_code == 403
    shown = admin_client.get(reverse("admin:alerts_webhookendpoint_change", args=[endpoint.pk]))
    assert "whsec_" not in shown.content.decode()


def test_the_page_works_while_there_is_no_pepper_of_a_webhook(
    owner_client: Client, endpoint: WebhookEndpoint, settings: Settings
) -> None:
    endpoint.pepper_id = "gone"
    endpoint.save()
    assert endpoint.url in page_of(owner_client)
    url = reverse("webhook_rotate", args=[endpoint.pk])
    assert "whsec_" in owner_client.post(url, {"generation": "1"}).content.decode()
