"""A form that cannot take a value says so as a person would, and the page goes on at that place."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.core.exceptions import ValidationError
from django.test import Client, RequestFactory
from django.urls import get_resolver, reverse

from accounts.models import User

# What no field takes, or only a few: too little, too much, too long, nothing, and of another kind.
ODD = ("", "-1", "0", "x", "9" * 40, "1.23456789", "n" * 100_000, "2026-31-31", "{")
OURS = ("accounts", "alerts", "billing", "config", "keys", "quotas", "allauth.account")
# Words of a machine to whoever wrote it.
MACHINE = re.compile(r"Ensure|Select a valid|This field|Enter a (whole|valid (date|value))")


def _subclasses(form: type[forms.BaseForm]) -> Iterator[type[Any]]:
    for one in form.__subclasses__():
        yield one
        yield from _subclasses(one)


@pytest.fixture
def all_forms(admin_user: User) -> dict[str, type[Any]]:
    """Every form of ours and of signing in, and those that the admin makes of models."""
    # Whatever an address leads to is imported.
    assert get_resolver().url_patterns
    found = {f"{form.__module__}.{form.__name__}": form for form in _subclasses(forms.BaseForm)}
    found = {name: form for name, form in found.items() if name.startswith(OURS)}
    request = RequestFactory().get("/")
    request.user = admin_user
    for model, shown in admin.site._registry.items():
        assert isinstance(shown, ModelAdmin)
        if shown.has_add_permission(request):
            found[f"admin of {model.__name__}, added"] = shown.get_form(request)
        found[f"admin of {model.__name__}"] = shown.get_form(request, change=True)
    return found


def _said(field: forms.Field) -> Iterator[str]:
    several = (forms.MultiValueField, forms.MultipleChoiceField, forms.ModelMultipleChoiceField)
    for value in ODD:
        try:
            field.clean([value, value] if isinstance(field, several) else value)
        except ValidationError as error:
            yield from error.messages


@pytest.mark.django_db
def test_no_form_of_the_site_speaks_like_a_machine(
    all_forms: dict[str, type[Any]],
) -> None:
    assert {"keys.forms.NewKeyForm", "allauth.account.forms.LoginForm", "admin of Product"} <= set(
        all_forms
    )
    found = {
        f"{name}.{field_name}: {words}"
        for name, form in all_forms.items()
        for field_name, field in form.base_fields.items()
        if not isinstance(field, forms.FileField)
        for words in _said(field)
        if MACHINE.search(words)
    }
    assert found == set()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        (forms.IntegerField(min_value=1), 0, "Give 1 or more."),
        (forms.IntegerField(max_value=9), 10, "Give 9 or less."),
        (forms.IntegerField(step_size=5), 7, "Give a multiple of 5."),
        (forms.IntegerField(), "x", "Write a whole number, in digits."),
        (forms.CharField(max_length=1), "xyz", "Write 1 character at most; this has 3."),
        (forms.CharField(min_length=2), "x", "Write 2 characters or more; this has 1."),
        (forms.CharField(), "", "Fill this in."),
        (forms.DecimalField(max_digits=2), "123", "Write 2 digits at most."),
        (forms.DateField(), "x", "Write a day that exists, as 2026-11-29."),
        (
            forms.ChoiceField(choices=[("a", "A")]),
            "b",
            "This is none of the choices. Choose one of them.",
        ),
    ],
)
def test_each_kind_of_mistake_has_a_sentence(field: forms.Field, value: object, words: str) -> None:
    with pytest.raises(ValidationError) as raised:
        field.clean(value)
    assert raised.value.messages == [words]


def _where_it_goes_on(page: str) -> list[str]:
    return re.findall(r'<(?:input|textarea|select)[^>]* name="(\w+)"[^>]* autofocus', page)


@pytest.mark.parametrize(
    ("sent", "first"),
    [
        ({"name": "", "weekly_cap": "-1"}, "name"),
        ({"name": "laptop", "weekly_cap": "-1", "addresses": "nowhere"}, "weekly_cap"),
        ({"name": "laptop", "addresses": "nowhere"}, "addresses"),
        ({"name": "laptop", "expires_in": "8"}, "expires_in"),
    ],
)
def test_a_refused_form_goes_on_at_its_first_mistake(
    owner_client: Client, sent: dict[str, str], first: str
) -> None:
    form = {"submission": "2f2c5bd9-7a2f-4c8e-9d59-0a4d9a3d1f42", **sent}
    answer = owner_client.post(reverse("key_create"), form)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert _where_it_goes_on(page) == [first]
    # The limits are folded up, unless one of them is wrong.
    assert ('<details class="more" open' in " ".join(page.split())) is (set(sent) != {"name"})


def test_a_form_that_was_not_sent_takes_nobody_anywhere(owner_client: Client) -> None:
    assert _where_it_goes_on(owner_client.get(reverse("keys")).content.decode()) == []


def test_several_mistakes_are_listed_above_the_form_with_the_ways_to_them(
    owner_client: Client,
) -> None:
    def listed(**sent: str) -> list[str]:
        form = {"submission": "2f2c5bd9-7a2f-4c8e-9d59-0a4d9a3d1f42", **sent}
        page = owner_client.post(reverse("key_create"), form).content.decode()
        return re.findall(r'<a href="#id_(\w+)">', page)

    assert listed(name="", weekly_cap="-1", addresses="nowhere") == [
        "name",
        "weekly_cap",
        "addresses",
    ]
    # One alone is where one stands already.
    assert listed(name="") == []
