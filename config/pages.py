"""Public pages and the probes."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.current import membership_of
from accounts.site_address import site_address
from billing.models import Product
from config import readiness
from config.estimate import estimate_of
from config.example_week import example_week
from config.public_pages import public_page
from config.reference import Reference, of_public_api, of_quota_check
from keys import leak_reports, leaks
from keys.listing import keys_seen_by
from keys.models import ApiKey
from quotas import catalogue, entitlements
from quotas.models.plans import Plan
from quotas.offer import offered


@require_safe
@public_page
def home(request: HttpRequest) -> HttpResponse:
    """What this is, what it costs, and what to do now: in pictures of the product."""
    products = Product.objects.with_a_price()
    boost = products.filter(kind=Product.Kind.BOOST).first()
    plans = catalogue.public_plans()
    credits_per_chat = catalogue.policy().credits_per_chat
    context = {
        "base_url": site_address(),
        "plans": plans,
        "first_plan": next((p for p in plans if p.monthly_price_cents == 0 and p.weekly_cap), None),
        "paid_plan": next((plan for plan in plans if plan.monthly_price_cents), None),
        "boost": boost,
        "credits_per_chat": credits_per_chat,
        "week": example_week(plans, boost, credits_per_chat=credits_per_chat),
    }
    return render(request, "pages/home.html", context)


@require_safe
@public_page
def pricing(request: HttpRequest) -> HttpResponse:
    """Plans, boosts and credits, and what they come to."""
    context = {
        **_prices(None),
        # What only plans have that are not public is nobody's business.
        "models": [model for model in offered() if model.plan_names],
        "current_plan": _current_plan(request),
    }
    return render(request, "pages/pricing.html", context)


@require_safe
@never_cache
def estimate(request: HttpRequest) -> HttpResponse:
    """What so many chats a week come to: the answer to the form of the pricing page."""
    return render(request, "pages/estimate.html", _prices(request.GET.get("chats")))


def _prices(asked_chats: str | None) -> dict[str, Any]:
    """What is sold, and an estimate."""
    plans = catalogue.public_plans()
    products = list(Product.objects.with_a_price())
    credits_per_chat = catalogue.policy().credits_per_chat
    return {
        "plans": plans,
        "boosts": [p for p in products if p.kind == Product.Kind.BOOST],
        # With the chats that they pay for.
        "credit_products": [
            (p, p.credits // credits_per_chat) for p in products if p.kind == Product.Kind.CREDITS
        ],
        "credits_per_chat": credits_per_chat,
        "estimate": estimate_of(
            asked_chats, plans=plans, products=products, credits_per_chat=credits_per_chat
        ),
    }


def _newest_key(request: HttpRequest) -> ApiKey | None:
    """The key that the visitor made last; what is shown of it opens nothing."""
    membership = membership_of(request)
    if membership is None:
        return None
    keys = keys_seen_by(membership).filter(revoked_at=None)
    return keys.select_related("account").first()


def _current_plan(request: HttpRequest) -> Plan | None:
    """The plan of the visitor's account."""
    membership = membership_of(request)
    if membership is None:
        return None
    return entitlements.plan_of(membership.account, at=timezone.now())


@require_safe
@public_page
def quickstart(request: HttpRequest) -> HttpResponse:
    """From no key to a streamed reply."""
    key = _newest_key(request)
    written = key.masked if key else "sk_your_api_key_here"
    context = {
        "base_url": site_address(),
        "key": key,
        "export_line": f"export SANSXEL_KEY={written}",
        "header_line": f"Authorization: Bearer {written}",
    }
    return render(request, "pages/quickstart.html", context)


@require_safe
@public_page
def reference(request: HttpRequest) -> HttpResponse:
    """Every path of the public API, from its OpenAPI document."""
    return _reference(request, of_public_api(site_address()))


@require_safe
@public_page
def quota_reference(request: HttpRequest) -> HttpResponse:
    """Every path of the quota check, from its OpenAPI document."""
    return _reference(request, of_quota_check(site_address()))


@require_safe
@public_page
def leaked_keys(request: HttpRequest) -> HttpResponse:
    """How keys that were found in public are recognised and reported."""
    context = {
        "key_pattern": leaks.KEY_PATTERN,
        "token_pattern": leaks.TOKEN_PATTERN,
        "finds_at_most": leak_reports.FINDS_AT_MOST,
        "a_minute": leak_reports.OF_STRANGERS.at_most,
        "base_url": site_address(),
    }
    return render(request, "pages/leaks.html", context)


def _reference(request: HttpRequest, of: Reference) -> HttpResponse:
    return render(request, "pages/reference.html", {"base_url": site_address(), "reference": of})


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
