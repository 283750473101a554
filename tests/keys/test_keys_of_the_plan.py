"""What the plan lets keys be used for: forms offer it, programs are told, the gate holds it."""

from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from accounts.models import Account, User
from gate.terms.reasons import Reason
from keys.issue import issue_api_key
from keys.limits import KeyLimits
from keys.models import ApiKey
from quotas import catalogue
from quotas.models.plans import Plan
from tests.entitled import move_to_plan
from tests.keys.acts import shown_key, submit_key
from tests.keys.test_key_edit import edit
from tests.keys.test_key_scopes import decided
from tests.quotas.forms_of_the_admin import filled_in, saved
from tests.quotas.test_keys_for_programs import Program, manager_of

pytestmark = pytest.mark.django_db(transaction=True)

ALL_MAY = dict.fromkeys(("chat", "images", "voice"), Reason.OK)
ONLY_CHAT = {"chat": Reason.OK, "images": Reason.NOT_PERMITTED, "voice": Reason.NOT_PERMITTED}


def limit(slug: str = "free", **fields: object) -> None:
    """Change a plan as the admin does."""
    with transaction.atomic():
        Plan.objects.filter(slug=slug).update(**fields)
        catalogue.changed()


@pytest.fixture
def only_chat(plans: None) -> None:
    """Free has chats alone, and no keys that manage keys."""
    limit(meters=["chat"], keys_manage=False)


def test_the_form_offers_what_the_plan_has_and_says_which_plan_adds_what(
    only_chat: None, owner_client: Client
) -> None:
    page = owner_client.get(reverse("keys"))
    form = page.context["form"]
    assert [value for value, _ in form.fields["meters"].choices] == ["chat"]
    assert "manages_keys" not in form.fields
    assert (
        "Not with the plan “Free”, but with “Core”: Images, Voice, keys that manage keys."
        in page.content.decode()
    )


def test_a_plan_that_has_all_says_nothing(plans: None, owner_client: Client) -> None:
    page = owner_client.get(reverse("keys"))
    assert [value for value, _ in page.context["form"].fields["meters"].choices] == list(ALL_MAY)
    assert "Not with the plan" not in page.content.decode()


def test_what_no_plan_has_is_said_without_one(plans: None, owner_client: Client) -> None:
    for slug in Plan.objects.values_list("slug", flat=True):
        limit(slug, meters=["chat", "images"])
    assert "Not with the plan “Free”: Voice." in owner_client.get(reverse("keys")).content.decode()


def test_a_form_that_asks_for_more_makes_no_key(only_chat: None, owner_client: Client) -> None:
    page = submit_key(owner_client, meters=["chat", "images"])
    assert page.status_code == 422
    assert "There is no “images” to choose." in page.content.decode()
    assert shown_key(submit_key(owner_client, manages_keys="on"))
    assert not ApiKey.objects.get().manages_keys


def test_the_gate_refuses_what_the_plan_has_not_until_it_has_it_again(
    account: Account, owner: User, plans: None
) -> None:
    _, every = issue_api_key(account=account, name="a", submission=uuid4(), by=owner)
    limits = KeyLimits(scopes=("images",))
    key, images = issue_api_key(
        account=account, name="b", submission=uuid4(), by=owner, limits=limits
    )
    assert decided(every) == ALL_MAY
    limit(meters=["chat"])
    assert decided(every) == ONLY_CHAT
    assert set(decided(images).values()) == {Reason.NOT_PERMITTED}
    # The keys are as they were.
    key.refresh_from_db()
    assert key.scopes == ["images"]
    move_to_plan(account, "plus")
    assert decided(every) == ALL_MAY
    assert decided(images)["images"] == Reason.OK


def test_editing_keeps_what_a_key_had_before(
    account: Account, owner: User, owner_client: Client, plans: None
) -> None:
    limits = KeyLimits(scopes=("images",))
    key, _ = issue_api_key(account=account, name="b", submission=uuid4(), by=owner, limits=limits)
    limit(meters=["chat"])
    page = owner_client.get(reverse("key_edit", args=[key.pk]))
    assert [value for value, _ in page.context["form"].fields["meters"].choices] == [
        "chat",
        "images",
    ]
    edit(owner_client, key, name="renamed", meters=["images"])
    key.refresh_from_db()
    assert (key.name, key.scopes) == ("renamed", ["images"])


def test_programs_are_told_which_field_asks_for_too_much(
    account: Account, owner: User, plans: None
) -> None:
    _, text = manager_of(account, owner)
    program = Program(text)
    limit(meters=["chat"])
    refused = program.create(scopes=["chat", "images"])
    assert refused.status_code == 400
    error = refused.json()
    assert error["field"] == "scopes"
    assert error["detail"] == "Not with the plan “Free”, but with “Core”: Images."
    assert ApiKey.objects.count() == 1
    assert program.create(scopes=["chat"]).status_code == 201


def test_a_key_manages_no_keys_while_the_plan_does_not_let_it(
    account: Account, owner: User, plans: None
) -> None:
    _, text = manager_of(account, owner)
    program = Program(text)
    limit(keys_manage=False)
    refused = program("GET")
    assert refused.status_code == 403
    assert refused.json()["code"] == "not_permitted"
    assert "with “Core”: keys that manage keys" in refused.json()["detail"]
    limit(keys_manage=True)
    assert program("GET").status_code == 200


def test_staff_choose_by_meter_and_the_gate_goes_by_it(
    account: Account, owner: User, admin_client: Client, plans: None
) -> None:
    _, every = issue_api_key(account=account, name="a", submission=uuid4(), by=owner)
    free = Plan.objects.get(slug="free")
    page = f"/admin/quotas/plan/{free.pk}/change/"
    saved(admin_client, page, meters=["chat"])
    free.refresh_from_db()
    assert free.meters == ["chat"]
    assert decided(every) == ONLY_CHAT
    assert filled_in(admin_client, page)["meters"] == ["chat"]
    saved(admin_client, page, meters=[])
    assert decided(every) == ALL_MAY


def test_a_scope_that_is_no_meter_is_none_of_a_plan(plans: None) -> None:
    with pytest.raises(IntegrityError, match="plan_meters_are_meters"), transaction.atomic():
        Plan.objects.filter(slug="free").update(meters=["usage:read"])
