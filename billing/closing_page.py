"""Closing an account, or oneself: what ends is said first, and its name is typed to mean it."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.current import AccountRequest, account_page, forget_memberships, person_page
from accounts.models import REOPENED_WITHIN, User
from accounts.recent import ask_again_unless_recent
from accounts.roles import Act
from billing import closing, closing_person
from billing.closing import CannotClose, CannotConfirm


class NameForm(forms.Form):
    """The name of the account, so that nobody closes another one, or closes it by mistake."""

    name = forms.CharField(
        label=gettext_lazy("Name of the account"),
        max_length=120,
        error_messages={"required": gettext_lazy("Type the name of the account.")},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, called: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._called = called

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name.split() != self._called.split():
            raise forms.ValidationError(_("This is not the name of this account."))
        return name


@require_http_methods(["GET", "POST"])
@account_page(Act.CLOSE, asks_again=True)
@never_cache
def close(request: AccountRequest) -> HttpResponse:
    """Say what is lost and what is kept; posted with the name, it is closed."""
    account = request.account
    form = NameForm(request.POST if request.method == "POST" else None, called=account.name)
    if not form.is_valid():
        return _page(request, form, status=422 if form.is_bound else 200)
    words = {"account": account.name}
    try:
        closing.close(account=account, by=request.user, at=timezone.now())
    except CannotClose as error:
        return _page(request, form, error=str(error), status=422)
    except CannotConfirm:
        said = _(
            "“%(account)s” is closed, but the gate has not confirmed it yet. It is repeated every "
            "second; until then its keys may still work."
        )
        messages.warning(request, said % words)
    else:
        said = _("“%(account)s” is closed. Every request with its keys is refused.")
        messages.success(request, said % words)
    forget_memberships(request)
    # Where they are now is said by who looks next.
    return redirect("usage")


def _page(
    request: AccountRequest, form: NameForm, *, error: str = "", status: int = 200
) -> HttpResponse:
    context = {
        "form": form,
        "error": error,
        "stake": closing.at_stake(request.account, by=request.user),
        "days": REOPENED_WITHIN.days,
    }
    return render(request, "accounts/close.html", context, status=status)


class AddressForm(forms.Form):
    """The address of whoever goes, so that nobody does by mistake."""

    email = forms.CharField(
        label=gettext_lazy("Your email address"),
        max_length=254,
        error_messages={"required": gettext_lazy("Type your email address.")},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._user = user

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if email.strip().lower() != self._user.email.lower():
            raise forms.ValidationError(_("This is not the address that you sign in with."))
        return email


@require_http_methods(["GET", "POST"])
@person_page
@never_cache
def close_person(request: HttpRequest) -> HttpResponse:
    """Say what goes with a person and what is kept; posted with the address, they are gone."""
    user = request.user
    assert isinstance(user, User)
    ask_again_unless_recent(request)
    form = AddressForm(request.POST if request.method == "POST" else None, user=user)
    if not form.is_valid():
        return _person_page(request, user, form, status=422 if form.is_bound else 200)
    try:
        is_confirmed = closing_person.close(user=user, at=timezone.now())
    except CannotClose as error:
        return _person_page(request, user, form, error=str(error), status=422)
    logout(request)
    if is_confirmed:
        messages.success(request, _("You are deleted here, and signed out. Goodbye."))
    else:
        said = _(
            "You are deleted here, and signed out. The gate has not confirmed yet that your "
            "account is closed: it is repeated every second."
        )
        messages.warning(request, said)
    return redirect("home")


def _person_page(
    request: HttpRequest, user: User, form: AddressForm, *, error: str = "", status: int = 200
) -> HttpResponse:
    account = closing_person.own_account_of(user)
    context = {
        "form": form,
        "error": error,
        "hindering": closing_person.hindering(user),
        "personal": account,
        "stake": closing.at_stake(account, by=user) if account else None,
    }
    return render(request, "accounts/close_person.html", context, status=status)
