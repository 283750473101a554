"""Public pages, the development inbox and the probes."""

import logging

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from accounts.models import User
from accounts.site_address import site_address
from billing.models import Product
from config import inbox
from gate.connection import sync_client
from keys.models import ApiKey
from quotas import catalogue

logger = logging.getLogger(__name__)


@require_safe
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
def pricing(request: HttpRequest) -> HttpResponse:
    """Plans, boosts and credits."""
    products = list(Product.objects.filter(is_active=True))
    context = {
        "plans": catalogue.public_plans(),
        "boosts": [p for p in products if p.kind == Product.Kind.BOOST],
        "credit_products": [p for p in products if p.kind == Product.Kind.CREDITS],
        "credits_per_chat": catalogue.policy().credits_per_chat,
    }
    return render(request, "pages/pricing.html", context)


@require_safe
def quickstart(request: HttpRequest) -> HttpResponse:
    """From no key to a streamed reply."""
    user = request.user
    context = {
        "base_url": site_address(),
        "has_keys": isinstance(user, User)
        and ApiKey.objects.filter(account__members=user, revoked_at=None).exists(),
    }
    return render(request, "pages/quickstart.html", context)


@require_safe
@never_cache
def dev_inbox(request: HttpRequest) -> HttpResponse:
    """Mails that a production site would send."""
    return render(request, "pages/dev_inbox.html", {"inbox": inbox.newest()})


@require_safe
@never_cache
def dev_message(request: HttpRequest, name: str) -> HttpResponse:
    """One mail of the development inbox."""
    message = inbox.find(name)
    if message is None:
        raise Http404
    return render(request, "pages/dev_message.html", {"message": message, "links": message.links})


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """The process can work: PostgreSQL and Valkey answer."""
    problems = []
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        logger.warning("not ready: %s", type(error).__name__)
        problems.append("database")
    try:
        sync_client(settings.REDIS_URL).ping()
    except (RedisError, OSError) as error:
        logger.warning("not ready: %s", type(error).__name__)
        problems.append("valkey")
    status = "unavailable" if problems else "ok"
    return JsonResponse({"status": status, "problems": problems}, status=503 if problems else 200)
