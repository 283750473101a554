"""The same decision from a plain synchronous Django view, without middleware: what Django costs.

It spares itself what a check over HTTP does besides: a service token, a body, a receipt.
"""

from functools import partial

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from config import settings as site

if not settings.configured:
    settings.configure(
        SECRET_KEY=site.SECRET_KEY,
        ALLOWED_HOSTS=["127.0.0.1"],
        MIDDLEWARE=[],
        ROOT_URLCONF=__name__,
    )

from django.core.asgi import get_asgi_application

from benchmark.lifespan import with_lifespan
from gate.store import charges, connection, hot_state, snapshots
from gate.terms import key_text


def check(request: HttpRequest) -> HttpResponse:
    """Charge one chat to the key in the Authorization header."""
    key = request.headers.get("Authorization", "").removeprefix("Bearer ")
    try:
        handle = key_text.handle_of(key)
    except key_text.MalformedKey:
        return _json({"allowed": False, "reason": "invalid_key"})
    call = charges.check_call(
        handle=handle,
        digests=snapshots.hot_digests(key_text.digests(key, site.KEY_PEPPERS)),
        meter="chat",
        units=1,
        request_id=None,
    )
    answer = charges.read_answer(hot_state.run(connection.sync_client(site.REDIS_URL), call))
    return _json(
        {
            "allowed": answer.status == "ok",
            "reason": answer.status,
            "remaining": answer.allowance_left,
        }
    )


_json = partial(JsonResponse, json_dumps_params={"separators": (",", ":")})

urlpatterns = [path("check", check)]
application = with_lifespan(get_asgi_application())
