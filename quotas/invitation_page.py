"""/invitations/…: what the mail of an invitation leads to.

The secret stands in the address of the first click alone: the session keeps which invitation it
is, and the pages that follow, signing in and up among them, say no more.
"""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_POST

from accounts import invitations
from accounts.current import choose, forget_memberships
from accounts.models import Invitation, User
from accounts.switching import first_page_of
from quotas import entitlements

_SESSION = "invitation"


@require_GET
@never_cache
@sensitive_variables("secret")
def opened(request: HttpRequest, secret: str) -> HttpResponse:
    """The link of the mail."""
    invitation = invitations.found_by(secret)
    if invitation is None:
        request.session.pop(_SESSION, None)
    else:
        request.session[_SESSION] = invitation.pk
    return redirect("invitation")


@require_GET
@never_cache
def invitation(request: HttpRequest) -> HttpResponse:
    """Who asks, into what and as what; and what can be answered, or why it cannot."""
    return _page(request)


@require_POST
@login_required
@never_cache
def accept(request: HttpRequest) -> HttpResponse:
    """Become a member, and act for the account from now on."""
    found = _invitation(request)
    if found is None:
        return _page(request)
    assert isinstance(request.user, User)
    at = timezone.now()
    try:
        membership = invitations.accept(
            invitation=found,
            user=request.user,
            seats=entitlements.seats_of(found.account, at=at),
            at=at,
        )
    except invitations.CannotAccept as error:
        return _page(request, error=str(error))
    del request.session[_SESSION]
    forget_memberships(request)
    choose(request, found.account.handle)
    messages.success(
        request,
        _("You are in “%(account)s” now, as: %(role)s.")
        % {"account": found.account.name, "role": membership.get_role_display()},
    )
    return redirect(first_page_of(membership))


@require_POST
@login_required
@never_cache
def decline(request: HttpRequest) -> HttpResponse:
    """Say no."""
    found = _invitation(request)
    if found is None:
        return _page(request)
    assert isinstance(request.user, User)
    try:
        invitations.decline(invitation=found, user=request.user, at=timezone.now())
    except invitations.CannotAccept as error:
        return _page(request, error=str(error))
    del request.session[_SESSION]
    said = _("You declined to join “%(account)s”.") % {"account": found.account.name}
    messages.info(request, said)
    return redirect("home")


def _invitation(request: HttpRequest) -> Invitation | None:
    pk = request.session.get(_SESSION)
    rows = Invitation.objects.select_related("account", "invited_by")
    return rows.filter(pk=pk).first() if pk else None


def _page(request: HttpRequest, *, error: str = "") -> HttpResponse:
    found = _invitation(request)
    if found is None:
        return render(request, "team/invitation.html", {"why": "unknown"}, status=404)
    why = invitations.why_not(found, at=timezone.now())
    is_for = isinstance(request.user, User) and invitations.is_for(found, request.user)
    context = {"invitation": found, "why": why, "is_for_visitor": is_for, "error": error}
    status = 409 if error else 410 if why else 200
    return render(request, "team/invitation.html", context, status=status)
