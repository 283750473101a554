"""Asking people in by mail."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import invitations
from accounts.models import Account, AuditEvent, Invitation, Membership, User
from gate.terms.redaction import redact
from quotas import grants
from quotas.models.entitlements import PlanGrant
from quotas.models.plans import Plan
from tests.accounts.acts import sign_in
from tests.conftest import PASSWORD
from tests.signed_in import sign_in_at_once
from tests.site.answer import Answer
from tests.team.conftest import acting_for

Role = Membership.Role
State = Invitation.State
Join = Callable[[str], User]
GUEST = "guest@example.com"


@pytest.fixture
def client_of_owner(owner: User, team: Account) -> Client:
    return acting_for(owner, team)


@pytest.fixture
def letters(settings: object) -> list[mail.EmailMultiAlternatives]:
    """What is written to people."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"  # type: ignore[attr-defined]
    mail.outbox = []
    return mail.outbox  # type: ignore[return-value]


def guest(email: str = GUEST, *, verified: bool = True) -> User:
    user = User.objects.create_user(email, PASSWORD, name="Gitta Guest")
    EmailAddress.objects.create(user=user, email=email, verified=verified, primary=True)
    return user


def ask(client: Client, account: Account, email: str = GUEST, role: str = "developer") -> Answer:
    sent = {"for_account": account.handle, "email": email, "role": role}
    return client.post(reverse("team_invite"), sent)


def link_in(letter: mail.EmailMultiAlternatives) -> str:
    found = re.search(r"https?://[^/\s]+(/invitations/\S+)", str(letter.body))
    assert found
    return found[1]


def browser_of(user: User | None) -> Client:
    client = Client()
    if user is not None:
        sign_in_at_once(client, user)
    return client


Letters = list[mail.EmailMultiAlternatives]


def test_who_is_invited_joins_with_the_role(
    client_of_owner: Client, team: Account, letters: Letters
) -> None:
    assert ask(client_of_owner, team, role="billing").status_code == 302
    letter = letters[0]
    assert letter.to == [GUEST]
    assert letter.subject == "You are invited to “Acme”"
    page = str(letter.alternatives[0][0])
    assert link_in(letter) in page
    assert "Olga Owner" in page
    user = guest()
    client = browser_of(user)
    answer = client.get(link_in(letter))
    assert answer.headers["Location"] == reverse("invitation")
    shown = client.get(reverse("invitation")).content.decode()
    assert "Join “Acme”?" in shown
    assert "Billing" in shown
    assert not user.memberships.filter(account=team).exists()
    answer = client.post(reverse("invitation_accept"))
    assert answer.headers["Location"] == reverse("usage")
    assert user.memberships.get(account=team).role == Role.BILLING
    assert "Acme" in client.get(reverse("billing")).content.decode()
    acts = AuditEvent.objects.filter(account=team).order_by("pk").values_list("act", "user_name")
    assert list(acts) == [("invited", "owner@example.com"), ("joined", GUEST)]
    # It is used up.
    client.get(link_in(letter))
    assert client.get(reverse("invitation")).status_code == 410


def test_a_stranger_signs_in_and_comes_back_to_it(
    client_of_owner: Client, team: Account, letters: Letters
) -> None:
    ask(client_of_owner, team)
    user, client = guest(), Client()
    client.get(link_in(letters[0]))
    page = client.get(reverse("invitation")).content.decode()
    assert f"{reverse('account_signup')}?next=/invitation" in page
    assert client.post(reverse("invitation_accept")).headers["Location"].startswith("/auth/login")
    answer = sign_in(client, GUEST, next=reverse("invitation"))
    assert answer.headers["Location"] == reverse("invitation")
    assert "Join “Acme”?" in client.get(reverse("invitation")).content.decode()
    client.post(reverse("invitation_accept"))
    assert user.memberships.filter(account=team).exists()


@pytest.mark.parametrize("verified", [None, False])
def test_it_is_for_the_address_alone_and_only_once_that_is_confirmed(
    client_of_owner: Client,
    team: Account,
    letters: Letters,
    outsider: User,
    verified: bool | None,
) -> None:
    ask(client_of_owner, team)
    user = outsider if verified is None else guest(verified=False)
    client = browser_of(user)
    client.get(link_in(letters[0]))
    page = client.get(reverse("invitation")).content.decode()
    assert f'action="{reverse("invitation_accept")}"' not in page
    for name in ("invitation_accept", "invitation_decline"):
        assert client.post(reverse(name)).status_code == 409
    assert not user.memberships.filter(account=team).exists()
    assert Invitation.objects.get().state == State.OPEN


def test_an_address_is_the_same_in_any_case_and_as_a_second_one(
    client_of_owner: Client, team: Account, letters: Letters, outsider: User
) -> None:
    ask(client_of_owner, team, "Guest@Example.com")
    EmailAddress.objects.create(user=outsider, email=GUEST, verified=True)
    client = browser_of(outsider)
    client.get(link_in(letters[0]))
    client.post(reverse("invitation_accept"))
    assert outsider.memberships.filter(account=team).exists()
    # Whoever is there under any address is not asked again.
    assert "is a member already" in ask(client_of_owner, team).content.decode()


def test_no_is_an_answer(client_of_owner: Client, team: Account, letters: Letters) -> None:
    ask(client_of_owner, team)
    user = guest()
    client = browser_of(user)
    client.get(link_in(letters[0]))
    client.post(reverse("invitation_decline"))
    assert not user.memberships.filter(account=team).exists()
    client.get(link_in(letters[0]))
    answer = client.get(reverse("invitation"))
    assert answer.status_code == 410
    assert "was declined" in answer.content.decode()
    # They may be asked again.
    assert ask(client_of_owner, team).status_code == 302


def test_what_expired_was_withdrawn_or_sent_again_leads_nowhere_and_says_so(
    client_of_owner: Client, team: Account, letters: Letters
) -> None:
    ask(client_of_owner, team)
    client, sent = browser_of(guest()), {"for_account": team.handle}
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    client.get(link_in(letters[0]))
    assert "has expired" in client.get(reverse("invitation")).content.decode()
    assert client.post(reverse("invitation_accept")).status_code == 409
    invitation = Invitation.objects.get()
    again = reverse("team_invite_again", args=[invitation.pk])
    # A moment after the first is too soon.
    client_of_owner.post(again, sent)
    assert len(letters) == 1
    Invitation.objects.update(sent_at=timezone.now() - timedelta(minutes=2))
    client_of_owner.post(again, sent)
    assert len(letters) == 2
    client.get(link_in(letters[0]))
    unknown = client.get(reverse("invitation"))
    assert unknown.status_code == 404
    assert "leads to no invitation" in unknown.content.decode()
    client.get(link_in(letters[1]))
    assert "Join “Acme”?" in client.get(reverse("invitation")).content.decode()
    client_of_owner.post(reverse("team_withdraw", args=[invitation.pk]), sent)
    assert "was withdrawn" in client.get(reverse("invitation")).content.decode()
    assert client.post(reverse("invitation_accept")).status_code == 409
    assert not Membership.objects.filter(account=team, user__email=GUEST).exists()


def test_an_address_has_one_open_invitation(
    client_of_owner: Client, team: Account, letters: Letters
) -> None:
    ask(client_of_owner, team)
    answer = ask(client_of_owner, team, "GUEST@example.com")
    assert answer.status_code == 422
    assert "is invited already" in answer.content.decode()
    Invitation.objects.update(expires_at=timezone.now())
    assert ask(client_of_owner, team, role="viewer").status_code == 302
    assert Invitation.objects.get().role == Role.VIEWER
    assert len(letters) == 2


@pytest.mark.parametrize("role", ["owner", "king", ""])
def test_nobody_is_made_an_owner_by_mail(
    client_of_owner: Client, team: Account, letters: Letters, role: str
) -> None:
    assert ask(client_of_owner, team, role=role).status_code == 422
    assert letters == []


def test_a_plan_by_the_seat_has_no_room_for_more(
    client_of_owner: Client, team: Account, letters: Letters, joined: Join
) -> None:
    joined(Role.DEVELOPER)
    plan = Plan.objects.get(slug="teams")
    grants.grant_plan(
        account=team,
        plan=plan,
        source=PlanGrant.Source.ADMIN,
        at=timezone.now(),
        seats=3,
        source_ref="test:seats",
    )
    assert ask(client_of_owner, team).status_code == 302
    page = client_of_owner.get(reverse("team")).content.decode()
    assert "3 of 3 seats are taken or promised." in page
    assert f'<a href="{reverse("billing")}">buy another seat</a>' in page
    answer = ask(client_of_owner, team, "another@example.com")
    assert answer.status_code == 422
    assert "Every seat of the plan is taken or promised." in answer.content.decode()
    # What was promised is kept, while there is room at all.
    client = browser_of(guest())
    client.get(link_in(letters[0]))
    for number in range(2):
        user = User.objects.create_user(f"{number}@example.com")
        Membership.objects.create(account=team, user=user, role=Role.VIEWER)
    answer = client.post(reverse("invitation_accept"))
    assert answer.status_code == 409
    assert "Every seat of the team’s plan is taken." in answer.content.decode()
    Membership.objects.filter(account=team, role=Role.VIEWER).delete()
    assert client.post(reverse("invitation_accept")).status_code == 302


def test_whom_somebody_asked_in_does_not_come_in_after_they_are_gone(
    client_of_owner: Client, team: Account, letters: Letters, joined: Join
) -> None:
    admin = joined(Role.ADMIN)
    ask(acting_for(admin, team), team)
    sent = {"for_account": team.handle}
    client_of_owner.post(reverse("team_remove", args=[admin.pk]), sent)
    assert Invitation.objects.get().state == State.WITHDRAWN


def test_the_secret_is_kept_nowhere_and_is_in_no_log(
    client_of_owner: Client, team: Account, letters: Letters
) -> None:
    ask(client_of_owner, team)
    secret = link_in(letters[0]).rpartition("/")[2]
    kept = {str(value) for value in vars(Invitation.objects.get()).values()}
    assert not any(secret in value for value in kept)
    assert secret not in redact(f'"GET /invitations/{secret} HTTP/1.1" 302')
    events = AuditEvent.objects.filter(account=team).values()
    assert secret not in str(list(events))


def test_the_mail_speaks_the_language_of_who_gets_it(
    client_of_owner: Client, team: Account, letters: Letters
) -> None:
    user = guest()
    user.choose_language("de")
    ask(client_of_owner, team)
    assert 'lang="de"' in str(letters[0].alternatives[0][0])


def test_nobody_sends_mail_without_end(
    client_of_owner: Client, team: Account, letters: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invitations, "A_DAY_AT_MOST", 1)
    assert ask(client_of_owner, team).status_code == 302
    assert ask(client_of_owner, team, "another@example.com").status_code == 422
    monkeypatch.setattr(invitations, "A_DAY_AT_MOST", 9)
    monkeypatch.setattr(invitations, "OPEN_AT_MOST", 1)
    assert ask(client_of_owner, team, "another@example.com").status_code == 422
    assert len(letters) == 1


def test_invitations_of_other_accounts_are_out_of_reach(
    client_of_owner: Client, team: Account, letters: Letters, outsider: User
) -> None:
    ask(client_of_owner, team)
    pk = Invitation.objects.get().pk
    client = browser_of(outsider)
    for name in ("team_invite_again", "team_withdraw"):
        assert client.post(reverse(name, args=[pk])).status_code == 404
    assert Invitation.objects.get().state == State.OPEN
