"""/account/security: how somebody signs in, on one page."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.current import person_page
from accounts.second_factor import Type


@require_GET
@person_page
@never_cache
def security(request: HttpRequest) -> HttpResponse:
    """Password, addresses, app, recovery codes and passkeys of whoever is signed in."""
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
    }
    return render(request, "accounts/security.html", context)


@require_GET
def to_security(request: HttpRequest) -> HttpResponse:
    """Where allauth has pages of its own for what stands on ours."""
    return redirect("security")
