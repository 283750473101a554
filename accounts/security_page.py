"""/account/security: how somebody signs in, on one page."""

from typing import Any

from allauth import app_settings as allauth_settings
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.current import person_page
from accounts.second_factor import Type
from accounts.sessions import end_other_sessions, end_session, open_sessions


@require_GET
@person_page
@never_cache
def security(request: HttpRequest) -> HttpResponse:
    """Password, addresses, app, recovery codes, passkeys and sessions of whoever is signed in."""
    assert request.user.is_authenticated
    factors = list(Authenticator.objects.filter(user=request.user).order_by("pk"))
    by_type: dict[str, Any] = {factor.type: factor for factor in factors}
    codes = by_type.get(Type.RECOVERY_CODES)
    context = {
        "addresses": EmailAddress.objects.filter(user=request.user).order_by("-primary", "pk"),
        "app": by_type.get(Type.TOTP),
        "codes_left": len(codes.wrap().get_unused_codes()) if codes else None,
        "passkeys": [factor for factor in factors if factor.type == Type.WEBAUTHN],
        "has_second_factor": any(factor.type != Type.RECOVERY_CODES for factor in factors),
        "has_name": settings.SITE_HAS_NAME,
        "sessions": open_sessions(request, request.user),
        "may_come_from_elsewhere": allauth_settings.SOCIALACCOUNT_ENABLED,
    }
    return render(request, "accounts/security.html", context)


@require_POST
@person_page
@never_cache
def session_end(request: HttpRequest, session_id: int) -> HttpResponse:
    """Sign one browser out; this one is signed out on a page of its own."""
    assert request.user.is_authenticated
    row = get_object_or_404(UserSession, pk=session_id, user=request.user)
    if row.session_key == request.session.session_key:
        return redirect("account_logout")
    end_session(row=row, by=request.user)
    messages.success(request, _("That browser is signed out."))
    return redirect("security")


@require_POST
@person_page
@never_cache
def others_end(request: HttpRequest) -> HttpResponse:
    """Sign every other browser out."""
    assert request.user.is_authenticated
    end_other_sessions(request, request.user)
    messages.success(request, _("You are signed out everywhere but here."))
    return redirect("security")


@require_GET
def to_security(request: HttpRequest) -> HttpResponse:
    """Where allauth has pages of its own for what stands on ours."""
    return redirect("security")


def sent_to_allauth(request: HttpRequest) -> HttpResponse:
    """A connection that is to go; whoever only looks finds them on our page."""
    if request.method != "POST":
        return redirect("security")
    # Only where the package is installed.
    view = import_string("allauth.socialaccount.views.connections")
    answer: HttpResponse = view(request)
    return answer
