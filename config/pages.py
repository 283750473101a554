"""Public pages and the probes."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.current import membership_of
from accounts.site_address import site_address
from billing.models import Product
from config import readiness
from config.public_pages import public_page
from keys.models import ApiKey
from quotas import catalogue
from quotas.offer import offered


@require_safe
@public_page
def home(request: HttpRequest) -> HttpResponse:
    """What this is, and why one would want it."""
    products = Product.objects.filter(is_active=True)
    context = {
        "base_url": site_address(),
        "plans": catalogue.public_plans(),
        "boost": products.filter(kind=Product.Kind.BOOST).first(),
    }
    return render(request, "pages/home.html", context)


@require_safe
@public_page
def pricing(request: HttpRequest) -> HttpResponse:
    """Plans, boosts and credits."""
    products = list(Product.objects.filter(is_active=True))
    context = {
        "plans": catalogue.public_plans(),
        "boosts": [p for p in products if p.kind == Product.Kind.BOOST],
        "credit_products": [p for p in products if p.kind == Product.Kind.CREDITS],
        "credits_per_chat": catalogue.policy().credits_per_chat,
        # What only plans have that are not public is nobody's business.
        "models": [model for model in offered() if model.plan_names],
    }
    return render(request, "pages/pricing.html", context)


@require_safe
@public_page
def quickstart(request: HttpRequest) -> HttpResponse:
    """From no key to a streamed reply."""
    membership = membership_of(request)
    context = {
        "base_url": site_address(),
        "models_example": (
            f'curl {site_address()}/api/v1/models \\\n  -H "Authorization: Bearer $SANSXEL_KEY"'
        ),
        "has_keys": membership is not None
        and ApiKey.objects.filter(account=membership.account, revoked_at=None).exists(),
    }
    return render(request, "pages/quickstart.html", context)


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """The process can work. What else is lost is named, and does not keep it from being asked."""
    state = readiness.State(readiness.look())
    return JsonResponse(state.said, status=state.http_status)
