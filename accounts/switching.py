"""/teams/switch and /teams/new: which account to act for, and one more."""

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import Resolver404, resolve
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import audit
from accounts.current import act_of, choose, forget_memberships, memberships_of
from accounts.models import Account, Membership, User
from accounts.names import NameFormField
from accounts.roles import Act, Role, may

# Each begins with what the default plan gives for nothing.
OWNED_AT_MOST = 5


class TeamForm(forms.Form):
    """What a team is called."""

    name = NameFormField(
        longest=120,
        label=gettext_lazy("Name of the team"),
        error_messages={"required": gettext_lazy("Give the team a name.")},
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )


@require_POST
@login_required
@never_cache
def switch(request: HttpRequest) -> HttpResponse:
    """Act for another account, and go on with the same page where the role lets one."""
    membership = choose(request, request.POST.get("account", ""))
    if membership is None:
        messages.error(request, _("You are not a member of that account. Nothing was changed."))
        return redirect("home")
    return redirect(_same_page(request.POST.get("next", ""), membership))


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def new(request: HttpRequest) -> HttpResponse:
    """A team, owned by whoever makes it."""
    form = TeamForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return _form(request, form, status=422 if form.is_bound else 200)
    if _teams_owned(request) >= OWNED_AT_MOST:
        form.add_error(
            None,
            _("You own %(count)s teams, as many as one person may. Hand one over first.")
            % {"count": OWNED_AT_MOST},
        )
        return _form(request, form, status=422)
    assert isinstance(request.user, User)
    account = open_team(request.user, name=form.cleaned_data["name"])
    forget_memberships(request)
    choose(request, account.handle)
    messages.success(
        request, _("“%(team)s” is there. Invite whom you work with.") % {"team": account.name}
    )
    return redirect("team")


def _teams_owned(request: HttpRequest) -> int:
    places = memberships_of(request)
    return sum(place.role == Role.OWNER and not place.account.is_personal for place in places)


def open_team(owner: User, *, name: str) -> Account:
    """A new account for several people."""
    with transaction.atomic():
        account = Account.objects.open_for(owner, name=name)
        audit.record(account, audit.Kind.PEOPLE, "team made", thing=name, by=owner)
    return account


def first_page_of(membership: Membership) -> str:
    """The name of the page that a member begins with."""
    return "keys" if may(membership, Act.SEE_KEYS) else "usage"


def _same_page(path: str, membership: Membership) -> str:
    """The page that the visitor came from, if it is about no one thing and they may see it."""
    try:
        found = resolve(path)
    except Resolver404:
        return first_page_of(membership)
    act = act_of(found.func)
    is_open = act is not None and may(membership, act) and not found.kwargs
    return found.view_name if is_open else first_page_of(membership)


def _form(request: HttpRequest, form: TeamForm, *, status: int) -> HttpResponse:
    return render(request, "team/new.html", {"form": form}, status=status)
