"""Whatever the admin calls a thing, it can call it so in the reader's language."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db.models import Model
from django.test import Client, RequestFactory
from django.utils import translation
from django.utils.functional import Promise
from django.utils.text import capfirst

from accounts.admin_fields import RightsField
from accounts.models import Membership, User
from config.administration.names import IN_HISTORIES
from config.administration.tasks import TASKS


def models_of_the_admin() -> list[type[Model]]:
    """Those that have a page, and those that are lines of one."""
    return [*admin.site._registry, Membership]


@pytest.mark.parametrize("model", models_of_the_admin(), ids=lambda model: model.__name__)
def test_every_model_and_field_is_called_by_a_name_that_has_translations(
    model: type[Model],
) -> None:
    about = model._meta
    called: dict[str, Any] = {"one": about.verbose_name, "many": about.verbose_name_plural}
    for field in (*about.local_fields, *about.local_many_to_many):
        # The number of a row is shown nowhere.
        if not (field.primary_key and field.name == "id"):
            called[field.name] = field.verbose_name

    assert [name for name, words in called.items() if not isinstance(words, Promise)] == []


def test_names_that_django_makes_of_code_stay_as_they_are_in_english() -> None:
    about = Membership._meta

    assert (str(about.verbose_name), str(about.verbose_name_plural)) == (
        "membership",
        "memberships",
    )
    assert str(about.get_field("created_at").verbose_name) == "created at"


def test_what_histories_say_was_changed_has_translations(admin_user: User) -> None:
    asked = RequestFactory().get("/")
    asked.user = admin_user

    unknown = {label for label in labels_of_changes(asked) if label not in IN_HISTORIES}

    assert unknown == set()


def labels_of_changes(asked: Any) -> Iterator[str]:
    """What fields are called in forms that change rows, unless a form gives them another name."""
    with translation.override(None):
        for model, page in admin.site._registry.items():
            if not page.has_change_permission(asked):
                continue
            for name, field in page.get_form(asked, change=True).base_fields.items():
                if name not in {one.name for one in model._meta.get_fields()}:
                    continue
                words: Any = getattr(model._meta.get_field(name), "verbose_name", "")
                if field.label == capfirst(words):
                    yield str(field.label)


def test_a_right_is_called_as_before(admin_user: User) -> None:
    rights = Permission.objects.select_related("content_type")
    field = RightsField(rights)

    for right in rights:
        assert field.label_from_instance(right) == str(right)


def test_rights_are_chosen_by_names_that_have_translations(admin_client: Client) -> None:
    form = admin_client.get("/admin/auth/group/add/").context["adminform"].form

    assert isinstance(form.fields["permissions"], RightsField)


def test_every_heading_has_translations() -> None:
    assert all(isinstance(task.name, Promise) for task in TASKS)
    assert isinstance(admin.site.index_title, Promise)
