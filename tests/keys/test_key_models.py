"""Which models a key may ask: chosen in the form or by a program, and held by the gate."""

import asyncio
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Account, AuditEvent, User
from gate.terms.reasons import Reason
from keys.issue import issue_api_key
from keys.limits import KeyLimits
from keys.models import ApiKey
from quotas.models.offer import AIModel
from quotas.models.plans import Plan
from tests.keys.acts import shown_key, submit_key
from tests.keys.test_key_edit import edit
from tests.patient_gate import patient_gate
from tests.quotas.test_keys_for_programs import Program, manager_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def models(plans: None) -> tuple[str, str]:
    """Two models that every plan may ask, by name."""
    first = AIModel.objects.filter(endpoint="chat", is_offered=True).first()
    assert first
    other = AIModel.objects.create(
        name="another-1",
        endpoint="chat",
        provider=first.provider,
        is_offered=True,
        for_all_plans=True,
    )
    return first.name, other.name


def decided(key: str, *models: str) -> list[str]:
    """What the gate says of one chat with each."""

    async def asking() -> list[str]:
        async with patient_gate() as gate:
            return [(await gate.check(key=key, model=model)).reason for model in models]

    return asyncio.run(asking())


def test_a_key_asks_what_was_ticked_and_nothing_else(
    owner_client: Client, models: tuple[str, str]
) -> None:
    key = shown_key(submit_key(owner_client, only_models=[models[0]]))
    assert ApiKey.objects.get().only_models == [models[0]]
    assert decided(key, *models, "") == [
        Reason.OK,
        Reason.MODEL_NOT_PERMITTED,
        Reason.MODEL_NOT_PERMITTED,
    ]
    assert f"only asks {models[0]}" in owner_client.get(reverse("keys")).text


def test_without_a_tick_it_asks_every_model(owner_client: Client, models: tuple[str, str]) -> None:
    assert decided(shown_key(submit_key(owner_client)), *models) == [Reason.OK, Reason.OK]


def test_a_model_that_the_plan_has_not_is_not_offered(
    owner_client: Client, models: tuple[str, str]
) -> None:
    other = AIModel.objects.get(name=models[1])
    other.for_all_plans = False
    other.save()
    other.plans.set([Plan.objects.get(slug="plus")])
    form = owner_client.get(reverse("keys")).context["form"]
    assert models[1] not in dict(form.fields["only_models"].choices)
    page = submit_key(owner_client, only_models=[models[1]])
    assert page.status_code == 422
    assert "There is no “another-1” to choose." in page.text


def test_an_edited_key_asks_others_from_then_on_and_it_is_written_down(
    account: Account, owner: User, owner_client: Client, models: tuple[str, str]
) -> None:
    key, text = issue_api_key(
        account=account,
        name="a",
        submission=uuid4(),
        by=owner,
        limits=KeyLimits(only_models=(models[0], "gone-1")),
    )
    # One that is offered no more stays until it is unticked.
    edit(owner_client, key, only_models=[models[1], "gone-1"])
    key.refresh_from_db()
    assert key.only_models == [models[1], "gone-1"]
    assert decided(text, *models) == [Reason.MODEL_NOT_PERMITTED, Reason.OK]
    event = AuditEvent.objects.get(act="changed")
    ((name, before, after),) = event.changes
    assert (name, before, after) == (
        "only_models",
        f"{models[0]}, gone-1",
        f"{models[1]}, gone-1",
    )
    edit(owner_client, key, only_models=None)
    assert decided(text, *models) == [Reason.OK, Reason.OK]


def test_programs_choose_models_by_name(
    account: Account, owner: User, models: tuple[str, str]
) -> None:
    _, manager = manager_of(account, owner)
    program = Program(manager)
    made = program.create(models=[models[0], models[0]])
    assert (made.status_code, made.json()["models"]) == (201, [models[0]])
    assert decided(made.json()["key"], *models) == [Reason.OK, Reason.MODEL_NOT_PERMITTED]
    key = ApiKey.objects.get(pk=made.json()["id"])
    assert program.change(key, name="other").json()["models"] == [models[0]]
    assert program.change(key, models=[]).json()["models"] == []
    refused = program.change(key, models=["nothing-1"])
    assert (refused.status_code, refused.json()["field"]) == (400, "models")
    assert refused.json()["detail"] == "The plan has no model “nothing-1”."
