"""The usual choice: Django REST Framework, djangorestframework-api-key and a cache counter.

With what its authors would do for speed: no middleware, no sessions, pooled connections, JSON only.
The counter is not exact, knows one cap and forgets with the cache; it is here for its cost.

    python -m benchmark.usual COUNT     make the tables and so many keys, and print the keys as JSON
"""

import json
import sys

from django.conf import settings

from config import settings as site

if not settings.configured:
    settings.configure(
        SECRET_KEY=site.SECRET_KEY,
        ALLOWED_HOSTS=["127.0.0.1"],
        INSTALLED_APPS=["rest_framework", "rest_framework_api_key"],
        MIDDLEWARE=[],
        ROOT_URLCONF="benchmark.usual",
        DATABASES=site.DATABASES,
        CACHES=site.CACHES,
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        REST_FRAMEWORK={
            "DEFAULT_AUTHENTICATION_CLASSES": [],
            "DEFAULT_PERMISSION_CLASSES": ["rest_framework_api_key.permissions.HasAPIKey"],
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
            "UNAUTHENTICATED_USER": None,
        },
    )

import django

django.setup()

from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.cache import cache  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.urls import path  # noqa: E402

# Installed by the benchmark into a folder of its own, for this process only.
from rest_framework.request import Request  # type: ignore[import-not-found] # noqa: E402
from rest_framework.response import Response  # type: ignore[import-not-found] # noqa: E402
from rest_framework.views import APIView  # type: ignore[import-not-found] # noqa: E402
from rest_framework_api_key.models import APIKey  # type: ignore[import-not-found] # noqa: E402

from benchmark.lifespan import with_lifespan  # noqa: E402

_WEEK_SECONDS = 7 * 24 * 3600
_CAP = 10**9


class CheckView(APIView):  # type: ignore[misc]
    """Count one chat of the key in the Authorization header."""

    def post(self, request: Request) -> Response:
        """Allowed while the counter is below the cap."""
        prefix = request.META["HTTP_AUTHORIZATION"].removeprefix("Api-Key ").partition(".")[0]
        name = f"chats:{prefix}"
        try:
            used = cache.incr(name)
        except ValueError:
            cache.add(name, 0, _WEEK_SECONDS)
            used = cache.incr(name)
        return Response({"allowed": used <= _CAP, "remaining": max(0, _CAP - used)})


urlpatterns = [path("check", CheckView.as_view())]
application = with_lifespan(get_asgi_application())


def _make_keys(count: int) -> list[str]:
    call_command("migrate", "rest_framework_api_key", verbosity=0)
    made = [APIKey(name=f"Caller {number}") for number in range(count)]
    keys = [APIKey.objects.assign_key(key) for key in made]
    APIKey.objects.bulk_create(made)
    return keys


if __name__ == "__main__":
    print(json.dumps(_make_keys(int(sys.argv[1]))))
