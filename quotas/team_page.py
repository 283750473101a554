"""/account/team: who is in an account, as what, who was asked in, and which keys were left behind.

Here and not in `accounts`, because it shows what only these rooms know: seats of the plan, keys.
Whoever changes people does `CHANGE_PEOPLE`, `CHANGE_OWNERS` or `LEAVE`: a door that asks once more
who somebody is stands at the acts, in `accounts.current.account_page`, and at no page by itself.
"""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import budgets, invitations, people
from accounts.current import AccountRequest, account_page, forget_memberships
from accounts.models import Invitation, Membership
from accounts.names import NameFormField
from accounts.roles import LINES, MAY, Act, Role, may, may_give
from keys.models import ApiKey
from quotas import entitlements

# A list to work through; the others follow when these are gone.
_KEYS_AT_MOST = 50


class NameForm(forms.Form):
    """What the account is called."""

    name = NameFormField(
        longest=120,
        label=gettext_lazy("Name"),
        error_messages={"required": gettext_lazy("Give the account a name.")},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class RoleForm(forms.Form):
    """What somebody is, of what the visitor may make others."""

    role = forms.ChoiceField(
        label=gettext_lazy("Role"),
        error_messages={
            "required": gettext_lazy("Choose a role."),
            "invalid_choice": gettext_lazy("Choose one of the roles."),
        },
    )

    without_owner = False

    def __init__(self, *args: Any, of: Membership, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        role = self.fields["role"]
        assert isinstance(role, forms.ChoiceField)
        role.choices = [
            (name, words)
            for name, words in Role.choices
            if may_give(of, name) and not (self.without_owner and name == Role.OWNER)
        ]


class InviteForm(RoleForm):
    """Whom to ask in, and as what. Nobody is made an owner by mail."""

    email = forms.EmailField(
        max_length=254,
        label=gettext_lazy("Email address"),
        error_messages={
            "required": gettext_lazy("Give the address of whom you invite."),
            "invalid": gettext_lazy("This is no email address."),
        },
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )
    field_order = ("email", "role")
    without_owner = True

    def __init__(self, *args: Any, of: Membership, **kwargs: Any) -> None:
        super().__init__(*args, of=of, initial={"role": Role.DEVELOPER}, **kwargs)


@require_GET
@account_page(Act.SEE_PEOPLE)
@never_cache
def team(request: AccountRequest) -> HttpResponse:
    """Everybody, and what each may do."""
    return _page(request)


@require_POST
@account_page(Act.CHANGE_PEOPLE)
@never_cache
def rename(request: AccountRequest) -> HttpResponse:
    """Call the account something else."""
    form = NameForm(request.POST)
    if not form.is_valid():
        return _page(request, name_form=form, status=422)
    people.rename(account=request.account, name=form.cleaned_data["name"], by=request.user)
    messages.success(request, _("Saved."))
    return redirect("team")


@require_http_methods(["GET", "POST"])
@account_page(Act.CHANGE_PEOPLE, asks_again=True)
@never_cache
def invite(request: AccountRequest) -> HttpResponse:
    """Ask somebody in by mail. Whoever comes back to it otherwise finds the page of the team."""
    if request.method == "GET":
        return redirect("team")
    form = InviteForm(request.POST, of=request.membership)
    if not form.is_valid():
        return _page(request, invite_form=form, status=422)
    at = timezone.now()
    try:
        invitation = invitations.invite(
            account=request.account,
            email=form.cleaned_data["email"],
            role=form.cleaned_data["role"],
            by=request.user,
            seats=entitlements.seats_of(request.account, at=at),
            at=at,
        )
    except invitations.CannotInvite as error:
        form.add_error(None, str(error))
        return _page(request, invite_form=form, status=422)
    said = _("%(email)s is invited. The mail is on its way.") % {"email": invitation.email}
    messages.success(request, said)
    return redirect("team")


@require_POST
@account_page(Act.CHANGE_PEOPLE)
@never_cache
def invite_again(request: AccountRequest, invitation_id: int) -> HttpResponse:
    """Send the mail once more."""
    invitation = get_object_or_404(Invitation, pk=invitation_id, account=request.account)
    at = timezone.now()
    try:
        invitations.invite_again(
            invitation=invitation,
            by=request.user,
            seats=entitlements.seats_of(request.account, at=at),
            at=at,
        )
    except invitations.CannotInvite as error:
        messages.error(request, str(error))
    else:
        said = _("Sent again to %(email)s. The mail before leads to nothing any more.")
        messages.success(request, said % {"email": invitation.email})
    return redirect("team")


@require_POST
@account_page(Act.CHANGE_PEOPLE)
@never_cache
def withdraw(request: AccountRequest, invitation_id: int) -> HttpResponse:
    """Take an invitation back."""
    invitation = get_object_or_404(Invitation, pk=invitation_id, account=request.account)
    try:
        invitations.withdraw(invitation=invitation, by=request.user, at=timezone.now())
    except invitations.CannotInvite as error:
        messages.error(request, str(error))
    else:
        said = _("The invitation of %(email)s is withdrawn.") % {"email": invitation.email}
        messages.success(request, said)
    return redirect("team")


@require_http_methods(["GET", "POST"])
@account_page(Act.CHANGE_PEOPLE, asks_again=True)
@never_cache
def member(request: AccountRequest, user_id: int) -> HttpResponse:
    """One member; the POST gives them another role."""
    shown = _member(request, user_id)
    initial = {"role": shown.role}
    form = RoleForm(
        request.POST if request.method == "POST" else None, of=request.membership, initial=initial
    )
    if form.is_valid():
        try:
            has_changed = people.change_role(
                account=request.account,
                user_id=user_id,
                role=form.cleaned_data["role"],
                by=request.user,
            )
        except people.CannotChangePeople as error:
            form.add_error(None, str(error))
        else:
            if has_changed:
                messages.success(request, _("Saved. It counts from their next click."))
            else:
                messages.info(request, _("Nothing was changed: it was so already."))
            return redirect("team")
    context = {
        "form": form,
        "member": shown,
        "may_change": may_give(request.membership, shown.role),
        "may_hand_over": may(request.membership, Act.CHANGE_OWNERS)
        and shown.user_id != request.user.pk,
        "is_self": shown.user_id == request.user.pk,
        **_matrix(),
    }
    return render(request, "team/member.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@account_page(Act.CHANGE_PEOPLE, asks_again=True)
@never_cache
def remove(request: AccountRequest, user_id: int) -> HttpResponse:
    """Ask before a member is taken out; the POST does it."""
    shown = _member(request, user_id)
    if request.method == "GET":
        return _ask(request, "team/remove.html", shown)
    try:
        name = people.remove(
            account=request.account, user_id=user_id, by=request.user, at=timezone.now()
        )
    except people.CannotChangePeople as error:
        return _ask(request, "team/remove.html", shown, error=str(error))
    if shown.user_id == request.user.pk:
        return _gone(request)
    said = _("%(name)s is removed and has no access any more. Keys that they know still work.")
    messages.success(request, said % {"name": name})
    return redirect("team")


@require_http_methods(["GET", "POST"])
@account_page(Act.CHANGE_OWNERS, asks_again=True)
@never_cache
def hand_over(request: AccountRequest, user_id: int) -> HttpResponse:
    """Ask before a member becomes the owner; the POST does it."""
    shown = _member(request, user_id)
    if request.method == "GET":
        return _ask(request, "team/hand_over.html", shown)
    try:
        name = people.hand_over(account=request.account, user_id=user_id, by=request.user)
    except people.CannotChangePeople as error:
        return _ask(request, "team/hand_over.html", shown, error=str(error))
    messages.success(request, _("%(name)s is an owner now, and you are an admin.") % {"name": name})
    return redirect("team")


@require_http_methods(["GET", "POST"])
@account_page(Act.LEAVE, asks_again=True)
@never_cache
def leave(request: AccountRequest) -> HttpResponse:
    """Ask before the visitor goes; the POST does it."""
    shown = _member(request, request.user.pk)
    if request.method == "GET":
        return _ask(request, "team/leave.html", shown)
    try:
        people.leave(account=request.account, by=request.user, at=timezone.now())
    except people.CannotChangePeople as error:
        return _ask(request, "team/leave.html", shown, error=str(error))
    return _gone(request)


def _gone(request: AccountRequest) -> HttpResponse:
    name = request.account.name
    forget_memberships(request)
    # Where they are now is said by who looks next.
    messages.success(request, _("You left “%(account)s”.") % {"account": name})
    return redirect("usage")


def _member(request: AccountRequest, user_id: int) -> Membership:
    members = Membership.objects.filter(account=request.account).select_related("user")
    found = members.filter(user=user_id).first()
    if found is None:
        raise Http404
    return found


def _ask(
    request: AccountRequest, template: str, shown: Membership, *, error: str = ""
) -> HttpResponse:
    keys = ApiKey.objects.filter(
        account=request.account, created_by=shown.user_id, revoked_at=None
    ).count()
    context = {"member": shown, "keys": keys, "error": error}
    return render(request, template, context, status=422 if error else 200)


def _page(
    request: AccountRequest,
    *,
    name_form: forms.Form | None = None,
    invite_form: forms.Form | None = None,
    status: int = 200,
) -> HttpResponse:
    account, membership, at = request.account, request.membership, timezone.now()
    members = list(
        Membership.objects.filter(account=account)
        .select_related("user")
        .order_by("created_at", "pk")
    )
    context: dict[str, Any] = {
        "members": members,
        "new_budget": " · ".join(budgets.in_words(account.new_budget)),
        **_matrix(),
    }
    if may(membership, Act.CHANGE_PEOPLE):
        open_ones = invitations.open_of(account)
        asked = [one for one in open_ones if not one.is_expired(at=at)]
        seats = entitlements.seats_of(account, at=at)
        taken = len(members) + len(asked)
        context |= {
            "name_form": name_form or NameForm(initial={"name": account.name}),
            "invite_form": invite_form or InviteForm(of=membership),
            "invitations": [(one, one.is_expired(at=at)) for one in open_ones],
            "seats": seats,
            "seats_taken": taken,
            "is_full": seats is not None and taken >= seats,
        }
    if may(membership, Act.CHANGE_ALL_KEYS):
        left = ApiKey.objects.filter(account=account, revoked_at=None).exclude(
            created_by__in=[one.user_id for one in members]
        )
        context["keys_left"] = left.select_related("account", "created_by")[:_KEYS_AT_MOST]
    return render(request, "team/team.html", context, status=status)


def _matrix() -> dict[str, Any]:
    """What each role may do, as a table: a line for what belongs together."""
    return {
        "roles": [words for _name, words in Role.choices],
        "matrix": [(words, [acts <= MAY[name] for name in Role.values]) for words, acts in LINES],
    }
